//! A party's session over a plan, the owners around it, and the ways to run all of them on one machine.

pub mod calibrate;
pub mod client;
pub mod compare;
pub mod device;
pub mod kernels;
pub mod local;
pub mod lockstep;
pub(crate) mod memory;
pub mod owner;
pub mod party;
pub mod profile;
pub mod session;

use crate::backend::BackendError;
use crate::net::NetError;
use crate::net::owner::LinkError;
use crate::plan::cost::memory::memory;
use crate::plan::{Party, Plan};
use crate::span::Span;

/// Why a run stops.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// An owner's data or results.
    #[error(transparent)]
    Owner(#[from] owner::OwnerError),
    /// The link between owners and parties.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The owners' client left between two runs.
    #[error("{cause}, after {done} of {runs} runs")]
    Unfinished {
        /// What happened to the link.
        cause: LinkError,
        /// Runs that were done.
        done: u32,
        /// Runs that the party was to serve.
        runs: u32,
    },
    /// A device.
    #[error("{cause}{place}")]
    Device {
        /// What failed.
        cause: BackendError,
        /// ` (at model.sml:3:5)`, or nothing.
        place: String,
    },
    /// The network between parties.
    #[error("{cause}{place}")]
    Net {
        /// What failed, with the party at fault.
        cause: NetError,
        /// ` (in round 3 of 40, at model.sml:3:5)`, or nothing.
        place: String,
    },
    /// A party told the owners' client why it stopped.
    #[error("{party} stopped: {text}")]
    Party {
        /// Who tells.
        party: Party,
        /// Its words.
        text: String,
        /// The party whose own failure it passes on.
        of: Option<Party>,
    },
    /// The system has no thread for a party.
    #[error("no thread for a party: {0}")]
    Thread(String),
    /// A party's thread ended without a result.
    #[error("a party ended without a result: this is a mistake in smlc")]
    Panic,
}

impl RunError {
    /// A device's failure at a place of the model.
    #[must_use]
    pub fn device(plan: &Plan, cause: BackendError, span: Option<Span>) -> RunError {
        let place = plan.place(span).map(|p| format!(" (at {p})")).unwrap_or_default();
        RunError::Device { cause, place }
    }

    /// A device's failure before a run computes anything: with the plan's first place.
    #[must_use]
    pub fn before(plan: &Plan, cause: BackendError) -> RunError {
        let first = plan.rounds.iter().flat_map(|round| &round.steps).find_map(|step| plan.place(step.span));
        let place = first.map(|place| format!(" (before {place})")).unwrap_or_default();
        RunError::Device { cause, place }
    }

    /// A device's failure somewhere between two places of the model.
    #[must_use]
    pub fn between(plan: &Plan, cause: BackendError, spans: [Span; 2]) -> RunError {
        match spans.map(|span| plan.place(Some(span))) {
            [Some(first), Some(last)] if first != last => {
                RunError::Device { cause, place: format!(" (between {first} and {last})") }
            }
            _ => RunError::device(plan, cause, Some(spans[0])),
        }
    }

    /// A device's failure to make room for a plan: with the place that needs most, if it is for lack of memory.
    #[must_use]
    pub fn room(plan: &Plan, party: Party, cause: BackendError) -> RunError {
        if !matches!(cause, BackendError::Memory { .. }) {
            return RunError::before(plan, cause);
        }
        let place = plan.place(memory(plan).at[party.index()]);
        let place = place.map_or(" (most of it for the inputs)".to_string(), |p| format!(" (most of it at {p})"));
        RunError::Device { cause, place }
    }

    /// A network failure, in a round and at the line that the round serves where there is one.
    #[must_use]
    pub fn net(plan: &Plan, cause: NetError, at: Option<(usize, Option<Span>)>) -> RunError {
        let place = at.map(|(round, span)| {
            let line = plan.place(span).map(|p| format!(", at {p}")).unwrap_or_default();
            format!(" (in round {} of {}{line})", round + 1, plan.communication_rounds())
        });
        RunError::Net { cause, place: place.unwrap_or_default() }
    }
}
