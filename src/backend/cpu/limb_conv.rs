//! Convolutions by tiles of limbs: an image is split into limbs once, and its tiles are read at each position of the window.
//!
//! In limbs a pixel is a line of 64 channels. Rows of pixels lie one behind the other, with the padding between two of them, and
//! images likewise: what is read to the right of a row is the padding to the left of the next one. So at each position of the
//! window 16 results that follow one another are a tile of 16 lines that follow one another, wherever it begins; what is computed
//! of results that reach over an edge is left out. Where windows are strides apart, each of as many rows and columns has a plane
//! of its own, in which they follow one another again.
//!
//! Weights that serve for many launches can be [packed](super::limb_weights::pack) into limbs once, which take the place of their
//! words.

use super::conv::Geometry;
use super::factor::Words;
use super::gemm::{SHARED, Workspace};
use super::isa::{Isa, LimbTask};
use super::limb_image::{Grid, Places};
use super::limb_panels::{GROUPS, lines};
use super::limbs::{self, AHEAD, LIMBS, LINE, LeftTiles, Line, MOST_STEPS, ROWS, Room, Sums, Tiles};
use super::simd::{GROUP, Simd, fetch};
use super::threads::each_part;
use crate::graph::Window;

/// Adds the convolutions of `(image, weight)` pairs to `out`, if limbs of the image are the fastest way; whether they are.
pub(super) fn add(
    isa: Isa,
    geometry: &Geometry,
    pairs: &[(Words<'_>, Words<'_>)],
    space: &mut Workspace,
    out: &mut [u64],
) -> bool {
    // What is packed has no words for another way.
    if !(geometry.packed || isa.has_limbs() && pays(geometry, pairs.len(), false)) {
        return false;
    }
    let work =
        geometry.images * geometry.pixels() * geometry.outputs * geometry.taps() * geometry.channels * pairs.len();
    let threads = if work < SHARED { 1 } else { space.threads.max(1) };
    for group in 0..geometry.groups {
        let out = &mut out[group * geometry.outputs * geometry.pixels()..];
        let all = Windows { geometry, group, pairs, images: (0, geometry.images), outputs: (0, geometry.outputs) };
        if threads == 1 {
            isa.run_limbs(Run { windows: all, space, out });
        } else if geometry.images >= threads {
            by_images(isa, &all, threads, space, out);
        } else {
            for (image, out) in (0..geometry.images).zip(out.chunks_mut(geometry.result_image())) {
                by_outputs(isa, &Windows { images: (image, image + 1), ..all }, threads, space, out);
            }
        }
    }
    true
}

/// Each thread computes some of the images.
fn by_images(isa: Isa, all: &Windows<'_>, threads: usize, space: &mut Workspace, out: &mut [u64]) {
    let images = all.geometry.images;
    let step = images.div_ceil(threads);
    let parts = (0..images).step_by(step).map(|start| Windows { images: (start, images.min(start + step)), ..*all });
    each(isa, parts, space, out.chunks_mut(step * all.geometry.result_image()));
}

/// Each thread computes some of the output channels of an image.
fn by_outputs(isa: Isa, all: &Windows<'_>, threads: usize, space: &mut Workspace, out: &mut [u64]) {
    let outputs = all.geometry.outputs;
    let step = outputs.div_ceil(threads).next_multiple_of(ROWS);
    let parts = (0..outputs).step_by(step).map(|start| Windows { outputs: (start, outputs.min(start + step)), ..*all });
    each(isa, parts, space, out.chunks_mut(step * all.geometry.pixels()));
}

/// Each thread computes a part, to words of its own.
fn each<'a, 'o>(
    isa: Isa,
    parts: impl ExactSizeIterator<Item = Windows<'a>> + Send,
    space: &mut Workspace,
    outs: impl Iterator<Item = &'o mut [u64]> + Send,
) {
    space.for_parts(parts.len(), |spaces| {
        each_part(parts.zip(outs).zip(spaces), |((windows, out), space)| isa.run_limbs(Run { windows, space, out }));
    });
}

