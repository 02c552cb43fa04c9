//! The highest bit of a positive number, as a sum of weights: what normalisation needs.
//!
//! Blocks of 4 positions are read from the two summands ([`blocks`]). A position holds the number's highest bit if its block's
//! highest bit is there, given the carry c into the block, and if all blocks above are zero, given the carry o out of it. With
//! `L[c, o]` for the former and `S[o]` for the latter, it is the sum of `[carry = c] L[c, o] S[o]`. The carries come from a scan
//! up, the S from a scan down: of X (zero, a carry leaves), Y (zero, none leaves) and P (zero if a carry comes in; then one
//! leaves), `X = Y' X + X' P`, `Y = Y' Y`, `P = P' P` with the lower block's primed. Each position takes in first what is known
//! first, so that both scans overlap; its last product goes straight to the two parts that [`bits::weigh`] wants.
//!
//! 2 rounds for the blocks, `ceil(log2 blocks)` for the scans, 1 for the positions, 1 for the weights. The costs of 31 positions at
//! K = 64: 106 bytes for their bits, 190 for the first row of weights that are powers of two, 16 for each more that fits it.
//!
//! Security: that of its parts; nothing is opened.

use super::bits::{self, Carry, Sum, TwoParts, scan_level, scan_levels};
use super::blocks::{self, Block, Ranges};
use super::{BitShares, Shares, TwoSummand};
use crate::plan::build::Builder;

/// What is known of the blocks from one up to the top: whether they are zero without and with a carry from below; in
/// the first case with and without one that leaves. The top block is zero whatever leaves it.
#[derive(Clone, Copy)]
struct Above {
    /// Zero, a carry leaves: X. Nothing of segments that end at the top.
    leaves: Option<BitShares>,
    /// Zero, none leaves: Y. Of segments that end at the top: zero.
    zero: BitShares,
    /// Zero if a carry comes in: P.
    carried: BitShares,
}

/// The functions of one block, in the order in which they are read.
struct Wanted {
    size: u32,
    functions: Vec<Ranges>,
    /// Where carries, `Above` and the first position begin.
    above: usize,
    positions: usize,
    /// Carries that may come in and that leave with a meaning: of each position `outs` for each of `ins`.
    ins: i64,
    outs: i64,
}

impl Wanted {
    fn new(size: u32, at: usize, n: usize) -> Wanted {
        let (top, is_top) = (1i64 << size, at + 1 == n);
        let mut functions = bits::carry_functions(size, at, n);
        let above = functions.len();
        if at > 0 {
            if is_top {
                functions.push(vec![(0, 1), (top, top + 1)]);
            } else {
                functions.extend([vec![(top, top + 1)], vec![(0, 1)]]);
            }
            functions.push(vec![(top - 1, top)]);
        }
        let positions = functions.len();
        let ins = if at > 0 { 2 } else { 1 };
        let outs = if is_top { 1 } else { 2 };
        for i in 0..size {
            for carry in 0..ins {
                let range = |out: i64| (out * top + (1 << i) - carry, out * top + (2 << i) - carry);
                if is_top {
                    functions.push(vec![range(0), range(1)]);
                } else {
                    functions.extend([vec![range(0)], vec![range(1)]]);
                }
            }
        }
        Wanted { size, functions, above, positions, ins, outs }
    }

    /// `L[c, o]` of position i.
    fn position(&self, found: &[BitShares], i: u32, carry: i64, out: i64) -> BitShares {
        found[self.positions + ((i64::from(i) * self.ins + carry) * self.outs + out) as usize]
    }

    fn above(&self, found: &[BitShares]) -> Option<Above> {
        let functions = &found[self.above..self.positions];
        match functions {
            [leaves, zero, carried] => Some(Above { leaves: Some(*leaves), zero: *zero, carried: *carried }),
            [zero, carried] => Some(Above { leaves: None, zero: *zero, carried: *carried }),
            _ => None,
        }
    }
}

/// The sums for two neighbouring segments: leaves (if the upper one has it), zero, carried.
fn above_sums(low: &Above, high: &Above) -> Vec<Sum> {
    let leaves = low.leaves.expect("only the top has no carry that leaves it");
    match high.leaves {
        Some(high_leaves) => vec![
            Sum { products: vec![(low.zero, high_leaves), (leaves, high.carried)], bits: Vec::new() },
            Sum::product(low.zero, high.zero),
            Sum::product(low.carried, high.carried),
        ],
        None => vec![
            Sum { products: vec![(low.zero, high.zero), (leaves, high.carried)], bits: Vec::new() },
            Sum::product(low.carried, high.carried),
        ],
    }
}

