//! [`Kernel::Product`](crate::plan::Kernel::Product): checks a matrix product or convolution and states it as products of
//! factors.

use super::check::{Input, Output, expect_dense, expect_words, misfit, single, size};
use super::conv::{self, Geometry};
use super::factor::{Axis, Factor};
use super::gemm::{self, Target, Workspace};
use super::isa::Isa;
use crate::backend::BackendError;
use crate::plan::Product;

/// `outs[0] = sum over j of ins[2j] * ins[2j + 1]`.
pub(super) fn run(
    isa: Isa,
    product: &Product,
    space: &mut Workspace,
    ins: &[Input<'_>],
    outs: &mut [Output<'_>],
) -> Result<(), BackendError> {
    expect_dense("product", ins)?;
    let (pairs, rest) = ins.as_chunks::<2>();
    if !rest.is_empty() || !(1..=2).contains(&pairs.len()) {
        return misfit(format!("product: one or two pairs of operands expected, found {} operands", ins.len()));
    }
    let pairs: Vec<(&[u64], &[u64])> = pairs.iter().map(|[l, r]| (l.words, r.words)).collect();
    let out = &mut single("product", outs)?.words;
    match *product {
        Product::MatMul { batch, m, k, n } => matmul(isa, [batch, m, k, n], space, &pairs, out),
        Product::Conv2d { n, c, h, w, o, window, groups } => {
            let geometry = Geometry::new([n, c, h, w], o, window, groups)?;
            for (image, weight) in &pairs {
                expect_words("product: left operand", image, size(&[n, c, h, w])?)?;
                expect_words("product: right operand", weight, geometry.weight_words()?)?;
            }
            expect_words("product: result", out, geometry.out_words()?)?;
            out.fill(0);
            conv::add(isa, &geometry, &pairs, space, out);
            Ok(())
        }
    }
}

/// `batch` products; an operand with the words of a single matrix serves the whole batch.
fn matmul(
    isa: Isa,
    [batch, m, k, n]: [usize; 4],
    space: &mut Workspace,
    pairs: &[(&[u64], &[u64])],
    out: &mut [u64],
) -> Result<(), BackendError> {
    for (left, right) in pairs {
        if left.len() != size(&[m, k])? {
            expect_words("product: left operand", left, size(&[batch, m, k])?)?;
        }
        if right.len() != size(&[k, n])? {
            expect_words("product: right operand", right, size(&[batch, k, n])?)?;
        }
    }
    expect_words("product: result", out, size(&[batch, m, n])?)?;
    out.fill(0);
    if out.is_empty() {
        return Ok(());
    }
    let one_right = pairs.iter().all(|(left, right)| right.len() == k * n && left.len() == batch * m * k);
    // One right matrix for all: the left matrices are one tall matrix.
    let (batch, m) = if one_right { (1, batch * m) } else { (batch, m) };
    for (index, out) in out.chunks_exact_mut(m * n).enumerate() {
        debug_assert!(index < batch);
        let part = |words, size: usize| part_of_batch(words, index, size);
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(left, right)| (Factor::row_major(part(left, m * k), k), Factor::row_major(part(right, k * n), n)))
            .collect();
        let target = Target { rows: Axis::Stride(n), cols: Axis::Stride(1) };
        gemm::Product { rows: m, depth: k, cols: n, pairs: &pairs, target }.run(isa, space, out);
    }
    Ok(())
}

/// Matrix number `index` of an operand, or its only one.
fn part_of_batch(words: &[u64], index: usize, size: usize) -> &[u64] {
    if words.len() == size { words } else { &words[index * size..(index + 1) * size] }
}
