//! Matrices as the product kernels see them: words behind separable offsets.
//!
//! Element `(i, j)` of a [`Factor`] is word `rows.at(i) + cols.at(j)`. Row-major and transposed matrices are like that,
//! and so is the matrix of a convolution's windows: a row is a channel and a position in the window, a column an image and
//! a position of the window, and their offsets in the image add up. So one product kernel serves all of them, and of the
//! matrix of windows no more exists in memory than the block that is multiplied.

use std::array::from_fn;

use super::simd::{GROUP, fetch};

/// Offsets of the rows or of the columns of a matrix.
#[derive(Clone, Copy, Debug)]
pub(super) enum Axis<'a> {
    /// Index `i` is at `i * stride` words.
    Stride(usize),
    /// Index `i` is at `table[i]` words.
    Table(&'a [usize]),
}

impl<'a> Axis<'a> {
    /// The offset of an index, in words.
    #[inline(always)]
    pub(super) fn at(self, index: usize) -> usize {
        match self {
            Axis::Stride(stride) => index * stride,
            Axis::Table(table) => table[index],
        }
    }

    /// The indices from `start` on, behind so many words.
    pub(super) fn from(self, start: usize) -> (usize, Axis<'a>) {
        match self {
            Axis::Stride(stride) => (start * stride, self),
            Axis::Table(table) => (0, Axis::Table(&table[start..])),
        }
    }

    /// The offsets of indices from `first` on; indices from `end` on repeat the last one.
    #[inline(always)]
    fn groups<const GROUPS: usize>(self, first: usize, end: usize) -> [[usize; GROUP]; GROUPS] {
        match self {
            Axis::Table(table) if first + GROUPS * GROUP <= end => {
                let mut groups = [[0; GROUP]; GROUPS];
                groups.as_flattened_mut().copy_from_slice(&table[first..first + GROUPS * GROUP]);
                groups
            }
            _ => from_fn(|g| from_fn(|i| self.at((first + g * GROUP + i).min(end - 1)))),
        }
    }
}

/// Words, or the sum of two kinds of them: `a * first + b * second`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words<'a> {
    /// Storage.
    pub first: &'a [u64],
    /// The other storage, as long, with `a` and `b`.
    pub second: Option<(&'a [u64], [u64; 2])>,
}

impl<'a> From<&'a [u64]> for Words<'a> {
    fn from(first: &'a [u64]) -> Words<'a> {
        Words { first, second: None }
    }
}

impl<'a> Words<'a> {
    /// Number `at`.
    #[inline(always)]
    pub(super) fn word(self, at: usize) -> u64 {
        match self.second {
            None => self.first[at],
            Some((second, [a, b])) => a.wrapping_mul(self.first[at]).wrapping_add(b.wrapping_mul(second[at])),
        }
    }

    /// Those in a range.
    #[inline(always)]
    pub(super) fn range(self, start: usize, end: usize) -> Words<'a> {
        Words {
            first: &self.first[start..end],
            second: self.second.map(|(second, factors)| (&second[start..end], factors)),
        }
    }

    /// Writes them all.
    #[inline(always)]
    pub(super) fn write(self, to: &mut [u64]) {
        let Some((second, [a, b])) = self.second else { return to.copy_from_slice(self.first) };
        for ((to, x), y) in to.iter_mut().zip(self.first).zip(second) {
            *to = a.wrapping_mul(*x).wrapping_add(b.wrapping_mul(*y));
        }
    }

    /// The scalar product with as many numbers.
    #[inline(always)]
    pub(super) fn dot(self, others: &[u64]) -> u64 {
        let dot =
            |words: &[u64]| words.iter().zip(others).fold(0, |sum: u64, (x, y)| sum.wrapping_add(x.wrapping_mul(*y)));
        match self.second {
            None => dot(self.first),
            // The factors of a sum are factors of its product.
            Some((second, [a, b])) => a.wrapping_mul(dot(self.first)).wrapping_add(b.wrapping_mul(dot(second))),
        }
    }

    /// How many.
    pub(super) fn len(self) -> usize {
        self.first.len()
    }
}

