//! Convolution as a product of the weights with the matrix of windows, which is nowhere in memory: its panels are packed from the
//! image, and where a product has fewer multiplications by sums of quarters, those are sums of parts of images.

use smallvec::SmallVec;

use super::depthwise;
use super::factor::{Axis, Factor, Words};
use super::gemm::{Product, SHARED, Target, Workspace};
use super::isa::Isa;
use super::limb_conv;
use super::strassen::{self, MOST};
use super::threads::each_part;
use super::windows::Windows;
use crate::graph::Window;

/// Sizes of a convolution that fit together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Geometry {
    /// Images.
    pub images: usize,
    /// Channels of a group: of the image, of the result.
    pub channels: usize,
    pub outputs: usize,
    pub groups: usize,
    /// Rows and columns: of the image, of the image with its padding, of the result.
    pub plain: [usize; 2],
    pub padded: [usize; 2],
    pub result: [usize; 2],
    pub window: Window,
    /// Whether weights are [packed](super::limb_weights::pack).
    pub packed: bool,
}

impl Geometry {
    /// The sizes of an image `[n, c, h, w]`, `o` output channels, window and groups, which fit together.
    pub(super) fn new([n, c, h, w]: [usize; 4], o: usize, window: Window, groups: usize) -> Geometry {
        Geometry {
            images: n,
            channels: c / groups,
            outputs: o / groups,
            groups,
            plain: [h, w],
            padded: [h + 2 * window.pad[0], w + 2 * window.pad[1]],
            result: window.output(h, w).unwrap_or_default(),
            window,
            packed: false,
        }
    }

    /// Results of an output channel of an image.
    pub(super) fn pixels(&self) -> usize {
        self.result[0] * self.result[1]
    }

    /// Positions in the window.
    pub(super) fn taps(&self) -> usize {
        self.window.size[0] * self.window.size[1]
    }

    /// Words of an image's result.
    pub(super) fn result_image(&self) -> usize {
        self.groups * self.outputs * self.pixels()
    }

    /// Rows and columns of an image as it is multiplied: with its padding, or the pixels alone that windows of one are.
    fn extent(&self) -> [usize; 2] {
        if self.is_matrix() { self.result } else { self.padded }
    }

    /// Rows and columns from a window to the next one, there.
    fn stride(&self) -> [usize; 2] {
        if self.is_matrix() { [1; 2] } else { self.window.stride }
    }

    /// Words of a channel, there, and of an image.
    fn channel(&self) -> usize {
        self.extent().iter().product()
    }

    fn image(&self) -> usize {
        self.groups * self.channels * self.channel()
    }

    /// Whether images are put together for that, which they are channel by channel.
    fn is_put_together(&self) -> bool {
        self.plain != self.padded || self.is_matrix() && self.window.stride != [1; 2]
    }

    /// Words from an image to the next one, and from a channel to the next one.
    fn apart(&self) -> [usize; 2] {
        let (image, channel) = (self.image(), self.channel());
        if self.is_put_together() { [channel, self.images * channel] } else { [image, channel] }
    }

    /// Whether windows are pixels, and an image a matrix of channels and pixels.
    fn is_matrix(&self) -> bool {
        self.taps() == 1
    }

    /// Images that are multiplied at a time: one, unless that has few results, or all are a matrix.
    fn together(&self) -> usize {
        let all = match self.is_matrix() {
            true => self.is_put_together() || self.pixels() < FEW_PIXELS,
            false => self.pixels() < FEW_WINDOWS,
        };
        if all { self.images } else { 1 }
    }

    /// As many images as these from number `first` on, with the weights.
    fn of<'a>(&self, pairs: &[(Words<'a>, Words<'a>)], first: usize) -> SmallVec<[(Words<'a>, Words<'a>); 2]> {
        let plain = self.groups * self.channels * self.plain[0] * self.plain[1];
        let images = |image: Words<'a>| image.range(first * plain, (first + self.images) * plain);
        pairs.iter().map(|(image, weight)| (images(*image), *weight)).collect()
    }

    /// Puts the offsets together.
    fn offsets(&self, offsets: &mut Offsets) {
        let Offsets { taps, sources, targets } = offsets;
        [&mut *taps, &mut *sources, &mut *targets].into_iter().for_each(Vec::clear);
        let ([image, plane], [_, width], stride) = (self.apart(), self.extent(), self.stride());
        let [down, right] = self.window.dilation;
        for channel in 0..self.channels {
            for y in 0..self.window.size[0] {
                let row = channel * plane + y * down * width;
                taps.extend((0..self.window.size[1]).map(|x| row + x * right));
            }
        }
        let [rows, cols] = self.result;
        for at in 0..self.together() {
            let target = at * self.result_image();
            targets.extend(target..target + rows * cols);
            for y in 0..rows {
                let source = at * image + y * stride[0] * width;
                sources.extend((0..cols).map(|x| source + x * stride[1]));
            }
        }
    }
}

