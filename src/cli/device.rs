//! `--device`: what the parties compute on.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};

use crate::backend::cuda::{Gpu, Sources};
use crate::run::device::Device;

/// The variable that names a folder with the kernels' sources, for those who change them.
const KERNELS: &str = "SMLC_KERNEL_SRC";

/// One party's device, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    Cpu,
    Cuda(usize),
}

/// The devices of the three parties: one name for all, or three.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DeviceArg([Named; 3]);

impl Default for DeviceArg {
    fn default() -> DeviceArg {
        DeviceArg([Named::Cpu; 3])
    }
}

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Named, String> {
        match text.split_once(':') {
            None if text == "cpu" => Ok(Named::Cpu),
            None if text == "cuda" => Ok(Named::Cuda(0)),
            Some(("cuda", number)) => {
                number.parse().map(Named::Cuda).map_err(|_| format!("`{number}` is not the number of a GPU"))
            }
            _ => Err(format!("there is no device `{text}`: write cpu, cuda, or cuda:1 for the second GPU")),
        }
    }
}

impl FromStr for DeviceArg {
    type Err = String;

    fn from_str(text: &str) -> Result<DeviceArg, String> {
        let named = text.split(',').map(str::parse).collect::<Result<Vec<Named>, String>>()?;
        match named[..] {
            [one] => Ok(DeviceArg([one; 3])),
            [p0, p1, p2] => Ok(DeviceArg([p0, p1, p2])),
            _ => Err(format!("{} devices: write one for all parties, or one for each of P0, P1 and P2", named.len())),
        }
    }
}

impl DeviceArg {
    /// Whether all three are GPUs.
    pub fn is_gpus(&self) -> bool {
        self.0.iter().all(|named| matches!(named, Named::Cuda(_)))
    }

    /// Opens the devices; parties on the same GPU share it.
    pub fn open(&self) -> anyhow::Result<[Device; 3]> {
        let mut gpus: BTreeMap<usize, Arc<Gpu>> = BTreeMap::new();
        let mut devices = <[Device; 3]>::default();
        for (device, named) in devices.iter_mut().zip(&self.0) {
            let Named::Cuda(number) = *named else { continue };
            if let std::collections::btree_map::Entry::Vacant(entry) = gpus.entry(number) {
                let sources = std::env::var_os(KERNELS).map(|folder| sources(Path::new(&folder))).transpose()?;
                let gpu = Gpu::open(number, sources);
                entry.insert(gpu.map_err(|why| anyhow!("{why}; `--device cpu` computes on the processor"))?);
            }
            *device = Device::Cuda(gpus[&number].clone());
        }
        Ok(devices)
    }

    /// The same for P0 alone.
    pub fn first(&self) -> DeviceArg {
        DeviceArg([self.0[0]; 3])
    }

    /// Opens the device of a party that is alone.
    pub fn open_one(&self) -> anyhow::Result<Device> {
        if self.0 != [self.0[0]; 3] {
            bail!("a party has one device");
        }
        let [device, ..] = self.open()?;
        Ok(device)
    }

    /// The names as they are written.
    pub fn names(&self) -> [String; 3] {
        self.0.map(|named| match named {
            Named::Cpu => "cpu".to_string(),
            Named::Cuda(number) => format!("cuda:{number}"),
        })
    }
}

/// Reads the kernels' sources.
fn sources(folder: &Path) -> anyhow::Result<Sources> {
    let cannot = || format!("cannot read the kernels' sources in `{}`, which {KERNELS} names", folder.display());
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).with_context(cannot)? {
        let path = entry.with_context(cannot)?.path();
        if path.extension().is_some_and(|extension| extension == "cu") {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            files.insert(name, std::fs::read_to_string(&path).with_context(cannot)?);
        }
    }
    Ok(Sources { folder: folder.display().to_string(), files })
}
