//! The plan for a network: of several that compute the same, the one that is predicted to take the least time.

use super::machine::Machine;
use super::time::{Network, Place, predict};
use crate::plan::Plan;
use crate::plan::lower::{Cut, Options};
use crate::plan::protocol::sign::Prefer;

/// Elements of a slice in the pipelines that are tried. Where less than some ten thousand bytes are on their way at once, a
/// slice takes longer to handle than to send.
const PIPELINES: [usize; 3] = [1 << 17, 1 << 15, 1 << 13];

/// The fastest of the plans that `lower` makes, by the built-in figures: the plan does not depend on where it is made.
///
/// First what comparisons spare is tried, then finer and finer slices, fewer, and none.
#[must_use]
pub fn fastest(network: Network, lower: impl Fn(Options) -> Plan) -> Plan {
    let machine = Machine::built_in();
    let try_out = |options| {
        let plan = lower(options);
        (predict(&plan, &machine, network, Place::Apart).seconds(), plan, options)
    };
    let mut best = try_out(Options { prefer: Prefer::Rounds, ..Options::default() });
    // The last ones weigh rounds by the time of messages, and leave out that of computing more bits.
    let bits = (network.rtt / 2.0 * network.bits_per_second) as u64;
    for prefer in [Prefer::Bytes, Prefer::Time { bits: bits / 4 }, Prefer::Time { bits }] {
        let other = try_out(Options { prefer, ..Options::default() });
        if other.0 < best.0 {
            best = other;
        }
    }
    for cut in PIPELINES.map(Cut::Pipeline).into_iter().chain([Cut::Large, Cut::Whole]) {
        let other = try_out(Options { cut, ..best.2 });
        if other.0 < best.0 {
            best = other;
        }
    }
    best.1
}
