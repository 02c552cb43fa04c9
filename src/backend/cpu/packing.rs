//! Blocks of factors are packed into panels, as a register tile reads them.

use std::array::from_fn;

use smallvec::SmallVec;

use super::factor::{Axis, Factor, Lanes};
use super::gemm::blocks;
use super::products::Panels;
use super::simd::{GROUP, Group, Simd};

/// Panels of a block of the right factor, at most: those of the narrowest tile.
const PANELS: usize = blocks(1).width / GROUP;

/// Packs rows `first..end` of columns `inner` into panels of `R` rows: for each column, its word in each row.
#[inline(always)]
pub(super) fn pack_left<S: Simd, P: Panels, const R: usize>(
    (simd, panels): (S, P),
    left: &Factor<'_>,
    inner: (usize, usize),
    (first, end): (usize, usize),
    packed: &mut Vec<u64>,
) {
    let panel = R * (inner.1 - inner.0 + P::CLOSING);
    let words = (end - first).div_ceil(R) * panel;
    if packed.len() < words {
        packed.resize(words, 0);
    }
    let packed = &mut packed[..words];
    let first_words = left.words.first;
    match left.words.second {
        None => pack_left_words::<S, R>(simd, left, first_words, inner, (first, end), packed, |_, word| word),
        Some((second, [a, b])) => {
            pack_left_words::<S, R>(simd, left, first_words, inner, (first, end), packed, |_, word| {
                a.wrapping_mul(word)
            });
            pack_left_words::<S, R>(simd, left, second, inner, (first, end), packed, |sum, word| {
                sum.wrapping_add(b.wrapping_mul(word))
            });
        }
    }
    for panel in packed.chunks_exact_mut(panel) {
        let (rows, closing) = panel.as_chunks_mut::<R>().0.split_at_mut(inner.1 - inner.0);
        panels.close(rows, closing);
    }
}

/// The same with one storage, but for what closes panels: `put` makes a packed word of what was there before and what is
/// read.
#[inline(always)]
fn pack_left_words<S: Simd, const R: usize>(
    simd: S,
    left: &Factor<'_>,
    source: &[u64],
    inner: (usize, usize),
    (first, end): (usize, usize),
    packed: &mut [u64],
    put: impl Fn(u64, u64) -> u64 + Copy,
) {
    let panel = packed.len() / (end - first).div_ceil(R);
    for (panel, start) in packed.chunks_exact_mut(panel).zip((first..end).step_by(R)) {
        if let (Axis::Stride(1), GROUP) = (left.cols, R) {
            let offsets = from_fn(|i| left.rows.at((start + i).min(end - 1)));
            let panel = panel.as_chunks_mut::<GROUP>().0;
            columns(simd, source, &offsets, inner, |i, words| panel[i] = from_fn(|j| put(panel[i][j], words[j])));
            continue;
        }
        let offsets: [usize; R] = from_fn(|i| left.rows.at((start + i).min(end - 1)));
        for (words, k) in panel.as_chunks_mut::<R>().0.iter_mut().zip(inner.0..inner.1) {
            let base = left.cols.at(k);
            *words = from_fn(|r| put(words[r], source[base + offsets[r]]));
        }
    }
}

/// First and end column of each panel of up to `G` groups: as few panels as there can be, and all about as wide, since in a
/// narrow one a word of the left factor is used seldom.
#[inline(always)]
pub(super) fn panels<const G: usize>(first: usize, end: usize) -> impl Iterator<Item = (usize, usize)> {
    let groups = (end - first).div_ceil(GROUP);
    let count = groups.div_ceil(G);
    let start = move |panel: usize| end.min(first + panel * groups / count * GROUP);
    (0..count).map(move |panel| (start(panel), start(panel + 1)))
}

