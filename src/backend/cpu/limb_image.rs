//! An image in limbs, as windows read it: see [`limb_conv`](super::limb_conv).

use super::conv::Geometry;
use super::gemm::evenly;
use super::limb_conv::Windows;
use super::limb_panels::room;
use super::limbs::{LIMBS, LINE, Line, ROWS, Tiles};
use super::simd::{GROUP, Simd};
use crate::graph::Window;

/// Lines of an image that are split at a time: 768 KB, so that a core's own cache holds them and two panels of weights.
const NEAR: usize = 3 << 12;

/// Pixels whose channels are put together at a time.
const STRIP: usize = 32;

/// How images lie one below the other, each padded; what is between two rows and two images is padding of both.
pub(super) struct Grid {
    /// Rows of results from image to image.
    pub image: usize,
    /// Rows of results from the first to the last, in all images.
    pub rows: usize,
    /// Places from row to row.
    pub width: usize,
}

impl Grid {
    pub(super) fn new(geometry: &Geometry, images: usize) -> Grid {
        let [image, width] = [0, 1].map(|axis| {
            let padded = geometry.plain[axis] + geometry.window.pad[axis];
            padded.div_ceil(geometry.window.stride[axis]).max(geometry.result[axis])
        });
        Grid { image, rows: (images * image).saturating_sub(image - geometry.result[0]), width }
    }
}

/// Where the limbs of the windows of some rows of results are, and where these go.
#[derive(Default)]
pub(super) struct Places {
    /// Planes that windows read, by row and column modulo the strides: where they begin.
    planes: Vec<Option<usize>>,
    /// Where positions of the window begin.
    pub taps: Vec<usize>,
    /// Parts of images: image, first pixel, how many; and where each pixel is, if windows read it.
    parts: Vec<(usize, usize, usize)>,
    pixels: Vec<usize>,
    /// Lines that are padding.
    gaps: Vec<usize>,
    /// Lines of 64 channels.
    pub lines: usize,
    /// What is multiplied at a time.
    pub panels: Vec<Panel>,
    /// Of the panels' results their rows there, and where they go.
    pub results: Vec<(usize, usize)>,
}

/// Results that follow one another in 16 lines: where these begin, and which of all results they are.
pub(super) struct Panel {
    pub first: usize,
    pub results: (usize, usize),
}

/// No place.
const NONE: usize = usize::MAX;

impl Places {
    /// Finds them for rows `first..end` of results.
    pub(super) fn set(&mut self, windows: &Windows<'_>, grid: &Grid, (first, end): (usize, usize)) {
        let Window { size, stride: [down, right], pad, dilation } = windows.geometry.window;
        // The rows that windows reach, in planes; behind the last one is its padding.
        let rows = (end - first - 1) * down + (size[0] - 1) * dilation[0] + 1;
        let plane = rows.div_ceil(down) * grid.width + pad[1].div_ceil(right);
        self.planes.clear();
        self.planes.resize(down * right, None);
        self.taps.clear();
        self.lines = 0;
        for y in (0..size[0]).map(|y| y * dilation[0]) {
            for x in (0..size[1]).map(|x| x * dilation[1]) {
                let start = *self.planes[y % down * right + x % right].get_or_insert(self.lines);
                self.lines = self.lines.max(start + plane);
                self.taps.push(start + y / down * grid.width + x / right);
            }
        }
        self.set_pixels(windows, grid, (first * down, first * down + rows));
        self.set_results(windows, grid, (first, end));
    }

    /// Finds those of pixels in rows `first..end` of all that are one below the other.
    fn set_pixels(&mut self, windows: &Windows<'_>, grid: &Grid, (first, end): (usize, usize)) {
        let Window { stride: [down, right], pad, .. } = windows.geometry.window;
        let [height, width] = windows.geometry.plain;
        self.parts.clear();
        self.pixels.clear();
        self.gaps.clear();
        self.gaps.resize(self.lines, 0);
        for image in 0..windows.images.1 - windows.images.0 {
            let top = image * grid.image * down + pad[0];
            let rows = first.max(top)..end.min(top + height);
            if rows.is_empty() {
                continue;
            }
            self.parts.push((windows.images.0 + image, (rows.start - top) * width, rows.len() * width));
            for row in rows.map(|row| row - first) {
                let planes = &self.planes[row % down * right..][..right];
                for col in pad[1]..pad[1] + width {
                    let place = planes[col % right].map(|start| start + row / down * grid.width + col / right);
                    self.pixels.push(place.unwrap_or(NONE));
                    if let Some(place) = place {
                        self.gaps[place] = NONE;
                    }
                }
            }
        }
        // Of all lines those that are no pixels.
        let mut line = 0;
        self.gaps.retain_mut(|gap| {
            let is_gap = *gap != NONE;
            *gap = line;
            line += 1;
            is_gap
        });
    }

