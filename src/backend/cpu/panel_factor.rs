//! A right matrix that serves for many products, packed once into the panels that register tiles read, which take the place of
//! its words.
//!
//! As many rows as are multiplied at a time lie one after the other in both forms, and of these the panels: all as wide as a
//! tile, but for the last one, which has the groups that are left.

use super::factor::{Axis, Factor, Words};
use super::gemm::{Block, Target, Workspace, blocks, by_columns, evenly, is_narrow, is_shared};
use super::isa::{Isa, TileTask};
use super::left::{self, InPlace};
use super::limb_factor::Shape;
use super::limbs;
use super::packing::pack_right;
use super::products::{Direct, Panels};
use super::right::Right;
use super::simd::{GROUP, Group, Simd};
use super::strassen;
use super::threads::each_part;

/// Products with fewer rows read words where they lie.
const LEAST: usize = 9;

/// Rows up to which panels are faster than a level of Strassen's way, which packs quarters for each product: it saves an eighth of
/// the multiplications. Where tiles are wide packing is a larger part.
const MOST: usize = 64;
const MOST_OF_WIDE: usize = 128;

/// Columns that threads share: whole panels of every tile.
const UNIT: usize = 3 * GROUP;

/// Packs the right matrix in place, if panels are the fastest way then and there is nothing to be filled up. What closes the
/// panels, if it is packed.
pub(super) fn pack(isa: Isa, shape: Shape, words: &mut [u64]) -> Option<Vec<Group>> {
    let Shape { rows, depth, cols } = shape;
    let fits = cols.is_multiple_of(GROUP) && words.len() == depth * cols && !words.is_empty();
    let most = if isa.has_wide_tiles() { MOST_OF_WIDE } else { MOST };
    let pays = rows >= LEAST
        && !is_narrow(isa, rows, cols)
        && (rows <= most || strassen::levels([rows, depth, cols]) == 0)
        && !(isa.has_limbs() && limbs::pay([rows, depth, cols]));
    if !fits || !pays || bytemuck::try_cast_slice::<_, Group>(words).is_err() {
        return None;
    }
    let mut closing = Vec::new();
    isa.run_tiles(Pack { shape, words, closing: &mut closing });
    Some(closing)
}

/// The words of a matrix that is packed.
pub(super) fn unpack(isa: Isa, shape: Shape, packed: &[u64], words: &mut [u64]) {
    isa.run_tiles(Unpack { shape, packed, words });
}

/// Adds the product with a right matrix that is packed and closed to `out`, row by row.
pub(super) fn add(
    isa: Isa,
    shape: Shape,
    (left, packed, closing): (Words<'_>, &[u64], &[Group]),
    space: &mut Workspace,
    out: &mut [u64],
) {
    let Shape { rows, depth, cols } = shape;
    let multiply = |(first, end): (usize, usize), columns, space: &mut Workspace, out: &mut [u64]| {
        let (shape, left) = (Shape { rows: end - first, ..shape }, left.range(first * depth, end * depth));
        isa.run_tiles(Multiply { shape, left, right: (bytemuck::cast_slice(packed), closing), columns, space, out });
    };
    if !is_shared([rows, depth, cols], space) {
        multiply((0, rows), (0, cols), space, out);
    } else if rows > cols {
        let step = rows.div_ceil(space.threads).next_multiple_of(GROUP);
        let starts = (0..rows).step_by(step);
        space.for_parts(starts.len(), |spaces| {
            each_part(starts.zip(out.chunks_mut(step * cols)).zip(spaces), |((first, out), space)| {
                multiply((first, rows.min(first + step)), (0, cols), space, out);
            });
        });
    } else {
        let target = Target { rows: Axis::Stride(cols), cols: Axis::Stride(1) };
        by_columns([rows, cols], UNIT, target, space, out, |columns, space, out| {
            multiply((0, rows), columns, space, out)
        });
    }
}

/// Rows that are multiplied at a time.
fn deep<const G: usize>(depth: usize) -> usize {
    evenly(depth, const { blocks(G).depth }, GROUP)
}

/// First column and groups of each panel of so many columns.
fn panels<const G: usize>(cols: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..cols).step_by(G * GROUP).map(move |first| (first, G.min((cols - first) / GROUP)))
}

struct Pack<'a> {
    shape: Shape,
    words: &'a mut [u64],
    closing: &'a mut Vec<Group>,
}