/// A matrix whose element `(i, j)` is `words[rows.at(i) + cols.at(j)]`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Factor<'a> {
    /// Storage.
    pub words: Words<'a>,
    /// Offsets of rows.
    pub rows: Axis<'a>,
    /// Offsets of columns.
    pub cols: Axis<'a>,
}

impl<'a> Factor<'a> {
    /// A row-major matrix with `cols` columns.
    pub(super) fn row_major(words: Words<'a>, cols: usize) -> Factor<'a> {
        Factor { words, rows: Axis::Stride(cols), cols: Axis::Stride(1) }
    }

    /// The rows from one on, and of them the columns from one on.
    pub(super) fn part(self, row: usize, col: usize) -> Factor<'a> {
        let ((above, rows), (before, cols)) = (self.rows.from(row), self.cols.from(col));
        Factor { words: self.words.range(above + before, self.words.len()), rows, cols }
    }

    /// The same words with rows and columns exchanged.
    pub(super) fn transposed(self) -> Factor<'a> {
        Factor { words: self.words, rows: self.cols, cols: self.rows }
    }
}

/// Offsets of `GROUPS` groups of neighbouring columns (or rows).
pub(super) struct Lanes<const GROUPS: usize> {
    offsets: [[usize; GROUP]; GROUPS],
    /// Whether the offsets of a group are consecutive.
    consecutive: [bool; GROUPS],
}

impl<const GROUPS: usize> Lanes<GROUPS> {
    /// Offsets of indices from `first` on; indices from `end` on repeat the last one, their values mean nothing.
    #[inline(always)]
    pub(super) fn new(axis: Axis<'_>, first: usize, end: usize) -> Lanes<GROUPS> {
        let offsets = axis.groups(first, end);
        let consecutive = from_fn(|g| {
            let group: &[usize; GROUP] = &offsets[g];
            (1..GROUP).fold(true, |all, i| all & (group[i] == group[0] + i))
        });
        Lanes { offsets, consecutive }
    }

    /// Words `base + offset` of group `g`.
    #[inline(always)]
    pub(super) fn load(&self, words: &[u64], base: usize, g: usize) -> [u64; GROUP] {
        let mut group = [0; GROUP];
        self.copy(words, base, g, &mut group);
        group
    }

    /// The same into memory.
    #[inline(always)]
    pub(super) fn copy(&self, words: &[u64], base: usize, g: usize, to: &mut [u64; GROUP]) {
        let offsets = &self.offsets[g];
        if self.consecutive[g] {
            let start = base + offsets[0];
            to.copy_from_slice(&words[start..start + GROUP]);
        } else {
            for (to, offset) in to.iter_mut().zip(offsets) {
                *to = words[base + offset];
            }
        }
    }

    /// Has the processor fetch the first words of group `g`, those at `base` and on, if they are there.
    #[inline(always)]
    pub(super) fn fetch(&self, words: &[u64], base: usize, g: usize) {
        if let Some(words) = words.get(base + self.offsets[g][0]..).and_then(<[u64]>::first_chunk) {
            fetch(words);
        }
    }

    /// The offsets of group `g`.
    #[inline(always)]
    pub(super) fn offsets(&self, g: usize) -> &[usize; GROUP] {
        &self.offsets[g]
    }

    /// Adds to the words at the first `count` offsets.
    #[inline(always)]
    pub(super) fn add(&self, words: &mut [u64], base: usize, values: &[[u64; GROUP]; GROUPS], count: usize) {
        for (g, values) in values.iter().enumerate() {
            let offsets = &self.offsets[g];
            if self.consecutive[g] {
                let start = base + offsets[0];
                for (word, value) in words[start..start + GROUP].iter_mut().zip(values) {
                    *word = word.wrapping_add(*value);
                }
            } else {
                for (value, offset) in values.iter().zip(offsets).take(count.saturating_sub(g * GROUP)) {
                    words[base + offset] = words[base + offset].wrapping_add(*value);
                }
            }
        }
    }
}
