//! `smlc party`: one party of a plan over TCP, run once.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, value_parser};
use sha2::{Digest, Sha256};

use super::{Outcome, Talk};
use crate::net::{SessionId, Shape};
use crate::plan::{Party, file};
use crate::run::local;

/// Run one party of a plan
#[derive(Debug, Args)]
pub(super) struct PartyCommand {
    /// The plan, made by `smlc build -o`
    plan: PathBuf,
    /// Which party this is
    #[arg(long, value_name = "0..2", value_parser = value_parser!(u8).range(0..3))]
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
    /// Imitate a network: lan, wan, or RTT,RATE such as 40ms,100Mb
    #[arg(long, value_name = "NET")]
    net: Option<Shape>,
}

impl PartyCommand {
    pub fn run(&self, _talk: Talk) -> Outcome {
        let text =
            std::fs::read_to_string(&self.plan).with_context(|| format!("cannot read `{}`", self.plan.display()))?;
        let plan = file::read(&text).with_context(|| format!("`{}` is no plan", self.plan.display()))?;
        let me = Party(self.id);
        let addresses = parse_addresses(&self.addresses)?;
        let session = local::session(&plan, session_id(&self.session), addresses, Duration::from_secs(self.patience));
        local::party_tcp(&plan, me, &session, self.net).with_context(|| me.to_string())?;
        Ok(())
    }
}

/// Three loopback addresses.
pub(super) fn parse_addresses(text: &str) -> anyhow::Result<[String; 3]> {
    let all: Vec<String> = text.split(',').map(|a| a.trim().to_string()).collect();
    let Ok(addresses) = <[String; 3]>::try_from(all) else {
        bail!("`{text}` is not three addresses separated by commas");
    };
    for address in &addresses {
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
