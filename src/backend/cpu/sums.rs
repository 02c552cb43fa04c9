//! Sums along an axis and over windows.

use super::isa::{Isa, Task};
use super::{Input, Output};
use crate::graph::Window;

/// Columns of an image whose sums are kept while windows are added up.
const PIECE: usize = 256;

/// `outs[0][o, i] = sum over a of ins[0][o, a, i]`.
pub(super) fn axis(isa: Isa, [axis, inner]: [usize; 2], ins: &[Input<'_>], outs: &mut [Output<'_>]) {
    let (input, output) = (&ins[0], &mut outs[0]);
    output.words.fill(0);
    if !input.words.is_empty() {
        isa.run(SumAxis { words: input.words, axis, inner, out: output.words });
    }
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

/// Sum over each window of each image of `size`; padding is zero.
pub(super) fn pool(isa: Isa, size: [usize; 2], window: &Window, ins: &[Input<'_>], outs: &mut [Output<'_>]) {
    let (input, output) = (&ins[0], &mut outs[0]);
    let result = window.output(size[0], size[1]).unwrap_or_default();
    output.words.fill(0);
    if !input.words.is_empty() {
        isa.run(SumPool { words: input.words, size, result, window, out: output.words });
    }
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
        // Columns of windows are added first, a piece of whole rows at a time, then runs of the resulting row.
        let mut sums = [0; PIECE];
        for (image, out) in self.words.chunks_exact(h * w).zip(self.out.chunks_exact_mut(result_h * result_w)) {
            for (y, out) in out.chunks_exact_mut(result_w).enumerate() {
                let (top, bottom) = clip(self.window, self.size, 0, y);
                for first in (0..w).step_by(PIECE) {
                    let end = w.min(first + PIECE);
                    let sums = &mut sums[..end - first];
                    sums.fill(0);
                    for line in image[top * w..bottom * w].chunks_exact(w) {
                        accumulate(sums, &line[first..end]);
                    }
                    for (x, out) in out.iter_mut().enumerate() {
                        let (left, right) = clip(self.window, self.size, 1, x);
                        let (left, right) = (left.clamp(first, end), right.clamp(first, end));
                        *out = out.wrapping_add(total(&sums[left - first..right - first]));
                    }
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
pub(super) fn accumulate(sums: &mut [u64], row: &[u64]) {
    for (sum, word) in sums.iter_mut().zip(row) {
        *sum = sum.wrapping_add(*word);
    }
}

/// The sum of a slice.
#[inline(always)]
fn total(words: &[u64]) -> u64 {
    words.iter().fold(0, |sum: u64, word| sum.wrapping_add(*word))
}
