//! Weights in limbs, as they are multiplied with windows: see [`limb_conv`](super::limb_conv).

use super::conv::Geometry;
use super::factor::{Axis, Factor, Words};
use super::gemm::{Workspace, evenly};
use super::isa::{Isa, LimbTask};
use super::limb_conv::{Windows, pays};
use super::limb_panels::{Columns, lines, room, unpacked};
use super::limbs::{LIMBS, LINE, Line, ROWS, Room, Tiles};
use super::simd::{GROUP, Group, Simd};

/// Steps of the inner dimension that are multiplied before results are put together, unless the window has more positions: then
/// those of 64 channels. And slices of 64 channels that are split at a time.
const STEPS: usize = 36;
const SLICES: usize = 18;

impl Windows<'_> {
    /// How many slices of 64 channels there are in all, and are multiplied before results are put together.
    pub(super) fn slices(&self) -> (usize, usize) {
        let slices = (self.pairs.len() * self.geometry.channels).div_ceil(LINE);
        (slices, evenly(slices, (STEPS / self.geometry.taps()).clamp(1, SLICES), 1))
    }

    /// The packed weights of a panel of output channels, and those that are multiplied next, if there are any.
    pub(super) fn packed_panel(&self, output: usize, slices: (usize, usize)) -> (&[Line], &[Line]) {
        let (channels, taps) = (self.geometry.channels, self.geometry.taps());
        let lines_of = |output: usize| -> &[Line] {
            let start = (self.group * self.geometry.outputs + output) * channels * taps;
            let [first, end] = [slices.0, slices.1].map(|slice| start + slice * LINE * taps * ROWS);
            bytemuck::cast_slice(&self.pairs[0].1.first[first..end])
        };
        let next = output + ROWS;
        (lines_of(output), if next < self.outputs.1 { lines_of(next) } else { &[] })
    }

    /// Packs weights of channels, 64 a slice, for some output channels: of each slice first those at the window's first position.
    #[inline(always)]
    pub(super) fn pack_weights<S: Simd, T: Tiles>(
        &self,
        (simd, tiles): (S, T),
        (first, end): (usize, usize),
        outputs: (usize, usize),
        (strips, panels): (&mut Vec<Group>, &mut Vec<Line>),
    ) {
        let (channels, taps) = (self.geometry.channels, self.geometry.taps());
        let steps = (end - first) * taps;
        let panels = room(panels, lines(outputs.1 - outputs.0, steps));
        let mut columns = Columns::new(outputs, steps, strips, panels);
        for slice in first..end {
            for tap in 0..taps {
                for (pair, (_, weights)) in self.pairs.iter().enumerate() {
                    // Channels are numbered through all pairs.
                    let part = (slice * LINE).max(pair * channels)..((slice + 1) * LINE).min((pair + 1) * channels);
                    if part.is_empty() {
                        continue;
                    }
                    let start = self.group * self.geometry.outputs * channels * taps + tap;
                    let words = weights.range(start, weights.len());
                    let factor = Factor { words, rows: Axis::Stride(taps), cols: Axis::Stride(channels * taps) };
                    let inner = (part.start - pair * channels, part.end - pair * channels);
                    columns.read(simd, &factor, inner, part.start - slice * LINE);
                }
                columns.pack(tiles, (slice - first) * taps + tap);
            }
        }
    }
}

/// Packs a convolution's weights in place, if limbs of the image are the fastest way then and there is nothing to be filled up:
/// panels of 16 output channels, each as it is multiplied. Whether they are packed.
pub(super) fn pack(isa: Isa, geometry: &Geometry, space: &mut Workspace, words: &mut [u64]) -> bool {
    let fits = geometry.channels.is_multiple_of(LINE) && geometry.outputs.is_multiple_of(ROWS);
    let packs =
        isa.has_limbs() && fits && pays(geometry, 1, true) && bytemuck::try_cast_slice::<_, Line>(words).is_ok();
    if packs {
        isa.run_limbs(Pack { geometry, space, words });
    }
    packs
}

pub(super) struct Pack<'a> {
    pub geometry: &'a Geometry,
    pub space: &'a mut Workspace,
    pub words: &'a mut [u64],
}

impl LimbTask for Pack<'_> {
    #[inline(always)]
    fn run<S: Simd, T: Tiles>(self, simd: S, tiles: T) {
        let Pack { geometry, space, words } = self;
        let Workspace { limbs: Room { right, .. }, right: strips, .. } = space;
        for group in 0..geometry.groups {
            for output in (0..geometry.outputs).step_by(ROWS) {
                let outputs = (output, output + ROWS);
                let pairs = [(Words::from(&[][..]), Words::from(&*words))];
                let windows = Windows { geometry, group, pairs: &pairs, images: (0, 0), outputs };
                windows.pack_weights((simd, tiles), (0, windows.slices().0), outputs, (strips, right));
                let panel = ROWS * geometry.channels * geometry.taps();
                let to = &mut words[(group * geometry.outputs + output) / ROWS * panel..][..panel];
                to.copy_from_slice(bytemuck::cast_slice(&right[..panel / GROUP]));
            }
        }
    }
}

/// The words of weights that are packed.
pub(super) fn unpack(geometry: &Geometry, packed: &[u64], words: &mut [u64]) {
    let (channels, taps) = (geometry.channels, geometry.taps());
    let lines: &[Line] = bytemuck::cast_slice(packed);
    for (at, word) in words.iter_mut().enumerate() {
        let (output, channel, tap) = (at / taps / channels, at / taps % channels, at % taps);
        let (k, step) = (channel % LINE, channel / LINE * taps + tap);
        let panel = output / ROWS * channels / LINE * taps;
        *word = unpacked(&lines[(panel + step) * LIMBS * ROWS..][..LIMBS * ROWS], k, output % ROWS);
    }
}
