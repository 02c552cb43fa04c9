//! Sums along an axis and over windows.

use smallvec::SmallVec;

use super::check::{Input, Output, expect_words, misfit, size, unary};
use super::conv::window_output;
use super::isa::{Isa, Task};
use crate::backend::BackendError;
use crate::graph::Window;

/// `outs[0][o, i] = sum over a of ins[0][o, a, i]`.
pub(super) fn axis(
    isa: Isa,
    [outer, axis, inner]: [usize; 3],
    ins: &[Input<'_>],
    outs: &mut [Output<'_>],
) -> Result<(), BackendError> {
    let (input, output) = unary("sum", ins, outs)?;
    expect_words("sum: operand", input.words, size(&[outer, axis, inner])?)?;
    expect_words("sum: result", output.words, size(&[outer, inner])?)?;
    output.words.fill(0);
    if !input.words.is_empty() {
        isa.run(SumAxis { words: input.words, axis, inner, out: output.words });
    }
    Ok(())
}

struct SumAxis<'a> {
    words: &'a [u64],
    axis: usize,
    inner: usize,
    out: &'a mut [u64],
}

impl Task for SumAxis<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        if self.inner == 1 {
            for (out, row) in self.out.iter_mut().zip(self.words.chunks_exact(self.axis)) {
                *out = total(row);
            }
            return;
        }
        let tables = self.words.chunks_exact(self.axis * self.inner);
        for (out, table) in self.out.chunks_exact_mut(self.inner).zip(tables) {
            for row in table.chunks_exact(self.inner) {
                accumulate(out, row);
            }
        }
    }
}

/// Sum over each window of each of `planes` images of `h` by `w`; padding is zero.
pub(super) fn pool(
    isa: Isa,
    [planes, h, w]: [usize; 3],
    window: &Window,
    ins: &[Input<'_>],
    outs: &mut [Output<'_>],
) -> Result<(), BackendError> {
    let (input, output) = unary("sum_pool", ins, outs)?;
    let result = window_output(window, h, w)?;
    if !window.is_solid() {
        return misfit("sum_pool: a window with gaps");
    }
    expect_words("sum_pool: operand", input.words, size(&[planes, h, w])?)?;
    expect_words("sum_pool: result", output.words, size(&[planes, result[0], result[1]])?)?;
    output.words.fill(0);
    if !input.words.is_empty() {
        isa.run(SumPool { words: input.words, size: [h, w], result, window, out: output.words });
    }
    Ok(())
}

struct SumPool<'a> {
    words: &'a [u64],
    size: [usize; 2],
    result: [usize; 2],
    window: &'a Window,
    out: &'a mut [u64],
}

impl Task for SumPool<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let [h, w] = self.size;
        let [result_h, result_w] = self.result;
        // Columns of a window are added first, whole rows at a time, then runs of the resulting row.
        let mut row: SmallVec<[u64; 256]> = SmallVec::from_elem(0, w);
        for (image, out) in self.words.chunks_exact(h * w).zip(self.out.chunks_exact_mut(result_h * result_w)) {
            for (y, out) in out.chunks_exact_mut(result_w).enumerate() {
                row.fill(0);
                let (top, bottom) = clip(self.window, self.size, 0, y);
                for line in image[top * w..bottom * w].chunks_exact(w) {
                    accumulate(&mut row, line);
                }
                for (x, out) in out.iter_mut().enumerate() {
                    let (left, right) = clip(self.window, self.size, 1, x);
                    *out = total(&row[left..right]);
                }
            }
        }
    }
}

/// First and end index, along an axis of an image of `size`, of the window at `position`.
#[inline(always)]
fn clip(window: &Window, size: [usize; 2], axis: usize, position: usize) -> (usize, usize) {
    let start = position * window.stride[axis];
    let end = (start + window.size[axis]).saturating_sub(window.pad[axis]).min(size[axis]);
    (start.saturating_sub(window.pad[axis]).min(end), end)
}

/// Adds `row` to `sums`, word by word.
#[inline(always)]
fn accumulate(sums: &mut [u64], row: &[u64]) {
    for (sum, word) in sums.iter_mut().zip(row) {
        *sum = sum.wrapping_add(*word);
    }
}

/// The sum of a slice.
#[inline(always)]
fn total(words: &[u64]) -> u64 {
    words.iter().fold(0, |sum: u64, word| sum.wrapping_add(*word))
}