impl TileTask for Pack<'_> {
    #[inline(always)]
    fn run<S: Simd, P: Direct, const R: usize, const G: usize>(self, simd: S, products: P) {
        const { assert!(UNIT.is_multiple_of(G * GROUP) && P::Panels::CLOSING <= 1) };
        let Pack { shape: Shape { depth, cols, .. }, words, closing } = self;
        let (mut source, mut panel) = (Vec::new(), Vec::new());
        for words in words.chunks_mut(deep::<G>(depth) * cols) {
            source.clear();
            source.extend_from_slice(words);
            let (right, deep) = (Factor::row_major(source[..].into(), cols), words.len() / cols);
            for (first, groups) in panels::<G>(cols) {
                let end = first + groups * GROUP;
                let how = (simd, products.panels());
                pack_right::<S, P::Panels, G>(how, &right, (0, deep), (first, end), &mut panel);
                let (rows, closed) = panel.split_at(G * deep);
                let to = words[first * deep..end * deep].chunks_exact_mut(groups * GROUP);
                for (row, to) in rows.as_chunks::<G>().0.iter().zip(to) {
                    to.copy_from_slice(&bytemuck::cast_slice(row)[..groups * GROUP]);
                }
                for closed in closed.as_chunks::<G>().0.iter().take(P::Panels::CLOSING) {
                    closing.extend_from_slice(&closed[..groups]);
                }
            }
        }
    }
}

struct Unpack<'a> {
    shape: Shape,
    packed: &'a [u64],
    words: &'a mut [u64],
}

impl TileTask for Unpack<'_> {
    #[inline(always)]
    fn run<S: Simd, P: Direct, const R: usize, const G: usize>(self, _: S, products: P) {
        let Unpack { shape: Shape { depth, cols, .. }, packed, words } = self;
        let part = deep::<G>(depth) * cols;
        for (packed, words) in packed.chunks(part).zip(words.chunks_mut(part)) {
            let deep = words.len() / cols;
            for (first, groups) in panels::<G>(cols) {
                let rows = packed[first * deep..].as_chunks::<GROUP>().0.chunks_exact(groups);
                for (row, words) in rows.zip(words.chunks_exact_mut(cols)) {
                    let to = words[first..][..groups * GROUP].as_chunks_mut::<GROUP>().0;
                    for (group, to) in row.iter().zip(to) {
                        *to = products.panels().unpack(Group(*group));
                    }
                }
            }
        }
    }
}

/// Adds columns of the product to `out`, which has no others.
struct Multiply<'a> {
    shape: Shape,
    left: Words<'a>,
    /// Panels, and what closes them.
    right: (&'a [Group], &'a [Group]),
    /// First and end; the first begins a panel.
    columns: (usize, usize),
    space: &'a mut Workspace,
    out: &'a mut [u64],
}

impl TileTask for Multiply<'_> {
    #[inline(always)]
    fn run<S: Simd, P: Direct, const R: usize, const G: usize>(mut self, simd: S, products: P) {
        let how = (simd, products.panels());
        let (first, end) = self.columns;
        let deep = deep::<G>(self.shape.depth);
        let whole = end - (end - first) % (G * GROUP);
        self.columns::<S, P::Panels, R, G>(how, deep, (first, whole));
        match (end - whole) / GROUP {
            1 if G > 1 => self.columns::<S, P::Panels, R, 1>(how, deep, (whole, end)),
            2 if G > 2 => self.columns::<S, P::Panels, R, 2>(how, deep, (whole, end)),
            left => debug_assert!(left == 0),
        }
    }
}

impl Multiply<'_> {
    /// Those whose panels have `W` groups.
    #[inline(always)]
    fn columns<S: Simd, P: Panels, const R: usize, const W: usize>(
        &mut self,
        (simd, products): (S, P),
        deep: usize,
        (first, end): (usize, usize),
    ) {
        let Shape { rows, depth, cols } = self.shape;
        let (words, closing) = self.right;
        let left = Factor::row_major(self.left, depth);
        let in_place = left::is_in_place(&left);
        let most = const { blocks(W) };
        let height = evenly(rows, if in_place { most.in_place } else { most.packed }, R);
        let target = Target { rows: Axis::Stride(self.columns.1 - self.columns.0), cols: Axis::Stride(1) };
        // Panels that several blocks of rows are multiplied with stay in the caches meanwhile.
        let width = if rows <= height { cols } else { most.width };
        let room = &mut self.space.left;
        for col in (first..end).step_by(width) {
            let (end, out) = (end.min(col + width), &mut self.out[col - self.columns.0..]);
            for (part, k) in (0..depth).step_by(deep).enumerate() {
                let inner = (k, depth.min(k + deep));
                let depth = inner.1 - inner.0;
                let right = Whole::<W> {
                    rows: words[(k * cols + col * depth) / GROUP..].as_chunks().0,
                    closing: match P::CLOSING {
                        0 => &[],
                        _ => closing[(part * cols + col) / GROUP..].as_chunks().0,
                    },
                    depth,
                    each: P::CLOSING,
                };
                for row in (0..rows).step_by(height) {
                    let block = Block { rows: (row, rows.min(row + height)), cols: (0, end - col) };
                    if in_place {
                        let left = InPlace::new(products, &left, inner, block.rows, room);
                        block.multiply::<_, InPlace<'_, R>, _, R, W>(products, left, right, target, out);
                    } else {
                        let left = left::Packed::new((simd, products), &left, inner, block.rows, room);
                        block.multiply::<_, left::Packed<'_, R>, _, R, W>(products, left, right, target, out);
                    }
                }
            }
        }
    }
}