/// For each row of weights the one at the highest bit of x, of n bits; 0 for x = 0. `0 <= x < 2^n`.
pub fn leading(b: &mut Builder, x: &TwoSummand, n: u32, rows: &[Vec<u64>]) -> Vec<Shares> {
    let len = x.len;
    let sizes = blocks::sizes(n, 4);
    let count = sizes.len();
    let wanted: Vec<Wanted> = sizes.iter().enumerate().map(|(at, size)| Wanted::new(*size, at, count)).collect();
    let read: Vec<Block> = wanted.iter().map(|w| Block { size: w.size, functions: w.functions.clone() }).collect();
    let found = blocks::read(b, x, 0, &read);

    // Carry out of blocks 0 to i, and what lies above block i: both by scans, the second from the top down.
    let mut carries: Vec<Carry> = (0..count - 1).map(|at| Carry::first(at, &found[at])).collect();
    let mut above: Vec<Above> = (1..count).rev().filter_map(|at| wanted[at].above(&found[at])).collect();
    // A position's part: still to be multiplied by what comes later.
    let mut parts: Vec<Option<[BitShares; 2]>> = vec![None; n as usize];
    let levels = scan_levels(count - 1);
    // When the carry into a block and what is above it are known.
    let ready = |at: usize| (scan_levels(at), scan_levels(count - 1 - at));
    for level in 0..levels {
        let mut sums = Vec::new();
        let pairs = scan_level(count - 1, level);
        for (low, high) in &pairs {
            sums.extend(bits::carry_sums(&carries[*low], &carries[*high]));
            sums.extend(above_sums(&above[*high], &above[*low]));
        }
        // Positions that can take in the one while the other is not known yet.
        let mut first = Vec::new();
        for (at, block) in wanted.iter().enumerate().filter(|(at, _)| *at > 0 && at + 1 < count) {
            let (carry, up) = ready(at);
            if carry.min(up) != level {
                continue;
            }
            let start: u32 = sizes[..at].iter().sum();
            for i in 0..block.size {
                let l = |carry, out| block.position(&found[at], i, carry, out);
                first.push((start + i) as usize);
                if carry <= up {
                    let into = carries[at - 1].generate;
                    sums.extend([0, 1].map(|out| Sum::choice(into, l(0, out), l(1, out))));
                } else {
                    let up = above[count - 2 - at];
                    let with = |carry| vec![(l(carry, 0), up.zero), (l(carry, 1), up.carried)];
                    sums.extend([0, 1].map(|carry| Sum { products: with(carry), bits: Vec::new() }));
                }
            }
        }
        let mut done = bits::sums(b, &sums, len).into_iter();
        let mut next = || done.next().expect("a bit for each sum");
        let (old_carries, old_above) = (carries.clone(), above.clone());
        for (low, high) in pairs {
            let generate = next();
            carries[high] = Carry { generate, propagate: old_carries[low].propagate.map(|_| next()) };
            let leaves = old_above[low].leaves.map(|_| next());
            above[high] = Above { leaves, zero: next(), carried: next() };
        }
        for position in first {
            parts[position] = Some([next(), next()]);
        }
    }
    let mut last = Vec::new();
    for (at, block) in wanted.iter().enumerate() {
        let start: u32 = sizes[..at].iter().sum();
        let (carry, up) = ready(at);
        for i in 0..block.size {
            let l = |carry, out| block.position(&found[at], i, carry, out);
            let part = parts[(start + i) as usize];
            last.push(match (at, part) {
                _ if count == 1 => Sum { products: Vec::new(), bits: vec![l(0, 0)] },
                (0, _) => {
                    let up = above[count - 2];
                    Sum { products: vec![(l(0, 0), up.zero), (l(0, 1), up.carried)], bits: Vec::new() }
                }
                _ if at + 1 == count => Sum::choice(carries[at - 1].generate, l(0, 0), l(1, 0)),
                (_, Some([zero, one])) if carry > up => Sum::choice(carries[at - 1].generate, zero, one),
                (_, Some([zero, one])) => {
                    let up = above[count - 2 - at];
                    Sum { products: vec![(zero, up.zero), (one, up.carried)], bits: Vec::new() }
                }
                (_, None) => unreachable!("every block between took in the one or the other"),
            });
        }
    }
    let positions = TwoParts::of_sums(b, &last, x.roles, len);
    bits::weigh(b, &positions, rows, len)
}
