//! Is a number zero? `U + V = 0` where U and V - 1 differ in every bit: no carry, the and of all blocks' propagates.
//!
//! Blocks of 3 positions cost 9 bits each and an and of 3; 129 bits for 33 positions, 6 rounds, against twice a comparison.
//! Security: that of the blocks and of the ands.

use super::blocks::{self, Block};
use super::{BitShares, TwoSummand, bits};
use crate::plan::build::Builder;

/// The bit `x = 0` for x below `2^(width-1)` and above its negative.
pub fn is_zero(b: &mut Builder, x: &TwoSummand, width: u32) -> BitShares {
    let block = |size: u32| Block { size, functions: vec![vec![((1 << size) - 1, 1 << size)]] };
    let wanted: Vec<Block> = blocks::sizes(width, 3).into_iter().map(block).collect();
    let equal = blocks::read(b, x, u64::MAX, &wanted).into_iter().flatten().collect();
    bits::all(b, equal, x.len)
}