/// Panels of a whole row of the matrix.
#[derive(Clone, Copy)]
struct Whole<'a, const W: usize> {
    rows: &'a [[Group; W]],
    closing: &'a [[Group; W]],
    depth: usize,
    each: usize,
}

impl<const W: usize> Right<W> for Whole<'_, W> {
    #[inline(always)]
    fn rows(&self, panel: usize) -> &[[Group; W]] {
        &self.rows[panel * self.depth..][..self.depth]
    }

    #[inline(always)]
    fn closing(&self, panel: usize) -> &[[Group; W]] {
        &self.closing[panel * self.each..][..self.each]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cpu::gemm::Product;
    use crate::backend::cpu::gemm::tests::{by_definition, noise};

    #[test]
    fn packed_matrices_are_multiplied_and_unpacked() {
        let [narrow, wide] = [blocks(1), blocks(3)];
        let few = [[1, 1, 8], [3, 5, 16], [9, 64, 24], [17, 200, 136]];
        let many = [
            [narrow.in_place + 7, narrow.depth + 3, 56],
            [wide.packed + 9, wide.depth + 8, wide.width + 40],
            [611, 150, 24],
        ];
        for [rows, depth, cols] in few.into_iter().chain(many) {
            let shape = Shape { rows, depth, cols };
            let (left, other, right) = (noise(rows * depth, 1), noise(rows * depth, 2), noise(depth * cols, 3));
            let sum = Words { first: &left, second: Some((&other, [3, u64::MAX])) };
            for left in [Words::from(&left[..]), sum] {
                let pairs = [(Factor::row_major(left, depth), Factor::row_major((&right[..]).into(), cols))];
                let target = Target { rows: Axis::Stride(cols), cols: Axis::Stride(1) };
                let mut expected = noise(rows * cols, 4);
                by_definition(&Product { rows, depth, cols, pairs: &pairs, target }, &mut expected);
                for isa in Isa::available() {
                    let mut room = vec![Group::default(); right.len() / GROUP];
                    let words: &mut [u64] = bytemuck::cast_slice_mut(&mut room);
                    words.copy_from_slice(&right);
                    let mut closing = Vec::new();
                    isa.run_tiles(Pack { shape, words, closing: &mut closing });
                    let mut space = Workspace::default();
                    for threads in [1, 3] {
                        space.threads = threads;
                        let mut out = noise(rows * cols, 4);
                        add(isa, shape, (left, words, &closing), &mut space, &mut out);
                        assert!(out == expected, "{shape:?}, {isa:?}, {threads} threads");
                    }
                    let mut again = vec![0; words.len()];
                    unpack(isa, shape, words, &mut again);
                    assert!(again == right, "{shape:?}, {isa:?}");
                }
            }
        }
        let mut space = Workspace::default();
        space.threads = 3;
        assert!(is_shared(many[1], &space) && is_shared(many[2], &space));
    }

    #[test]
    fn what_does_not_pay_or_fit_stays_words() {
        let mut room = vec![Group::default(); 512 * 512 / GROUP];
        let words: &mut [u64] = bytemuck::cast_slice_mut(&mut room);
        words.copy_from_slice(&noise(words.len(), 1));
        let before = words.to_vec();
        for isa in Isa::available() {
            for [rows, depth, cols] in [[8, 128, 64], [64, 128, 8], [16, 128, 60], [512, 512, 512]] {
                let shape = Shape { rows, depth, cols };
                assert!(pack(isa, shape, &mut words[..depth * cols]).is_none(), "{shape:?}");
            }
            assert!(pack(isa, Shape { rows: 16, depth: 64, cols: 40 }, &mut words[1..64 * 40 + 1]).is_none());
            assert!(words == before, "{isa:?}");
            let shape = Shape { rows: 16, depth: 16, cols: 40 };
            assert!(pack(isa, shape, &mut words[..16 * 40]).is_some() && words != before, "{isa:?}");
            words.copy_from_slice(&before);
        }
    }
}
