//! Blocks of a left factor as a register tile reads them: packed, or where they lie.
//!
//! A tile reads a word of each of `R` rows at a time and repeats it in all places of a vector, so that rows which lie in memory
//! in one piece need not be packed: weights, which are a left factor, are read where the party keeps them.

use super::factor::{Axis, Factor};
use super::packing::pack_left;
use super::products::Panels;
use super::simd::Simd;
use super::tile::Rows;

/// Panels of `R` rows.
pub(super) trait Left<const R: usize>: Copy {
    type Rows: Rows<R>;

    /// The rows of a panel.
    fn rows(&self, panel: usize) -> Self::Rows;

    /// What closes it.
    fn closing(&self, panel: usize) -> &[[u64; R]];
}

/// Whether a factor is read in place: its rows lie in one piece, and are no sums.
pub(super) fn is_in_place(left: &Factor<'_>) -> bool {
    matches!(left.cols, Axis::Stride(1)) && left.words.second.is_none()
}

/// Rows that were packed.
#[derive(Clone, Copy)]
pub(super) struct Packed<'a, const R: usize> {
    columns: &'a [[u64; R]],
    depth: usize,
    closing: usize,
}

impl<'a, const R: usize> Packed<'a, R> {
    /// Packs rows `rows` of columns `inner` into `room`.
    #[inline(always)]
    pub(super) fn new<S: Simd, P: Panels>(
        how: (S, P),
        left: &Factor<'_>,
        inner: (usize, usize),
        rows: (usize, usize),
        room: &'a mut Vec<u64>,
    ) -> Packed<'a, R> {
        pack_left::<S, P, R>(how, left, inner, rows, room);
        Packed { columns: room.as_chunks::<R>().0, depth: inner.1 - inner.0, closing: P::CLOSING }
    }
}

impl<'a, const R: usize> Left<R> for Packed<'a, R> {
    type Rows = &'a [[u64; R]];

    #[inline(always)]
    fn rows(&self, panel: usize) -> &'a [[u64; R]] {
        &self.columns[panel * (self.depth + self.closing)..][..self.depth]
    }

    #[inline(always)]
    fn closing(&self, panel: usize) -> &[[u64; R]] {
        &self.columns[panel * (self.depth + self.closing) + self.depth..][..self.closing]
    }
}

/// Rows where they lie.
#[derive(Clone, Copy)]
pub(super) struct InPlace<'a, const R: usize> {
    left: Factor<'a>,
    inner: (usize, usize),
    rows: (usize, usize),
    closing: &'a [[u64; R]],
    each: usize,
}

impl<'a, const R: usize> InPlace<'a, R> {
    /// Rows `rows` of columns `inner`, with what closes them in `room`.
    #[inline(always)]
    pub(super) fn new<P: Panels>(
        panels: P,
        left: &Factor<'a>,
        inner: (usize, usize),
        rows: (usize, usize),
        room: &'a mut Vec<u64>,
    ) -> InPlace<'a, R> {
        let count = (rows.1 - rows.0).div_ceil(R);
        let words = count * R * P::CLOSING;
        room.resize(words.max(room.len()), 0);
        let block = InPlace { left: *left, inner, rows, closing: &[], each: P::CLOSING };
        if P::CLOSING > 0 {
            let closing = room[..words].as_chunks_mut::<R>().0;
            for (panel, closing) in closing.chunks_exact_mut(P::CLOSING).enumerate() {
                panels.close_rows(&block.rows(panel), closing);
            }
        }
        InPlace { closing: room[..words].as_chunks::<R>().0, ..block }
    }
}

impl<'a, const R: usize> Left<R> for InPlace<'a, R> {
    type Rows = [&'a [u64]; R];

    /// Behind the last row there is that again.
    #[inline(always)]
    fn rows(&self, panel: usize) -> [&'a [u64]; R] {
        let (first, end) = (self.rows.0 + panel * R, self.rows.1);
        let mut rows = [&[][..]; R];
        for (r, row) in rows.iter_mut().enumerate() {
            let start = self.left.rows.at((first + r).min(end - 1));
            *row = &self.left.words.first[start + self.inner.0..start + self.inner.1];
        }
        rows
    }

    #[inline(always)]
    fn closing(&self, panel: usize) -> &[[u64; R]] {
        &self.closing[panel * self.each..][..self.each]
    }
}