/// Results of a channel for which it is not worth packing, where a group has one channel.
const FEW: usize = 4;

/// Windows of an image, and pixels of one that is a matrix, from which on it is multiplied alone: a last tile that is not full is
/// a small part by then.
const FEW_WINDOWS: usize = 256;
const FEW_PIXELS: usize = 64;

/// Words of images from which on those of the pairs are put together in one room in turn: 1 MB, what a core's own cache holds.
const LARGE: usize = 1 << 17;

/// Words of images that are put together at a time, unless one image has more: 16 MB.
const AT_ONCE: usize = 1 << 21;

/// Where a convolution's words are.
#[derive(Default)]
pub(super) struct Offsets {
    /// In an image as it is multiplied, a window's elements: channel, row, column.
    taps: Vec<usize>,
    /// In the images that are multiplied at a time, the windows: image, row, column.
    sources: Vec<usize>,
    /// In their result, the same.
    targets: Vec<usize>,
}

impl Offsets {
    /// The windows of the images that are multiplied at a time, in rows of results or in images.
    fn windows(&self, geometry: &Geometry) -> Windows<'_> {
        let [between, plane] = geometry.apart();
        let [unit, step] = match geometry.together() {
            1 => [geometry.result[1], geometry.stride()[0] * geometry.extent()[1]],
            _ => [geometry.pixels(), between],
        };
        let taps = &self.taps[..geometry.taps().min(self.taps.len())];
        Windows { taps, sources: &self.sources, plane, unit, step }
    }
}

/// How many levels of Strassen's way are worth it for windows; none where several images lie apart from each other, and so have
/// no units.
fn levels(geometry: &Geometry, windows: &Windows<'_>) -> usize {
    let Geometry { channels, outputs, .. } = *geometry;
    let together = geometry.together();
    if geometry.is_matrix() || channels == 0 || !geometry.is_put_together() && together > 1 {
        return 0;
    }
    strassen::levels_of_windows(outputs, channels, together * geometry.pixels(), windows)
}

/// Adds the convolutions of `(image, weight)` pairs to `out`; of several images, each thread computes some.
pub(super) fn add<'a>(
    isa: Isa,
    geometry: &Geometry,
    pairs: &[(Words<'a>, Words<'a>)],
    space: &mut Workspace,
    out: &mut [u64],
) {
    if geometry.channels == 1 && geometry.outputs <= FEW {
        return depthwise::add(isa, geometry, pairs, space, out);
    }
    if limb_conv::add(isa, geometry, pairs, space, out) {
        return;
    }
    let result = geometry.result_image();
    let work = result * geometry.taps() * geometry.channels * pairs.len();
    // What is less is not shared otherwise.
    let images_are_parts = geometry.images >= space.threads || work / geometry.groups < SHARED;
    if space.threads < 2 || geometry.images < 2 || geometry.images * work < SHARED || !images_are_parts {
        return alone(isa, geometry, pairs, space, out);
    }
    let step = geometry.images.div_ceil(space.threads);
    let parts = (0..geometry.images).step_by(step);
    space.for_parts(parts.len(), |spaces| {
        each_part(parts.zip(out.chunks_mut(step * result)).zip(spaces), |((first, out), space)| {
            let some = Geometry { images: step.min(geometry.images - first), ..*geometry };
            alone(isa, &some, &some.of(pairs, first), space, out);
        });
    });
}

/// The same, some images at a time.
fn alone<'a>(isa: Isa, geometry: &Geometry, pairs: &[(Words<'a>, Words<'a>)], space: &mut Workspace, out: &mut [u64]) {
    let mut room = std::mem::take(&mut space.images);
    let mut offsets = std::mem::take(&mut space.offsets);
    let at_once = (AT_ONCE / geometry.image().max(1)).max(1);
    let result = geometry.result_image();
    for (first, out) in (0..geometry.images).step_by(at_once).zip(out.chunks_mut((at_once * result).max(1))) {
        let some = Geometry { images: at_once.min(geometry.images - first), ..*geometry };
        if first == 0 || some.images < at_once {
            some.offsets(&mut offsets);
        }
        let pairs = some.of(pairs, first);
        let in_turn = some.images * some.image() >= LARGE;
        for pairs in pairs.chunks(if in_turn { 1 } else { room.len() }) {
            add_pairs(isa, &some, pairs, (&offsets, &mut room), space, out);
        }
    }
    (space.images, space.offsets) = (room, offsets);
}

