//! Convolution of each channel by itself: too shallow to pack, so the image is walked once per position of the window.

use super::conv::Geometry;
use super::factor::Words;
use super::gemm::{SHARED, Workspace};
use super::isa::{Isa, TileTask};
use super::products::{Direct, Products};
use super::simd::{GROUP, Simd};
use super::threads::each_part;

/// Places of a window that are added up in registers, one after the other.
const TAPS: usize = 32;

/// Adds the convolutions of `(image, weight)` pairs, whose groups have one channel, to `out`.
pub(super) fn add(
    isa: Isa,
    geometry: &Geometry,
    pairs: &[(Words<'_>, Words<'_>)],
    space: &mut Workspace,
    out: &mut [u64],
) {
    let of_channel = geometry.outputs * geometry.pixels();
    if out.is_empty() {
        return;
    }
    let channels = out.len() / of_channel;
    let work = out.len().saturating_mul(geometry.taps()).saturating_mul(pairs.len());
    if space.threads < 2 || channels < 2 || work < SHARED {
        let room = &mut space.images[0];
        return isa.run_tiles(Channels { geometry, pairs, first: 0, room, out });
    }
    let step = channels.div_ceil(space.threads);
    let parts = out.chunks_mut(step * of_channel).zip((0..channels).step_by(step));
    space.for_parts(parts.len(), |spaces| {
        each_part(parts.zip(spaces), |((out, first), space)| {
            isa.run_tiles(Channels { geometry, pairs, first, room: &mut space.images[0], out });
        });
    });
}

/// The channels of all images from number `first` on.
struct Channels<'a, 'b> {
    geometry: &'a Geometry,
    pairs: &'a [(Words<'a>, Words<'a>)],
    first: usize,
    room: &'b mut Vec<u64>,
    out: &'b mut [u64],
}

/// A channel in memory: padded, and columns that a window's step takes to each other side by side.
///
/// With a step of s, a row is s pieces of `piece` words; piece p has columns p, p + s, p + 2 s and so on.
struct Lines {
    step: usize,
    piece: usize,
}

impl Lines {
    fn of(geometry: &Geometry) -> Lines {
        let step = geometry.window.stride[1];
        let reach = (geometry.window.size[1] - 1) * geometry.window.dilation[1] / step;
        // Results are computed by whole groups, of which the last one reads on.
        let read = geometry.result[1].next_multiple_of(GROUP) + reach;
        Lines { step, piece: geometry.padded[1].div_ceil(step).max(read) }
    }

    /// Words of a row.
    fn row(&self) -> usize {
        self.step * self.piece
    }

    /// Where a column is in its row.
    #[inline(always)]
    fn column(&self, column: usize) -> usize {
        column % self.step * self.piece + column / self.step
    }
}

impl TileTask for Channels<'_, '_> {
    #[inline(always)]
    fn run<S: Simd, P: Direct, const R: usize, const G: usize>(self, _: S, products: P) {
        let Channels { geometry, pairs, first, room, out } = self;
        let lines = Lines::of(geometry);
        // The padding is written once, here.
        room.clear();
        room.resize(geometry.padded[0] * lines.row(), 0);
        let window = &geometry.window;
        let offset = |tap: usize| {
            let [y, x] = [tap / window.size[1] * window.dilation[0], tap % window.size[1] * window.dilation[1]];
            y * lines.row() + lines.column(x)
        };
        let places = window.size[0] * window.size[1];
        for (channel, out) in (first..).zip(out.chunks_exact_mut(geometry.outputs * geometry.pixels())) {
            for (image, weights) in pairs {
                lay_out(geometry, &lines, *image, channel, room);
                for (output, out) in out.chunks_exact_mut(geometry.pixels()).enumerate() {
                    let weight = (channel % geometry.groups * geometry.outputs + output) * places;
                    for begin in (0..places).step_by(TAPS) {
                        let mut taps = [(0, 0); TAPS];
                        let taps = &mut taps[..TAPS.min(places - begin)];
                        for (i, tap) in taps.iter_mut().enumerate() {
                            *tap = (offset(begin + i), weights.word(weight + begin + i));
                        }
                        for (y, out) in out.chunks_exact_mut(geometry.result[1]).enumerate() {
                            row(products, &room[y * window.stride[0] * lines.row()..], taps, out);
                        }
                    }
                }
            }
        }
    }
}

/// Copies channel `channel` of all images' to where its padding is.
#[inline(always)]
fn lay_out(geometry: &Geometry, lines: &Lines, image: Words<'_>, channel: usize, room: &mut [u64]) {
    let ([h, w], [above, left]) = (geometry.plain, geometry.window.pad);
    for (y, row) in room.chunks_exact_mut(lines.row()).skip(above).take(h).enumerate() {
        let start = (channel * h + y) * w;
        if lines.step == 1 {
            image.range(start, start + w).write(&mut row[left..left + w]);
            continue;
        }
        for x in 0..w {
            row[lines.column(left + x)] = image.word(start + x);
        }
    }
}

/// Adds to a row of results: each tap is an offset and a weight.
#[inline(always)]
fn row<P: Products>(products: P, words: &[u64], taps: &[(usize, u64)], out: &mut [u64]) {
    for (at, out) in (0..).step_by(GROUP).zip(out.chunks_mut(GROUP)) {
        let mut sum = products.zero();
        for (offset, weight) in taps {
            let mut group = [0; GROUP];
            group.copy_from_slice(&words[at + offset..at + offset + GROUP]);
            sum = products.accumulate(sum, products.splat(weight), products.factor(group));
        }
        for (out, sum) in out.iter_mut().zip(products.total(sum)) {
            *out = out.wrapping_add(sum);
        }
    }
}
