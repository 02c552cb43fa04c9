//! Matrices of words in memory, row by row: quarters of them, sums, and the ways from factors and to results.

use smallvec::SmallVec;

use super::factor::{Axis, Factor, Lanes, Words};
use super::gemm::Target;
use super::isa::{Isa, Task};
use super::simd::GROUP;
use super::sums::accumulate;

/// Columns that are put together at a time, where they do not lie in one piece.
const STRIP: usize = 128;

/// Makes room for so many words.
pub(super) fn grow(room: &mut Vec<u64>, words: usize) {
    room.resize(words.max(room.len()), 0);
}

/// A matrix whose rows lie in memory one after the other, `stride` words apart.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    pub words: &'a [u64],
    pub stride: usize,
    pub rows: usize,
    pub cols: usize,
}

impl<'a> Matrix<'a> {
    /// Its quarters: above left, above right, below left, below right. Of an odd number of rows more are above.
    pub(super) fn quarters(self) -> [Matrix<'a>; 4] {
        let (above, cols) = (self.rows.div_ceil(2), self.cols / 2);
        let below = self.rows - above;
        [(0, 0, above), (0, cols, above), (above, 0, below), (above, cols, below)].map(|(row, col, rows)| Matrix {
            words: &self.words[row * self.stride + col..],
            rows,
            cols,
            ..self
        })
    }

    /// Row `row`; behind the last one, that again.
    #[inline(always)]
    fn row(self, row: usize) -> &'a [u64] {
        &self.words[row.min(self.rows - 1) * self.stride..][..self.cols]
    }

    /// The matrix as a factor.
    pub(super) fn factor(self) -> Factor<'a> {
        Factor::row_major(self.words.into(), self.stride)
    }
}

/// A matrix without gaps.
pub(super) fn dense(words: &[u64], rows: usize, cols: usize) -> Matrix<'_> {
    Matrix { words, stride: cols, rows, cols }
}

/// Sums of matrices, of which one may be what there is.
pub(super) enum Sum<'a> {
    /// `x + y`.
    Plus(Matrix<'a>, Matrix<'a>),
    /// `x - y`.
    Minus(Matrix<'a>, Matrix<'a>),
    /// What there is, less `x`.
    Less(Matrix<'a>),
    /// `x`, less what there is.
    From(Matrix<'a>),
}

/// Forms a sum in a matrix without gaps.
pub(super) struct Form<'a> {
    pub to: &'a mut [u64],
    pub sum: Sum<'a>,
}

impl Task for Form<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let (Sum::Plus(x, _) | Sum::Minus(x, _) | Sum::Less(x) | Sum::From(x)) = self.sum;
        for (i, to) in self.to.chunks_exact_mut(x.cols).enumerate() {
            match self.sum {
                Sum::Plus(x, y) => {
                    for ((to, x), y) in to.iter_mut().zip(x.row(i)).zip(y.row(i)) {
                        *to = x.wrapping_add(*y);
                    }
                }
                Sum::Minus(x, y) => {
                    for ((to, x), y) in to.iter_mut().zip(x.row(i)).zip(y.row(i)) {
                        *to = x.wrapping_sub(*y);
                    }
                }
                Sum::Less(x) => {
                    for (to, x) in to.iter_mut().zip(x.row(i)) {
                        *to = to.wrapping_sub(*x);
                    }
                }
                Sum::From(x) => {
                    for (to, x) in to.iter_mut().zip(x.row(i)) {
                        *to = x.wrapping_sub(*to);
                    }
                }
            }
        }
    }
}

/// Adds a matrix to one and its first rows, so many, to another one; the rows of both are `stride` words apart.
pub(super) struct Add<'a> {
    pub to: &'a mut [u64],
    pub other: (&'a mut [u64], usize),
    pub stride: usize,
    pub what: Matrix<'a>,
}

impl Task for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let (other, rows) = self.other;
        let mut other = other.chunks_mut(self.stride).take(rows);
        for (i, to) in self.to.chunks_mut(self.stride).enumerate().take(self.what.rows) {
            let words = self.what.row(i);
            accumulate(to, words);
            // The row is near by now.
            accumulate(other.next().unwrap_or_default(), words);
        }
    }
}

/// A factor of these rows and columns as a matrix: where it lies, or put together in `room`.
pub(super) fn row_by_row<'a>(
    factor: &Factor<'a>,
    [rows, cols]: [usize; 2],
    isa: Isa,
    room: &'a mut Vec<u64>,
) -> Matrix<'a> {
    if let (Axis::Stride(stride), Axis::Stride(1), None) = (factor.rows, factor.cols, factor.words.second) {
        return Matrix { words: factor.words.first, stride, rows, cols };
    }
    grow(room, rows * cols);
    let to = &mut room[..rows * cols];
    isa.run(Gather { factor, cols, to: &mut *to });
    dense(to, rows, cols)
}

/// Puts a factor together, row by row.
struct Gather<'a, 'b> {
    factor: &'a Factor<'b>,
    cols: usize,
    to: &'a mut [u64],
}

impl Task for Gather<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Gather { factor: Factor { words, rows, cols: axis }, cols, to } = self;
        if let Axis::Stride(1) = axis {
            for (i, to) in to.chunks_exact_mut(cols).enumerate() {
                let start = rows.at(i);
                words.range(start, start + cols).write(to);
            }
            return;
        }
        let whole = cols - cols % GROUP;
        for first in (0..whole).step_by(STRIP) {
            let end = whole.min(first + STRIP);
            let lanes: SmallVec<[_; STRIP / GROUP]> =
                (first..end).step_by(GROUP).map(|col| Lanes::<1>::new(*axis, col, end)).collect();
            for (i, to) in to.chunks_exact_mut(cols).enumerate() {
                let base = rows.at(i);
                for (to, lanes) in to[first..end].as_chunks_mut::<GROUP>().0.iter_mut().zip(&lanes) {
                    *to = lanes.load(words.first, base, 0);
                    if let Some((second, by)) = words.second {
                        let first = *to;
                        Words { first: &first, second: Some((&lanes.load(second, base, 0), by)) }.write(to);
                    }
                }
            }
        }
        for (i, to) in to.chunks_exact_mut(cols).enumerate() {
            for (j, word) in to.iter_mut().enumerate().skip(whole) {
                *word = words.word(rows.at(i) + axis.at(j));
            }
        }
    }
}

/// Adds a matrix without gaps to a target.
pub(super) struct Spread<'a> {
    pub words: &'a [u64],
    pub cols: usize,
    pub target: Target<'a>,
    pub out: &'a mut [u64],
}

impl Task for Spread<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Spread { words, cols, target, out } = self;
        for (i, words) in words.chunks_exact(cols).enumerate() {
            let base = target.rows.at(i);
            let (groups, rest) = words.as_chunks::<GROUP>();
            for (group, col) in groups.iter().zip((0..cols).step_by(GROUP)) {
                Lanes::<1>::new(target.cols, col, cols).add(out, base, &[*group], GROUP);
            }
            for (word, col) in rest.iter().zip(cols - rest.len()..) {
                let to = &mut out[base + target.cols.at(col)];
                *to = to.wrapping_add(*word);
            }
        }
    }
}
