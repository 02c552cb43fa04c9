//! Blocks of factors are split into limbs and packed into panels of tiles.
//!
//! The inner dimension is that of all pairs, one after the other. A panel is 16 rows or columns; it has for each 64 steps of the
//! inner dimension a tile of each limb: those of the left factor upwards, of the right one downwards. Behind the last step the
//! left factor is zero; what the right one is there does not matter.

use smallvec::SmallVec;

use super::factor::{Axis, Factor, Lanes, Words};
use super::gemm::Product;
use super::limbs::{LIMBS, LINE, Line, ROWS, Tiles, WIDTH};
use super::packing;
use super::simd::{GROUP, Group, Simd};

/// Lines of so many rows of a left factor, or columns of a right one.
pub(super) fn lines(rows: usize, steps: usize) -> usize {
    rows.next_multiple_of(ROWS) * LIMBS * steps
}

/// Makes room for panels.
pub(super) fn room(panels: &mut Vec<Line>, lines: usize) -> &mut [Line] {
    if panels.len() < lines {
        panels.resize(lines, Line([0; LINE]));
    }
    &mut panels[..lines]
}

/// The parts of the pairs that make up a part of the inner dimension: where they begin in it, the pair and its steps.
#[inline(always)]
fn segments<'a>(
    product: &'a Product<'a>,
    (first, end): (usize, usize),
) -> impl Iterator<Item = (usize, &'a (Factor<'a>, Factor<'a>), (usize, usize))> {
    let depth = product.depth;
    product.pairs.iter().enumerate().filter_map(move |(number, pair)| {
        let (from, to) = (first.max(number * depth), end.min((number + 1) * depth));
        (from < to).then(|| (from - first, pair, (from - number * depth, to - number * depth)))
    })
}

/// Packs rows of a part of the inner dimension of all left factors.
#[inline(always)]
pub(super) fn pack_left<S: Simd, T: Tiles>(
    (simd, tiles): (S, T),
    product: &Product<'_>,
    inner: (usize, usize),
    (first, end): (usize, usize),
    panels: &mut Vec<Line>,
) {
    let steps = (inner.1 - inner.0).div_ceil(LINE);
    let panels = room(panels, lines(end - first, steps));
    let mut square = [[[0; GROUP]; GROUP]; ROWS];
    for (panel, row) in panels.chunks_exact_mut(lines(ROWS, steps)).zip((first..end).step_by(ROWS)) {
        let used = (end - row).min(ROWS);
        for (step, tiles_of_step) in panel.chunks_exact_mut(LIMBS * ROWS).enumerate() {
            let start = inner.0 + step * LINE;
            let part = (start, inner.1.min(start + LINE));
            if part.1 - part.0 < LINE {
                square = [[[0; GROUP]; GROUP]; ROWS];
            }
            for (at, (left, _), inner) in segments(product, part) {
                read_rows(simd, left, row, inner, &mut square[..used], at);
            }
            for (i, words) in square[..used].iter().enumerate() {
                for (limb, line) in tiles.split(*words).into_iter().enumerate() {
                    tiles_of_step[limb * ROWS + i] = line;
                }
            }
        }
    }
}

/// Reads steps of rows from `row` on to words `at` and on of each row of `to`.
#[inline(always)]
fn read_rows<S: Simd>(
    simd: S,
    left: &Factor<'_>,
    row: usize,
    (first, end): (usize, usize),
    to: &mut [[[u64; GROUP]; GROUP]],
    at: usize,
) {
    if let (Axis::Stride(1), None) = (left.rows, left.words.second) {
        // Rows are columns that lie in one piece.
        for k in (first..end).step_by(GROUP) {
            let offsets = std::array::from_fn(|i| left.cols.at((k + i).min(end - 1)));
            let used = (end - k).min(GROUP);
            let at = at + k - first;
            packing::columns(simd, left.words.first, &offsets, (row, row + to.len()), |i, words| {
                to[i].as_flattened_mut()[at..at + used].copy_from_slice(&words[..used]);
            });
        }
        return;
    }
    for (i, to) in to.iter_mut().enumerate() {
        let base = left.rows.at(row + i);
        let to = &mut to.as_flattened_mut()[at..at + end - first];
        if let Axis::Stride(1) = left.cols {
            left.words.range(base + first, base + end).write(to);
        } else {
            for (to, k) in to.iter_mut().zip(first..end) {
                *to = left.words.word(base + left.cols.at(k));
            }
        }
    }
}

