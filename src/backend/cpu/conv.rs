//! Convolution as a product of the weights with the matrix of windows, whose panels are packed from the image.

use smallvec::SmallVec;

use super::depthwise;
use super::factor::{Axis, Factor, Words};
use super::gemm::{Product, Target, Workspace};
use super::isa::Isa;
use super::limb_conv;
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

    /// Words of an image.
    fn plain_image(&self) -> usize {
        self.groups * self.channels * self.plain[0] * self.plain[1]
    }

    /// Words of an image's result.
    pub(super) fn result_image(&self) -> usize {
        self.groups * self.outputs * self.pixels()
    }

    /// Words of a padded image.
    fn image(&self) -> usize {
        self.groups * self.channels * self.padded[0] * self.padded[1]
    }

    /// Puts the offsets together.
    fn offsets(&self, offsets: &mut Offsets) {
        let Offsets { taps, sources, targets } = offsets;
        [&mut *taps, &mut *sources, &mut *targets].into_iter().for_each(Vec::clear);
        let [height, width] = self.padded;
        let [down, right] = self.window.dilation;
        for channel in 0..self.channels {
            for y in 0..self.window.size[0] {
                let row = (channel * height + y * down) * width;
                taps.extend((0..self.window.size[1]).map(|x| row + x * right));
            }
        }
        let [rows, cols] = self.result;
        for image in 0..self.images {
            let target = image * self.groups * self.outputs * rows * cols;
            targets.extend(target..target + rows * cols);
            for y in 0..rows {
                let source = image * self.image() + y * self.window.stride[0] * self.padded[1];
                sources.extend((0..cols).map(|x| source + x * self.window.stride[1]));
            }
        }
    }
}

/// Results of a channel for which it is not worth packing, where a group has one channel.
const FEW: usize = 4;

/// Words of padded images from which on the pairs have one room in turn: 1 MB, what a core's own cache holds.
const LARGE: usize = 1 << 17;

/// Words of padded images that are put together at a time, unless one image has more: 16 MB.
const AT_ONCE: usize = 1 << 21;

/// Where a convolution's words are.
#[derive(Default)]
pub(super) struct Offsets {
    /// In a padded image, a window's elements: channel, row, column.
    taps: Vec<usize>,
    /// In the padded images, the windows: image, row, column.
    sources: Vec<usize>,
    /// In the result, the same.
    targets: Vec<usize>,
}

/// Adds the convolutions of `(image, weight)` pairs to `out`.
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
    let mut room = std::mem::take(&mut space.images);
    let mut offsets = std::mem::take(&mut space.offsets);
    let at_once = (AT_ONCE / geometry.image().max(1)).max(1);
    let [plain, result] = [geometry.plain_image(), geometry.result_image()];
    for (first, out) in (0..geometry.images).step_by(at_once).zip(out.chunks_mut((at_once * result).max(1))) {
        let some = Geometry { images: at_once.min(geometry.images - first), ..*geometry };
        if first == 0 || some.images < at_once {
            some.offsets(&mut offsets);
        }
        let images = |(image, weight): &(Words<'a>, Words<'a>)| {
            (image.range(first * plain, (first + some.images) * plain), *weight)
        };
        let pairs: SmallVec<[_; 2]> = pairs.iter().map(images).collect();
        let in_turn = some.images * some.image() >= LARGE;
        for pairs in pairs.chunks(if in_turn { 1 } else { room.len() }) {
            add_pairs(isa, &some, pairs, (&offsets, &mut room), space, out);
        }
    }
    (space.images, space.offsets) = (room, offsets);
}

/// The same, with room for the padded images of these pairs.
fn add_pairs(
    isa: Isa,
    geometry: &Geometry,
    pairs: &[(Words<'_>, Words<'_>)],
    (offsets, room): (&Offsets, &mut [Vec<u64>; 2]),
    space: &mut Workspace,
    out: &mut [u64],
) {
    let Offsets { taps, sources, targets } = offsets;
    let images: SmallVec<[&[u64]; 2]> =
        pairs.iter().zip(room).map(|((image, _), room)| padded(geometry, *image, room)).collect();
    let pixels = geometry.pixels();
    let weights_of_group = geometry.outputs * taps.len();
    for group in 0..geometry.groups {
        let channel_words = geometry.channels * geometry.padded[0] * geometry.padded[1];
        let pairs: SmallVec<[_; 2]> = pairs
            .iter()
            .zip(&images)
            .map(|((_, weight), image)| {
                let weight = weight.range(group * weights_of_group, (group + 1) * weights_of_group);
                let words = image.get(group * channel_words..).unwrap_or_default();
                let windows = Factor { words: words.into(), rows: Axis::Table(taps), cols: Axis::Table(sources) };
                (Factor::row_major(weight, taps.len()), windows)
            })
            .collect();
        let Some(out) = out.get_mut(group * geometry.outputs * pixels..) else { break };
        let cols = if geometry.images == 1 { Axis::Stride(1) } else { Axis::Table(targets) };
        let target = Target { rows: Axis::Stride(pixels), cols };
        Product { rows: geometry.outputs, depth: taps.len(), cols: sources.len(), pairs: &pairs, target }
            .run(isa, space, out);
    }
}

/// The words of an image with its padding, put together in `room` if they are not so already.
fn padded<'a>(geometry: &Geometry, image: Words<'a>, room: &'a mut Vec<u64>) -> &'a [u64] {
    let ([h, w], [padded_h, padded_w]) = (geometry.plain, geometry.padded);
    let bordered = (h, w) != (padded_h, padded_w);
    if !bordered && image.second.is_none() {
        return image.first;
    }
    room.clear();
    room.resize(geometry.images * geometry.image(), 0);
    if !bordered {
        image.write(room);
    } else if image.len() > 0 {
        let [above, left] = geometry.window.pad;
        let planes = room.chunks_exact_mut(padded_h * padded_w);
        let rows = planes.flat_map(|plane| plane.chunks_exact_mut(padded_w).skip(above).take(h));
        for (start, row) in (0..image.len()).step_by(w).zip(rows) {
            image.range(start, start + w).write(&mut row[left..left + w]);
        }
    }
    room
}