/// The same, with room for the images of these pairs.
fn add_pairs(
    isa: Isa,
    geometry: &Geometry,
    pairs: &[(Words<'_>, Words<'_>)],
    (offsets, room): (&Offsets, &mut [Vec<u64>; 2]),
    space: &mut Workspace,
    out: &mut [u64],
) {
    let Offsets { taps, sources, targets } = offsets;
    let images: SmallVec<[Words<'_>; 2]> =
        pairs.iter().zip(room).map(|((image, _), room)| put_together(geometry, *image, room)).collect();
    let (pixels, [between, plane], together) = (geometry.pixels(), geometry.apart(), geometry.together());
    let weights_of_group = geometry.outputs * taps.len();
    let (rows, cols) = match geometry.is_matrix() && (together == 1 || geometry.is_put_together()) {
        true => (Axis::Stride(plane), Axis::Stride(1)),
        false => (Axis::Table(taps), Axis::Table(sources)),
    };
    let target_cols = if together == 1 { Axis::Stride(1) } else { Axis::Table(targets) };
    let windows = offsets.windows(geometry);
    // Where there are limbs, products that are worth a level are those of limbs.
    let levels = if isa.has_limbs() { 0 } else { levels(geometry, &windows) };
    let groups = |first| (0..geometry.groups).map(move |group| (first, group));
    for (first, group) in (0..geometry.images).step_by(together).flat_map(groups) {
        let pairs: SmallVec<[_; 2]> = pairs
            .iter()
            .zip(&images)
            .map(|((_, weight), image)| {
                let weight = weight.range(group * weights_of_group, (group + 1) * weights_of_group);
                let start = (group * geometry.channels * plane + first * between).min(image.len());
                let words = image.range(start, image.len());
                (Factor::row_major(weight, taps.len()), Factor { words, rows, cols })
            })
            .collect();
        let start = first * geometry.result_image() + group * geometry.outputs * pixels;
        let Some(out) = out.get_mut(start..) else { break };
        let target = Target { rows: Axis::Stride(pixels), cols: target_cols };
        let product =
            Product { rows: geometry.outputs, depth: taps.len(), cols: together * pixels, pairs: &pairs, target };
        let by_levels = |part: &Product<'_>, space: &mut Workspace, out: &mut [u64]| {
            strassen::add(part, Some(&windows), (levels, MOST), isa, space, out);
        };
        if levels == 0 {
            product.run(isa, space, out);
        } else if product.is_shared(space) {
            product.by_columns(windows.unit << levels, space, out, by_levels);
        } else {
            by_levels(&product, space, out);
        }
    }
}