/// Packs columns of a part of the inner dimension of all right factors, whose words are put together in `words` step by step.
#[inline(always)]
pub(super) fn pack_right<S: Simd, T: Tiles>(
    (simd, tiles): (S, T),
    product: &Product<'_>,
    inner: (usize, usize),
    cols: (usize, usize),
    (words, panels): (&mut Vec<Group>, &mut Vec<Line>),
) {
    let steps = (inner.1 - inner.0).div_ceil(LINE);
    let panels = room(panels, lines(cols.1 - cols.0, steps));
    let mut columns = Columns::new(cols, steps, words, panels);
    for step in 0..steps {
        let start = inner.0 + step * LINE;
        let part = (start, inner.1.min(start + LINE));
        for (at, (_, right), inner) in segments(product, part) {
            columns.read(simd, right, inner, at);
        }
        columns.pack(tiles, step);
    }
}

/// Panels of some columns of a right factor, and its words of a step, strip by strip.
pub(super) struct Columns<'a> {
    cols: (usize, usize),
    steps: usize,
    strips: &'a mut [Group],
    panels: &'a mut [Line],
}

impl<'a> Columns<'a> {
    /// Panels of so many steps, and room for words.
    pub(super) fn new(
        cols: (usize, usize),
        steps: usize,
        words: &'a mut Vec<Group>,
        panels: &'a mut [Line],
    ) -> Columns<'a> {
        let strips = (cols.1 - cols.0).div_ceil(ROWS) * STRIP;
        words.resize(words.len().max(strips), Group::default());
        Columns { cols, steps, strips: &mut words[..strips], panels }
    }

    /// Reads rows `inner`, of a step those from row `at` on.
    #[inline(always)]
    pub(super) fn read<S: Simd>(&mut self, simd: S, right: &Factor<'_>, inner: (usize, usize), at: usize) {
        read_columns(simd, right, self.cols, inner, at, self.strips);
    }

    /// Packs what was read as a step.
    #[inline(always)]
    pub(super) fn pack<T: Tiles>(&mut self, tiles: T, step: usize) {
        let panels = self.panels.chunks_exact_mut(lines(ROWS, self.steps));
        for (panel, strip) in panels.zip(self.strips.chunks_exact(STRIP)) {
            let panel = &mut panel[step * LIMBS * ROWS..][..LIMBS * ROWS];
            for (i, groups) in strip.as_chunks::<GROUP>().0.iter().enumerate() {
                let mut words = [[0; GROUP]; GROUP];
                for (words, group) in words.iter_mut().zip(groups) {
                    *words = group.0;
                }
                for (limb, line) in tiles.split(words).into_iter().enumerate() {
                    panel[(LIMBS - 1 - limb) * ROWS + i] = tiles.interleave(line);
                }
            }
        }
    }
}

/// Groups of a tile's columns, and of the strip of all its rows in a step.
pub(super) const GROUPS: usize = ROWS / GROUP;
const STRIP: usize = LINE * GROUPS;

/// The word in row `k` and column `n` of what [`Columns::pack`] made of a step.
pub(super) fn unpacked(step: &[Line], k: usize, n: usize) -> u64 {
    let mut limbs = [0; LIMBS];
    for (limb, tile) in limbs.iter_mut().rev().zip(step.chunks_exact(ROWS)) {
        *limb = tile[k / 4].0[4 * n + k % 4];
    }
    u64::from_le_bytes(limbs)
}

/// Rows that are fetched ahead.
const AHEAD: usize = 4;

/// Reads rows of columns into strips, there from row `at` on; behind the last column there is that again. Row by row: what lies
/// side by side is read one after the other.
#[inline(always)]
fn read_columns<S: Simd>(
    simd: S,
    right: &Factor<'_>,
    (first, end): (usize, usize),
    inner: (usize, usize),
    at: usize,
    strips: &mut [Group],
) {
    let lanes: SmallVec<[_; WIDTH / ROWS]> =
        (first..end).step_by(ROWS).map(|col| Lanes::<GROUPS>::new(right.cols, col, end)).collect();
    let first = right.words.first;
    if let (Axis::Stride(1), None) = (right.rows, right.words.second) {
        for (lanes, strip) in lanes.iter().zip(strips.chunks_exact_mut(STRIP)) {
            for g in 0..GROUPS {
                packing::columns(simd, first, lanes.offsets(g), inner, |i, words| {
                    strip[(at + i) * GROUPS + g].0 = words;
                });
            }
        }
        return;
    }
    for (i, k) in (inner.0..inner.1).enumerate() {
        let base = right.rows.at(k);
        let ahead = right.rows.at((k + AHEAD).min(inner.1 - 1));
        for (lanes, strip) in lanes.iter().zip(strips.chunks_exact_mut(STRIP)) {
            for (g, to) in strip[(at + i) * GROUPS..][..GROUPS].iter_mut().enumerate() {
                lanes.fetch(first, ahead, g);
                lanes.copy(first, base, g, &mut to.0);
                if let Some((second, by)) = right.words.second {
                    let first = to.0;
                    lanes.copy(second, base, g, &mut to.0);
                    let second = to.0;
                    Words { first: &first, second: Some((&second, by)) }.write(&mut to.0);
                }
            }
        }
    }
}
