//! [`Kernel::Product`](crate::plan::Kernel::Product): states a matrix product or convolution as products of factors.

use smallvec::{SmallVec, smallvec};

use super::conv::{self, Geometry};
use super::factor::{Axis, Factor, Words};
use super::gemm::{self, Target, Workspace};
use super::isa::Isa;
use super::limb_factor::{self, Shape};
use super::weights::Packed;
use super::{Input, Output, panel_factor};
use crate::plan::{Product, sums};

/// `outs[0] = sum over j of ins[2j] * ins[2j + 1]`, or with `factors` the product of two sums, of which the right one is
/// packed in some way or not.
pub(super) fn run(
    isa: Isa,
    product: &Product,
    (factors, packed): (Option<&[[i8; 2]; 2]>, Option<&Packed>),
    space: &mut Workspace,
    ins: &[Input<'_>],
    outs: &mut [Output<'_>],
) {
    let pairs: SmallVec<[(Words<'_>, Words<'_>); 2]> = match factors.and_then(|of| Some((of, sums(of, ins)?))) {
        Some((factors, [left, right])) => {
            smallvec![(sum(left, factors[0]), sum(right, factors[1]))]
        }
        None => ins.as_chunks::<2>().0.iter().map(|[l, r]| (l.words.into(), r.words.into())).collect(),
    };
    let out = &mut *outs[0].words;
    out.fill(0);
    if out.is_empty() {
        return;
    }
    match *product {
        Product::MatMul { batch, m, k, n } => {
            let (shape, (left, right)) = (Shape { rows: batch * m, depth: k, cols: n }, pairs[0]);
            match packed {
                None => matmul(isa, [batch, m, k, n], space, &pairs, out),
                Some(Packed::Limbs) => limb_factor::add(isa, shape, (left, right.first), space, out),
                Some(Packed::Panels(closing)) => {
                    panel_factor::add(isa, shape, (left, right.first, closing), space, out);
                }
            }
        }
        Product::Conv2d { n, c, h, w, o, window, groups } => {
            let geometry = Geometry { packed: packed.is_some(), ..Geometry::new([n, c, h, w], o, window, groups) };
            conv::add(isa, &geometry, &pairs, space, out);
        }
    }
}

/// The words of a sum's operands. A sum of one term, which is not multiplied, is the term.
fn sum<'a>((first, second): (Input<'a>, Option<Input<'a>>), factors: [i8; 2]) -> Words<'a> {
    let mut words = Words::from(first.words);
    if second.is_some() || factors[0] != 1 {
        words.second = Some((second.unwrap_or(first).words, factors.map(|factor| i64::from(factor) as u64)));
    }
    words
}

/// `batch` products; an operand with the words of a single matrix serves the whole batch.
fn matmul(
    isa: Isa,
    [batch, m, k, n]: [usize; 4],
    space: &mut Workspace,
    pairs: &[(Words<'_>, Words<'_>)],
    out: &mut [u64],
) {
    let one_right = pairs.iter().all(|(left, right)| right.len() == k * n && left.len() == batch * m * k);
    // One right matrix for all: the left matrices are one tall matrix.
    let (batch, m) = if one_right { (1, batch * m) } else { (batch, m) };
    for (index, out) in out.chunks_exact_mut(m * n).enumerate() {
        debug_assert!(index < batch);
        let pairs: SmallVec<[_; 2]> = pairs
            .iter()
            .map(|(left, right)| {
                (
                    Factor::row_major(part_of_batch(*left, index, m * k), k),
                    Factor::row_major(part_of_batch(*right, index, k * n), n),
                )
            })
            .collect();
        let target = Target { rows: Axis::Stride(n), cols: Axis::Stride(1) };
        gemm::Product { rows: m, depth: k, cols: n, pairs: &pairs, target }.run(isa, space, out);
    }
}

/// Matrix number `index` of an operand, or its only one.
fn part_of_batch(words: Words<'_>, index: usize, size: usize) -> Words<'_> {
    if words.len() == size { words } else { words.range(index * size, (index + 1) * size) }
}
