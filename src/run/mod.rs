//! A party's session over a plan, the owners around it, and the two ways to run all of them on one machine.

pub mod lockstep;
pub mod owner;
pub mod session;
pub mod wire;

use crate::backend::BackendError;
use crate::plan::Plan;
use crate::span::Span;

/// Why a run stops.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// An owner's data or results.
    #[error(transparent)]
    Owner(#[from] owner::OwnerError),
    /// A device.
    #[error("{source}{place}")]
    Device {
        /// What failed.
        source: BackendError,
        /// ` (at model.sml:3:5)`, or nothing.
        place: String,
    },
}

impl RunError {
    /// A device's failure at a place of the model.
    #[must_use]
    pub fn device(plan: &Plan, source: BackendError, span: Option<Span>) -> RunError {
        let place = plan.place(span).map(|p| format!(" (at {p})")).unwrap_or_default();
        RunError::Device { source, place }
    }
}