/// Packs columns `first..end` of rows `inner` into [`panels`]: for each row, its words in these columns.
#[inline(always)]
pub(super) fn pack_right<S: Simd, P: Panels, const G: usize>(
    (simd, products): (S, P),
    right: &Factor<'_>,
    inner: (usize, usize),
    (first, end): (usize, usize),
    packed: &mut Vec<Group>,
) {
    let lanes: SmallVec<[_; PANELS]> =
        panels::<G>(first, end).map(|(first, end)| Lanes::<G>::new(right.cols, first, end)).collect();
    let depth = inner.1 - inner.0;
    let panel = G * (depth + P::CLOSING);
    let groups = lanes.len() * panel;
    if packed.len() < groups {
        packed.resize(groups, Group::default());
    }
    let packed = &mut packed[..groups];
    for panel in packed.chunks_exact_mut(panel) {
        panel[G * depth..].fill(P::OPEN);
    }
    let first = right.words.first;
    let Some((second, [a, b])) = right.words.second else {
        return pack_right_words::<S, G>(simd, right, first, inner, &lanes, packed, |_, words, closing| {
            products.pack(words, closing)
        });
    };
    pack_right_words::<S, G>(simd, right, first, inner, &lanes, packed, |_, words, _| {
        Group(words.map(|word| a.wrapping_mul(word)))
    });
    pack_right_words::<S, G>(simd, right, second, inner, &lanes, packed, |sums, words, closing| {
        products.pack(from_fn(|i| sums.0[i].wrapping_add(b.wrapping_mul(words[i]))), closing)
    });
}

/// The same with one storage: `put` makes a packed group of what was there before and the words that are read, and may
/// change the group that closes it, if there is one.
#[inline(always)]
fn pack_right_words<S: Simd, const G: usize>(
    simd: S,
    right: &Factor<'_>,
    source: &[u64],
    inner: (usize, usize),
    lanes: &[Lanes<G>],
    packed: &mut [Group],
    put: impl Fn(Group, [u64; GROUP], Option<&mut Group>) -> Group + Copy,
) {
    let depth = inner.1 - inner.0;
    let panels = packed.chunks_exact_mut(packed.len() / lanes.len()).zip(lanes);
    if let Axis::Stride(1) = right.rows {
        for (panel, lanes) in panels {
            let (panel, closing) = panel.split_at_mut(G * depth);
            for g in 0..G {
                columns(simd, source, lanes.offsets(g), inner, |i, words| {
                    let group = &mut panel[i * G + g];
                    *group = put(*group, words, closing.get_mut(g));
                });
            }
        }
        return;
    }
    // Row by row: neighbouring panels are neighbours in a row.
    let mut panels: SmallVec<[_; PANELS]> =
        panels.map(|(panel, lanes)| (panel.split_at_mut(G * depth), lanes)).collect();
    for (i, k) in (inner.0..inner.1).enumerate() {
        let base = right.rows.at(k);
        for ((panel, closing), lanes) in &mut panels {
            for (g, group) in panel[i * G..(i + 1) * G].iter_mut().enumerate() {
                *group = put(*group, lanes.load(source, base, g), closing.get_mut(g));
            }
        }
    }
}

/// Reads columns that each lie in one piece, at `offsets`, and hands on their rows `inner` one by one.
#[inline(always)]
pub(super) fn columns<S: Simd>(
    simd: S,
    words: &[u64],
    offsets: &[usize; GROUP],
    inner: (usize, usize),
    mut put: impl FnMut(usize, [u64; GROUP]),
) {
    let depth = inner.1 - inner.0;
    let columns = offsets.map(|offset| &words[offset + inner.0..offset + inner.1]);
    let whole = depth - depth % GROUP;
    for i in (0..whole).step_by(GROUP) {
        let square = columns.map(|column| {
            let mut words = [0; GROUP];
            words.copy_from_slice(&column[i..i + GROUP]);
            simd.load(words)
        });
        for (j, row) in simd.transpose(square).into_iter().enumerate() {
            put(i + j, simd.store(row));
        }
    }
    for i in whole..depth {
        put(i, columns.map(|column| column[i]));
    }
}
