//! `smlc bench`: how long this machine takes for each unit of work that predictions count.

use anyhow::{Context as _, anyhow};
use clap::Args;

use super::{Outcome, Talk, build, machine, output};
use crate::run::calibrate::calibrate;

/// Measure this machine, for predictions
#[derive(Debug, Args)]
pub(super) struct Bench {
    /// Keep the figures for `smlc cost` and `smlc run --profile`, in the user's folder for caches
    #[arg(long)]
    calibrate: bool,
}

impl Bench {
    pub fn run(&self, talk: Talk) -> Outcome {
        // Said now, not when the work is done.
        let path = if self.calibrate { Some(machine::calibration()?) } else { None };
        let threads = std::thread::available_parallelism().context("cannot count the cores")?.get();
        let mut said = Ok(());
        let measured = calibrate(processor(), threads, &mut |unit, nanoseconds| {
            if said.is_ok() {
                said = output::line(format_args!("{unit:22} {nanoseconds:>12.3} ns"));
            }
        })
        .map_err(|error| anyhow!("mistake in smlc: {error}"))?;
        said?;
        output::line(format_args!("{:22} {:>12.3}", "cores", measured.cores))?;
        if let Some(path) = path {
            let folder = path.parent().unwrap_or(&path);
            std::fs::create_dir_all(folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
            build::write_whole(&path, measured.to_json())
                .with_context(|| format!("cannot write `{}`", path.display()))?;
            talk.note(&format!("the figures of {} are kept in `{}`", measured.name, path.display()));
        }
        Ok(())
    }
}

/// What the processor calls itself.
fn processor() -> String {
    let named = std::fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("model name"))?;
        Some(line.trim_start_matches(|c: char| c.is_whitespace() || c == ':').to_string())
    });
    named.unwrap_or_else(|| format!("{} on {}", std::env::consts::ARCH, std::env::consts::OS))
}
