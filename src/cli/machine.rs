//! The machine that predictions are made for: this one's calibration, the built-in figures, or a file.

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context as _, anyhow};

use crate::plan::cost::machine::Machine;

/// `--machine`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum MachineArg {
    BuiltIn,
    File(PathBuf),
}

impl FromStr for MachineArg {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<MachineArg, Self::Err> {
        Ok(if text == "built-in" { MachineArg::BuiltIn } else { MachineArg::File(PathBuf::from(text)) })
    }
}

/// A machine, and where its figures come from.
pub(super) struct Known {
    pub machine: Machine,
    /// The calibration; `None`: they are built in.
    pub file: Option<PathBuf>,
}

impl Known {
    /// In words.
    pub fn title(&self) -> String {
        match &self.file {
            Some(_) => format!("{}, calibrated", self.machine.name),
            None => format!("{}, built-in figures (`smlc bench --calibrate` measures yours)", self.machine.name),
        }
    }
}

/// Where this machine's calibration lies: in the user's folder for caches, because it can be made again.
pub(super) fn calibration() -> anyhow::Result<PathBuf> {
    let folder =
        dirs::cache_dir().ok_or_else(|| anyhow!("this user has no folder for caches; set `XDG_CACHE_HOME`"))?;
    Ok(folder.join("smlc").join("machine.json"))
}

/// The same for runs on this machine: built-in figures are taken with its own number of cores.
pub(super) fn here(wanted: Option<&MachineArg>) -> anyhow::Result<Known> {
    let mut known = known(wanted)?;
    if let (None, Ok(cores)) = (&known.file, std::thread::available_parallelism()) {
        known.machine.cores = cores.get() as f64;
    }
    Ok(known)
}

/// The machine asked for; by default this one if it is calibrated, else the built-in figures.
pub(super) fn known(wanted: Option<&MachineArg>) -> anyhow::Result<Known> {
    let path = match wanted {
        Some(MachineArg::BuiltIn) => None,
        Some(MachineArg::File(path)) => Some(path.clone()),
        None => calibration().ok().filter(|path| path.is_file()),
    };
    let Some(path) = path else { return Ok(Known { machine: Machine::built_in(), file: None }) };
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let machine = Machine::from_json(&text).with_context(|| format!("`{}` describes no machine", path.display()))?;
    Ok(Known { machine, file: Some(path) })
}
