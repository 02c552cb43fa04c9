//! Plan files: a header line, then the plan as JSON. The hash of the JSON names the plan in handshakes.

use sha2::{Digest, Sha256};

use super::{Plan, program, verify};

/// First line of a plan file; the number changes when the format does.
pub const HEADER: &str = "smlc plan 2";

/// Why a file is no plan.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Another kind of file.
    #[error("the file does not start with `{HEADER}`")]
    Header,
    /// Not the plan's JSON.
    #[error("the plan is damaged: {0}")]
    Json(String),
    /// A plan that breaks its own rules.
    #[error("the plan is damaged: {0}")]
    Rule(#[from] verify::VerifyError),
}

fn json(plan: &Plan) -> String {
    serde_json::to_string(plan).expect("plans have string keys and no floats, so JSON can hold them")
}

/// The content of a plan file.
#[must_use]
pub fn write(plan: &Plan) -> String {
    format!("{HEADER}\n{}\n", json(plan))
}

/// Reads and checks a plan file.
///
/// # Errors
/// If it is none, or damaged, or not masked.
pub fn read(text: &str) -> Result<Plan, FileError> {
    let (header, body) = text.split_once('\n').ok_or(FileError::Header)?;
    if header.trim_end() != HEADER {
        return Err(FileError::Header);
    }
    let mut plan: Plan = serde_json::from_str(body).map_err(|e| FileError::Json(e.to_string()))?;
    program::unite(&mut plan.rounds);
    verify::verify(&plan)?;
    Ok(plan)
}

/// SHA-256 of the plan's JSON.
#[must_use]
pub fn hash(plan: &Plan) -> [u8; 32] {
    Sha256::digest(json(plan)).into()
}