/// The words of images as they are multiplied, put together in `room` if they do not lie so.
fn put_together<'a>(geometry: &Geometry, images: Words<'a>, room: &'a mut Vec<u64>) -> Words<'a> {
    let ([h, w], [rows, cols]) = (geometry.plain, geometry.extent());
    room.clear();
    if !geometry.is_put_together() {
        // A matrix is read once.
        if images.second.is_none() || geometry.is_matrix() {
            return images;
        }
        room.resize(images.len(), 0);
        images.write(room);
        return Words::from(&room[..]);
    }
    room.resize(geometry.images * geometry.image(), 0);
    if images.len() > 0 {
        let ([above, left], [down, right]) = (geometry.window.pad, geometry.window.stride);
        let channels = geometry.groups * geometry.channels;
        for (at, plane) in room.chunks_exact_mut(rows * cols).enumerate() {
            let channel = at % geometry.images * channels + at / geometry.images;
            let start = |y: usize| (channel * h + y) * w;
            if geometry.is_matrix() {
                let inside =
                    |at: usize, by: usize, pad: usize, len: usize| (at * by).checked_sub(pad).filter(|at| *at < len);
                for (y, row) in plane.chunks_exact_mut(cols).enumerate() {
                    let Some(y) = inside(y, down, above, h) else { continue };
                    for (x, word) in row.iter_mut().enumerate() {
                        *word = inside(x, right, left, w).map_or(0, |x| images.word(start(y) + x));
                    }
                }
            } else {
                for (y, row) in plane.chunks_exact_mut(cols).skip(above).take(h).enumerate() {
                    images.range(start(y), start(y) + w).write(&mut row[left..left + w]);
                }
            }
        }
    }
    Words::from(&room[..])
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::backend::cpu::gemm::tests::noise;

    /// How many levels a convolution takes by words.
    pub(in crate::backend::cpu) fn levels_of(geometry: &Geometry) -> usize {
        let mut offsets = Offsets::default();
        geometry.offsets(&mut offsets);
        levels(geometry, &offsets.windows(geometry))
    }

    /// Adds the convolution of an image with weights to `out` as it is defined.
    fn by_definition(geometry: &Geometry, image: &[u64], weights: &[u64], out: &mut [u64]) {
        let Geometry { images, channels, outputs, groups, plain: [h, w], result: [rows, cols], window, .. } = *geometry;
        let [kh, kw] = window.size;
        let at = |i: usize, by: usize, k: usize, dilation: usize, pad: usize, len: usize| {
            (i * by + k * dilation).checked_sub(pad).filter(|at| *at < len)
        };
        for (n, o) in (0..images).flat_map(|n| (0..groups * outputs).map(move |o| (n, o))) {
            for (y, x) in (0..rows).flat_map(|y| (0..cols).map(move |x| (y, x))) {
                let mut sum = 0u64;
                for (c, tap) in (0..channels).flat_map(|c| (0..kh * kw).map(move |tap| (c, tap))) {
                    let row = at(y, window.stride[0], tap / kw, window.dilation[0], window.pad[0], h);
                    let col = at(x, window.stride[1], tap % kw, window.dilation[1], window.pad[1], w);
                    let (Some(row), Some(col)) = (row, col) else { continue };
                    let channel = n * groups * channels + o / outputs * channels + c;
                    let weight = weights[(o * channels + c) * kh * kw + tap];
                    sum = sum.wrapping_add(weight.wrapping_mul(image[(channel * h + row) * w + col]));
                }
                let to = &mut out[((n * groups * outputs + o) * rows + y) * cols + x];
                *to = to.wrapping_add(sum);
            }
        }
    }

    /// One image in rows of results, several as units; in groups, with strides, of odd sizes, without padding, of pixels.
    #[test]
    fn convolutions_by_levels_and_as_matrices() {
        let window = |size, stride, pad, dilation| Window {
            size: [size; 2],
            stride: [stride; 2],
            pad: [pad; 2],
            dilation: [dilation; 2],
        };
        let cases = [
            ([1, 64, 24, 25], 65, window(3, 1, 1, 1), 1, true),
            ([2, 66, 28, 17], 65, window(3, 1, 1, 1), 1, true),
            ([1, 128, 72, 39], 128, window(3, 2, 1, 1), 2, true),
            ([6, 70, 8, 8], 70, window(3, 1, 1, 1), 1, true),
            ([1, 64, 20, 22], 64, window(3, 1, 0, 1), 1, true),
            ([3, 64, 9, 9], 64, window(3, 1, 0, 1), 1, false),
            ([2, 40, 21, 21], 70, window(3, 1, 2, 2), 1, false),
            ([2, 40, 9, 10], 70, window(1, 1, 0, 1), 1, false),
            ([3, 40, 5, 6], 70, window(1, 1, 0, 1), 2, false),
            ([2, 40, 19, 18], 70, window(1, 2, 0, 1), 1, false),
            ([2, 40, 8, 7], 70, window(1, 3, 1, 1), 2, false),
            // As many windows as pixels, others.
            ([2, 40, 3, 3], 70, window(1, 2, 1, 1), 1, false),
        ];
        for ([n, c, h, w], o, window, groups, by_levels) in cases {
            let geometry = Geometry::new([n, c, h, w], o, window, groups);
            assert_eq!(levels_of(&geometry) > 0, by_levels, "{geometry:?}");
            let images = [1, 2].map(|seed| noise(n * c * h * w, seed));
            let weights = [3, 4].map(|seed| noise(o * c / groups * window.size[0] * window.size[1], seed));
            let mut expected = noise(n * geometry.result_image(), 5);
            let before = expected.clone();
            // A pair, and a sum of images by another weight.
            let sum: Vec<u64> =
                images[0].iter().zip(&images[1]).map(|(x, y)| x.wrapping_mul(3).wrapping_sub(*y)).collect();
            by_definition(&geometry, &images[0], &weights[0], &mut expected);
            by_definition(&geometry, &sum, &weights[1], &mut expected);
            let image = Words { first: &images[0], second: Some((&images[1], [3, u64::MAX])) };
            let (first, second) =
                ((Words::from(&images[0][..]), weights[0][..].into()), (image, weights[1][..].into()));
            for (isa, threads) in Isa::available().into_iter().flat_map(|isa| [1, 2, 3].map(|threads| (isa, threads))) {
                let mut space = Workspace::default();
                space.threads = threads;
                let mut out = before.clone();
                add(isa, &geometry, &[first], &mut space, &mut out);
                add(isa, &geometry, &[second], &mut space, &mut out);
                assert!(out == expected, "{geometry:?} with {isa:?} and {threads} threads");
                let mut spaces = std::iter::once(&space).chain(&space.others);
                assert!(spaces.all(|space| space.strassen.right.is_empty()), "windows are a matrix in memory");
            }
        }
    }
}