/// Whether limbs of the image are the fastest way.
pub(super) fn pays(geometry: &Geometry, pairs: usize, packed: bool) -> bool {
    let (channels, taps, pixels) = (pairs * geometry.channels, geometry.taps(), geometry.images * geometry.pixels());
    if taps > MOST_STEPS || pixels == 0 {
        return false;
    }
    let grid = Grid::new(geometry, geometry.images);
    let padded = [grid.rows * grid.width, channels.next_multiple_of(LINE) * taps, geometry.outputs];
    let ([height, width], Window { size, stride, .. }) = (geometry.plain, geometry.window);
    // Of an image the planes that windows read.
    let read = [0, 1].map(|axis| size[axis].min(stride[axis])).iter().product::<usize>();
    let image = channels * geometry.images * height * width * read / (stride[0] * stride[1]);
    // A word of the weights takes twice as long; as a product of matrices it would be split, too.
    let weights = 2 * channels * taps * geometry.outputs;
    let sizes = [geometry.outputs, channels * taps, pixels];
    let product = limbs::product_cost(sizes) + limbs::cost([0; 3], 0, weights);
    let split = if packed { image } else { image + weights };
    limbs::cost(padded, pixels * geometry.outputs, split) < product.min(limbs::words_cost(sizes))
}

/// Convolutions of a group of channels with the weights of some output channels.
#[derive(Clone, Copy)]
pub(super) struct Windows<'a> {
    pub geometry: &'a Geometry,
    pub group: usize,
    /// All images, all weights.
    pub pairs: &'a [(Words<'a>, Words<'a>)],
    /// First and end.
    pub images: (usize, usize),
    pub outputs: (usize, usize),
}

/// Adds convolutions to `out`, which begins with the first output channel of the first image.
struct Run<'a, 'b> {
    windows: Windows<'a>,
    space: &'b mut Workspace,
    out: &'b mut [u64],
}

impl LimbTask for Run<'_, '_> {
    #[inline(always)]
    fn run<S: Simd, T: Tiles>(self, simd: S, tiles: T) {
        let Run { windows, space, out } = self;
        let Workspace { limbs: Room { left, right, steps, places }, right: strips, .. } = space;
        let (geometry, taps) = (windows.geometry, windows.geometry.taps());
        let grid = Grid::new(geometry, windows.images.1 - windows.images.0);
        let (slices, together) = windows.slices();
        let rows = windows.rows_at_once(&grid, together);
        for first in (0..grid.rows).step_by(rows) {
            places.set(&windows, &grid, (first, grid.rows.min(first + rows)));
            for slice in (0..slices).step_by(together) {
                let slices = (slice, slices.min(slice + together));
                windows.split((simd, tiles), places, slices, left);
                let count = (slices.1 - slices.0) * taps;
                steps.set((0..count).map(|step| step / taps * places.lines + places.taps[step % taps]));
                let tiles_of_rows = LeftTiles { lines: left, limb: (slices.1 - slices.0) * places.lines, steps };
                for output in (windows.outputs.0..windows.outputs.1).step_by(ROWS) {
                    let outputs = (output, windows.outputs.1.min(output + ROWS));
                    let panel = if geometry.packed {
                        windows.packed_panel(output, slices)
                    } else {
                        windows.pack_weights((simd, tiles), slices, outputs, (strips, right));
                        (&right[..lines(ROWS, count)], &[][..])
                    };
                    let start = (output - windows.outputs.0) * geometry.pixels();
                    let to = (&mut out[start..], geometry.pixels(), outputs.1 - outputs.0);
                    multiply((simd, tiles), tiles_of_rows, panel, places, to);
                }
            }
        }
    }
}

