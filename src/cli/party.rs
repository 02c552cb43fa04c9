//! `smlc party`: one party of a plan over TCP.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use sha2::{Digest, Sha256};

use super::device::DeviceArg;
use super::{Outcome, Talk};
use crate::backend::cpu::Threads;
use crate::net::handshake::{Refusal, RefusalCode};
use crate::net::{NetError, SessionId, Shape};
use crate::plan::{Party, file};
use crate::run::party::Service;
use crate::run::{RunError, local};

/// Run one party of a plan
#[derive(Debug, Args)]
pub(super) struct PartyCommand {
    /// The plan, made by `smlc build -o`
    plan: PathBuf,
    /// Which party this is
    #[arg(long, value_name = "0..2", value_parser = parse_id)]
    id: u8,
    /// Where P0, P1 and P2 listen (loopback: this transport has no TLS)
    #[arg(long, value_name = "HOST:PORT,HOST:PORT,HOST:PORT")]
    addresses: String,
    /// The run's name, the same for all three and the owners
    #[arg(long, value_name = "NAME", default_value = "session")]
    session: String,
    /// Seconds to wait for the others
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    patience: u64,
    /// Runs that the owners may ask for, one after the other; their inputs are kept until the last
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Threads for large steps; by default a third of those that this machine runs at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    threads: Option<u32>,
    /// What to compute on: cpu, cuda, or cuda:1 for the second GPU
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    device: DeviceArg,
    /// Imitate a network: lan, wan, or RTT,RATE such as 40ms,100Mb
    #[arg(long, value_name = "NET")]
    net: Option<Shape>,
}

impl PartyCommand {
    pub fn run(&self, _talk: Talk) -> Outcome {
        let text =
            std::fs::read_to_string(&self.plan).with_context(|| format!("cannot read `{}`", self.plan.display()))?;
        let plan = file::read(&text).with_context(|| format!("`{}` is no plan", self.plan.display()))?;
        // Of large networks it is as much as the plan.
        drop(text);
        let me = Party(self.id);
        let addresses = parse_addresses(&self.addresses)?;
        let session = local::session(&plan, session_id(&self.session), addresses, Duration::from_secs(self.patience));
        let device = self.device.open_one()?;
        let threads = Threads::new(self.threads.map_or_else(local::threads_of_a_party, |threads| threads as usize));
        let service = Service { runs: self.runs, device: &device, threads: &threads, ..Service::ONCE };
        local::party_tcp(&plan, me, &session, self.net, service).map_err(agreeing).with_context(|| me.to_string())?;
        Ok(())
    }
}

fn parse_id(text: &str) -> Result<u8, String> {
    text.parse().ok().filter(|id| *id < 3).ok_or_else(|| "write 0, 1 or 2".to_string())
}

/// A failed run, with what to do when the ends have different plans.
pub(super) fn agreeing(error: RunError) -> anyhow::Error {
    let other_plan = matches!(
        &error,
        RunError::Net {
            cause: NetError::Refused(Refusal::Plan { .. }) | NetError::RefusedBy(_, RefusalCode::Plan),
            ..
        }
    );
    let error = anyhow::Error::new(error);
    if !other_plan {
        return error;
    }
    anyhow!(
        "{error}; all ends need the same program under the same path, and `--dim` of `smlc build` the rows of `--take`"
    )
}

/// Three loopback addresses.
pub(super) fn parse_addresses(text: &str) -> anyhow::Result<[String; 3]> {
    let all: Vec<String> = text.split(',').map(|a| a.trim().to_string()).collect();
    let Ok(addresses) = <[String; 3]>::try_from(all) else {
        bail!("`{text}` is not three addresses separated by commas");
    };
    for address in &addresses {
        if address.rsplit_once(':').is_none_or(|(host, port)| host.is_empty() || port.parse::<u16>().is_err()) {
            bail!("`{address}` is no address: write HOST:PORT, such as 127.0.0.1:7100");
        }
        if !local::is_loopback(address) {
            bail!("`{address}` is not an address on this machine: TCP without TLS would show shares to the network");
        }
    }
    Ok(addresses)
}

/// The session id of a name.
pub(super) fn session_id(name: &str) -> SessionId {
    let digest = Sha256::digest(name);
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    SessionId(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_one_by_one() {
        let wrong = |text: &str| parse_addresses(text).unwrap_err().to_string();
        assert_eq!(wrong("a,b,c"), "`a` is no address: write HOST:PORT, such as 127.0.0.1:7100");
        assert_eq!(wrong("127.0.0.1:1, :2,127.0.0.1:3"), "`:2` is no address: write HOST:PORT, such as 127.0.0.1:7100");
        assert_eq!(wrong("127.0.0.1:1"), "`127.0.0.1:1` is not three addresses separated by commas");
        assert!(wrong("192.0.2.1:1,127.0.0.1:2,127.0.0.1:3").starts_with("`192.0.2.1:1` is not an address on this"));
        assert_eq!(parse_addresses("127.0.0.1:1,127.0.0.1:2, [::1]:3").unwrap()[2], "[::1]:3");
    }
}