    /// Finds those of results in rows `first..end`.
    fn set_results(&mut self, windows: &Windows<'_>, grid: &Grid, (first, end): (usize, usize)) {
        let geometry = windows.geometry;
        let [height, width] = geometry.result;
        self.results.clear();
        self.panels.clear();
        for row in (first..end).filter(|row| row % grid.image < height) {
            let start = row / grid.image * geometry.result_image() + row % grid.image * width;
            for x in 0..width {
                let (line, result) = ((row - first) * grid.width + x, self.results.len());
                if self.panels.last().is_none_or(|panel| line >= panel.first + ROWS) {
                    self.panels.push(Panel { first: line, results: (result, result) });
                }
                if let Some(panel) = self.panels.last_mut() {
                    panel.results.1 = result + 1;
                    self.results.push((line - panel.first, start + x));
                }
            }
        }
    }
}

impl Windows<'_> {
    /// Rows of results whose windows are split at a time.
    pub(super) fn rows_at_once(&self, grid: &Grid, slices: usize) -> usize {
        let Window { size, stride: [down, right], dilation, .. } = self.geometry.window;
        // A row of each plane that there can be.
        let planes = down.min(size[0]) * right.min(size[1]);
        let row = LIMBS * slices * planes * grid.width;
        let more = (size[0] - 1) * dilation[0] / down;
        // At least as many as windows reach below their first, and as fill a panel.
        let most = (NEAR / row.max(1)).saturating_sub(more).max(more).max(ROWS.div_ceil(grid.width)).max(1);
        evenly(grid.rows, most, 1)
    }

    /// Splits channels of the image, 64 a slice.
    #[inline(always)]
    pub(super) fn split<S: Simd, T: Tiles>(
        &self,
        (simd, tiles): (S, T),
        places: &Places,
        (first, end): (usize, usize),
        to: &mut Vec<Line>,
    ) {
        let limb = (end - first) * places.lines;
        // Tiles of the last results reach farther.
        let to = room(to, LIMBS * limb + ROWS);
        let mut sums = [[0; STRIP]; LINE];
        let mut square = [[[0; GROUP]; GROUP]; STRIP];
        for slice in first..end {
            let start = (slice - first) * places.lines;
            for limb in (0..LIMBS).map(|number| number * limb + start) {
                for gap in &places.gaps {
                    to[limb + gap] = Line([0; LINE]);
                }
            }
            let mut pixels = &places.pixels[..];
            for (image, first, count) in &places.parts {
                for pixel in (0..*count).step_by(STRIP) {
                    let these = (first + pixel, first + count.min(&(pixel + STRIP)));
                    self.read(simd, *image, slice, these, &mut sums, &mut square);
                    let (places, behind) = pixels.split_at(these.1 - these.0);
                    pixels = behind;
                    for (place, words) in places.iter().zip(&square) {
                        if *place == NONE {
                            continue;
                        }
                        let lines = tiles.split(*words);
                        for (number, line) in lines.iter().enumerate() {
                            to[number * limb + start + place] = *line;
                        }
                    }
                }
            }
        }
    }

    /// Reads 64 channels of pixels; those behind the last one are zero.
    #[inline(always)]
    fn read<S: Simd>(
        &self,
        simd: S,
        image: usize,
        slice: usize,
        (first, end): (usize, usize),
        sums: &mut [[u64; STRIP]; LINE],
        square: &mut [[[u64; GROUP]; GROUP]; STRIP],
    ) {
        let geometry = self.geometry;
        let (count, plane) = (end - first, geometry.plain[0] * geometry.plain[1]);
        for group in 0..LINE / GROUP {
            let mut rows = [&[][..]; GROUP];
            for ((i, row), sum) in rows.iter_mut().enumerate().zip(&mut sums[group * GROUP..]) {
                let channel = slice * LINE + group * GROUP + i;
                let Some((words, _)) = self.pairs.get(channel / geometry.channels) else {
                    sum.fill(0);
                    *row = &sum[..count];
                    continue;
                };
                let number = (image * geometry.groups + self.group) * geometry.channels + channel % geometry.channels;
                let words = words.range(number * plane + first, number * plane + end);
                *row = words.first;
                if words.second.is_some() {
                    words.write(&mut sum[..count]);
                    *row = &sum[..count];
                }
            }
            let whole = count - count % GROUP;
            for pixel in (0..whole).step_by(GROUP) {
                let mut vectors = [simd.splat(0); GROUP];
                for (vector, row) in vectors.iter_mut().zip(&rows) {
                    let mut words = [0; GROUP];
                    words.copy_from_slice(&row[pixel..pixel + GROUP]);
                    *vector = simd.load(words);
                }
                let vectors = simd.transpose(vectors);
                for (vector, pixel) in vectors.iter().zip(&mut square[pixel..]) {
                    pixel[group] = simd.store(*vector);
                }
            }
            for (pixel, words) in square.iter_mut().enumerate().take(count).skip(whole) {
                for (word, row) in words[group].iter_mut().zip(&rows) {
                    *word = row[pixel];
                }
            }
        }
    }
}