/// Adds products of windows with a panel of weights to results of so many output channels, so many words apart, while the next
/// panel is fetched.
#[inline(always)]
fn multiply<S: Simd, T: Tiles>(
    (simd, tiles): (S, T),
    left: LeftTiles<'_>,
    (right, mut ahead): (&[Line], &[Line]),
    places: &Places,
    (out, apart, outputs): (&mut [u64], usize, usize),
) {
    let mut sums = [Sums::default(); LIMBS * ROWS];
    for panel in &places.panels {
        let results = &places.results[panel.results.0..panel.results.1];
        for (_, place) in results.iter().step_by(GROUP) {
            for output in 0..outputs {
                if let Some(words) = out.get(output * apart + place..).and_then(<[u64]>::first_chunk) {
                    fetch(words);
                }
            }
        }
        tiles.multiply(LeftTiles { lines: &left.lines[panel.first..], ..left }, right, ahead, &mut sums);
        ahead = ahead.get(AHEAD * left.steps.lines().len()..).unwrap_or_default();
        for results in results.chunks(GROUP) {
            let mut rows = [[simd.splat(0); GROUP]; GROUPS];
            let (_, first) = results[0];
            let mut in_one_piece = true;
            for (i, (row, place)) in results.iter().enumerate() {
                in_one_piece &= *place == first + i;
                for (rows, words) in rows.iter_mut().zip(tiles.words(&sums, *row)) {
                    rows[i] = simd.load(words);
                }
            }
            for (vectors, output) in rows.into_iter().zip((0..outputs).step_by(GROUP)) {
                let vectors = simd.transpose(vectors);
                for (vector, output) in vectors.iter().zip(output..outputs) {
                    let out = &mut out[output * apart..];
                    // Of fewer than eight results the others are zero.
                    if let (true, Some(to)) = (in_one_piece, out[first..].first_chunk_mut()) {
                        *to = simd.store(simd.add(simd.load(*to), *vector));
                        continue;
                    }
                    for ((_, place), result) in results.iter().zip(simd.store(*vector)) {
                        out[*place] = out[*place].wrapping_add(result);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cpu::gemm::tests::noise;
    use crate::backend::cpu::limb_weights::{Pack, unpack};

    /// Adds convolutions as they are defined.
    fn by_definition(geometry: &Geometry, pairs: &[(Words<'_>, Words<'_>)], out: &mut [u64]) {
        let Geometry { images, channels, outputs, groups, plain: [h, w], result: [rows, cols], window, .. } = *geometry;
        let taps = geometry.taps();
        for (at, to) in out.iter_mut().enumerate().take(images * geometry.result_image()) {
            let (image, output, y, x) = (at / geometry.result_image(), at / (rows * cols), at / cols % rows, at % cols);
            let output = output % (groups * outputs);
            for (tap, channel) in (0..taps).flat_map(|tap| (0..channels).map(move |channel| (tap, channel))) {
                let [y, x] = [(y, tap / window.size[1], 0), (x, tap % window.size[1], 1)]
                    .map(|(at, tap, axis)| at * window.stride[axis] + tap * window.dilation[axis])
                    .map(|at| at as isize);
                let (y, x) = (y - window.pad[0] as isize, x - window.pad[1] as isize);
                if y < 0 || x < 0 || y >= h as isize || x >= w as isize {
                    continue;
                }
                let plane = (image * groups + output / outputs) * channels + channel;
                let (pixel, weight) =
                    ((plane * h + y as usize) * w + x as usize, (output * channels + channel) * taps + tap);
                for (image, weights) in pairs {
                    *to = to.wrapping_add(image.word(pixel).wrapping_mul(weights.word(weight)));
                }
            }
        }
    }

    /// Computes convolutions with matrix instructions, if there are any, and without; with packed weights where they can be.
    fn check([n, c, h, w]: [usize; 4], o: usize, window: Window, groups: usize) {
        let geometry = Geometry::new([n, c, h, w], o, window, groups);
        let name = format!("{n}x{c}x{h}x{w}, {o} outputs, {window:?}, {groups} groups");
        let [images, others] = [1, 2].map(|seed| noise(n * c * h * w, seed));
        let [weights, more] = [3, 4].map(|seed| noise(o * geometry.channels * geometry.taps(), seed));
        let sum = Words { first: &images, second: Some((&others, [3, u64::MAX])) };
        let sums = Words { first: &weights, second: Some((&more, [1, 5])) };
        let two = [(Words::from(&images[..]), Words::from(&weights[..])), (sum, Words::from(&more[..]))];
        let before = noise(n * geometry.result_image(), 5);
        let all = Isa::available();
        for pairs in [&two[..1], &two, &[(sum, sums)]] {
            let mut expected = before.clone();
            by_definition(&geometry, pairs, &mut expected);
            for isa in [all[0], all[all.len() - 1]] {
                // What earlier launches left in the room does not matter.
                let mut space = Workspace::default();
                space.limbs.left = vec![Line([0xa5; LINE]); 1 << 12];
                assert!(run(isa, &geometry, pairs, &mut space, before.clone()) == expected, "{name}, {isa:?}");
                let fits = geometry.channels.is_multiple_of(LINE) && geometry.outputs.is_multiple_of(ROWS);
                if fits && pairs.len() == 1 && pairs[0].1.second.is_none() {
                    let mut lines = vec![Line([0; LINE]); weights.len() / GROUP];
                    let words: &mut [u64] = bytemuck::cast_slice_mut(&mut lines);
                    words.copy_from_slice(&weights);
                    isa.run_limbs(Pack { geometry: &geometry, space: &mut space, words });
                    let packed = Geometry { packed: true, ..geometry };
                    let out = run(isa, &packed, &[(pairs[0].0, (&*words).into())], &mut space, before.clone());
                    assert!(out == expected, "{name}, packed, {isa:?}");
                    let mut again = vec![0; words.len()];
                    unpack(&geometry, words, &mut again);
                    assert!(again == weights, "{name}, unpacked, {isa:?}");
                }
            }
        }
    }

    /// The convolutions, whether or not they pay.
    fn run(
        isa: Isa,
        geometry: &Geometry,
        pairs: &[(Words<'_>, Words<'_>)],
        space: &mut Workspace,
        mut out: Vec<u64>,
    ) -> Vec<u64> {
        for group in 0..geometry.groups {
            let out = &mut out[group * geometry.outputs * geometry.pixels()..];
            let (images, outputs) = ((0, geometry.images), (0, geometry.outputs));
            isa.run_limbs(Run { windows: Windows { geometry, group, pairs, images, outputs }, space, out });
        }
        out
    }

    fn window(size: [usize; 2], stride: [usize; 2], pad: [usize; 2], dilation: [usize; 2]) -> Window {
        Window { size, stride, pad, dilation }
    }

    #[test]
    fn windows_are_of_every_kind() {
        for (image, outputs, window, groups) in [
            ([1, 1, 1, 1], 1, window([1, 1], [1, 1], [0, 0], [1, 1]), 1),
            ([1, 64, 6, 7], 16, window([3, 3], [1, 1], [1, 1], [1, 1]), 1),
            ([3, 65, 5, 4], 17, window([3, 2], [1, 1], [1, 0], [1, 1]), 1),
            ([2, 40, 9, 8], 33, window([2, 3], [2, 2], [1, 1], [1, 1]), 1),
            ([1, 10, 9, 11], 5, window([5, 3], [1, 2], [4, 3], [2, 3]), 1),
            // Places of results without a pixel, planes without a reader, rows that no window reads.
            ([2, 3, 3, 2], 4, window([1, 1], [1, 1], [3, 4], [1, 1]), 1),
            ([2, 7, 8, 10], 4, window([1, 2], [3, 4], [0, 0], [1, 2]), 1),
            ([1, 5, 12, 3], 2, window([2, 1], [5, 1], [0, 0], [1, 1]), 1),
            ([2, 128, 4, 5], 64, window([3, 3], [1, 1], [1, 1], [1, 1]), 2),
            ([1, 128, 5, 3], 48, window([1, 1], [1, 2], [0, 1], [1, 1]), 1),
        ] {
            check(image, outputs, window, groups);
        }
    }

    #[test]
    fn channels_and_rows_are_taken_some_at_a_time() {
        let threes = window([3, 3], [1, 1], [1, 1], [1, 1]);
        let wide = Geometry::new([1, 1152, 5, 60], 3, window([1, 1], [1, 1], [0, 0], [1, 1]), 1);
        for (geometry, pairs) in [(&wide, 1), (&Geometry::new([2, 200, 4, 3], 20, threes, 1), 2)] {
            let Geometry { images, channels, outputs, plain: [h, w], window, .. } = *geometry;
            let words = (Words::from(&[][..]), Words::from(&[][..]));
            let (images_and_outputs, pairs) = ((0, 1), vec![words; pairs]);
            let (images_of, outputs_of) = (images_and_outputs, images_and_outputs);
            let windows = Windows { geometry, group: 0, pairs: &pairs, images: images_of, outputs: outputs_of };
            let (slices, together) = windows.slices();
            let grid = Grid::new(geometry, images);
            assert!(slices > together || windows.rows_at_once(&grid, together) < grid.rows);
            check([images, channels, h, w], outputs, window, 1);
        }
    }

    #[test]
    fn threads_share_images_or_outputs() {
        let threes = window([3, 3], [1, 1], [1, 1], [1, 1]);
        for (image, outputs) in [([5, 64, 8, 8], 64), ([1, 128, 14, 14], 100), ([2, 64, 20, 20], 70)] {
            let geometry = Geometry::new(image, outputs, threes, 1);
            let (image, weights) = (noise(image.iter().product(), 1), noise(outputs * geometry.channels * 9, 2));
            let pairs = [(Words::from(&image[..]), Words::from(&weights[..]))];
            let mut expected = vec![7; geometry.images * geometry.result_image()];
            by_definition(&geometry, &pairs, &mut expected);
            let mut out = vec![7; expected.len()];
            let mut space = Workspace::default();
            space.threads = 3;
            if add(Isa::detect(), &geometry, &pairs, &mut space, &mut out) {
                assert!(out == expected && !space.others.is_empty(), "{outputs} outputs");
            }
        }
    }
}
