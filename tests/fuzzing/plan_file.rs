//! Plan files: any text is read or refused without a panic and without making room because a number says so; what is
//! read can be printed, counted and written, and what was written reads as the same bytes.

use smlc::plan::{Plan, cost, file, text};

use super::Reached;

pub fn run(input: &str) -> Reached {
    let Ok(plan) = file::read(input) else { return Reached::Refused };
    holds(&plan);
    Reached::Accepted
}

/// Looks at everything promised about a plan that was read.
pub fn holds(plan: &Plan) {
    let written = file::write(plan);
    let again = file::read(&written).unwrap_or_else(|e| panic!("what was written is refused: {e}"));
    assert_eq!(&again, plan, "writing and reading changed the plan");
    assert_eq!(file::write(&again), written, "the same plan is written in two ways");
    assert_eq!(file::hash(&again), file::hash(plan), "the same plan has two hashes");
    assert_eq!(text::print(&again), text::print(plan), "the same plan is printed in two ways");
    let cost = cost::cost(plan);
    assert_eq!(cost.bytes_total, cost.bytes_per_party.iter().sum::<u64>(), "the bytes do not add up");
}
