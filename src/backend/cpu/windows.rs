//! Windows of images as the right factor of a large product, without the matrix that they are.
//!
//! A row of that matrix is a channel and a position in the window, a column a window. Half of the channels and half of the
//! windows, if those are whole rows of an image's windows or those of whole images, are windows again, elsewhere in the image by
//! as many words at each channel. So the sum of two quarters of the matrix are the windows of the sum of two parts of the image,
//! which has as few words as the image: a window's positions do not multiply what is added.

use super::factor::{Axis, Factor};
use super::matrices::{Matrix, dense};
use super::strassen::DEEPEST;

/// Windows in units, which follow one another in memory.
#[derive(Clone, Copy)]
pub(super) struct Windows<'a> {
    /// Where a window's elements are in a channel, in order.
    pub taps: &'a [usize],
    /// Where windows are behind the first one, unit by unit, in order; for as many units as there are at least.
    pub sources: &'a [usize],
    /// Words from a channel to the next one.
    pub plane: usize,
    /// Windows of a unit: those of a row of results, or of an image.
    pub unit: usize,
    /// Words from a unit to the next one.
    pub step: usize,
}

impl Windows<'_> {
    /// Words of a channel from the first one to the last one that the first windows read.
    pub(super) fn span(&self, windows: usize) -> usize {
        self.sources[windows - 1] + self.taps[self.taps.len() - 1] + 1
    }
}

/// Where windows' elements are in quarters, and in sums of quarters, of which channels are as far apart as they have words.
#[derive(Default)]
pub(super) struct Tables {
    /// Words from a channel to the next one, and where the elements are.
    of: [(usize, Vec<usize>); DEEPEST + 1],
}

impl Tables {
    /// For windows of such an inner dimension and so many of them, which are halved so often.
    pub(super) fn set(&mut self, windows: &Windows<'_>, [depth, cols]: [usize; 2], levels: usize) {
        let channels = (depth / windows.taps.len()) >> levels;
        for (level, (plane, table)) in self.of.iter_mut().enumerate().take(levels + 1) {
            let words = if level == 0 { windows.plane } else { windows.span(cols >> level) };
            *plane = words;
            table.clear();
            table.extend((0..channels).flat_map(|channel| windows.taps.iter().map(move |tap| channel * words + tap)));
        }
    }
}

/// A right factor, or a quarter of it, or a sum of quarters.
#[derive(Clone, Copy)]
pub(super) struct Right<'a> {
    /// The matrix; of windows the image, whose rows are channels.
    pub words: Matrix<'a>,
    /// Columns of the factor.
    pub cols: usize,
    windows: Option<(Windows<'a>, &'a Tables)>,
}

impl<'a> Right<'a> {
    /// A matrix.
    pub(super) fn matrix(words: Matrix<'a>) -> Right<'a> {
        Right { words, cols: words.cols, windows: None }
    }

    /// A factor of these rows and columns, which are windows.
    pub(super) fn windows(
        factor: &Factor<'a>,
        windows: Windows<'a>,
        tables: &'a Tables,
        [depth, cols]: [usize; 2],
    ) -> Right<'a> {
        debug_assert!(factor.words.second.is_none());
        let words = Matrix {
            words: &factor.words.first[factor.rows.at(0) + factor.cols.at(0)..],
            stride: windows.plane,
            rows: depth / windows.taps.len(),
            cols: windows.span(cols),
        };
        Right { words, cols, windows: Some((windows, tables)) }
    }

    /// The same of other words without gaps.
    pub(super) fn of<'b>(self, words: &'b [u64]) -> Right<'b>
    where
        'a: 'b,
    {
        Right { words: dense(words, self.words.rows, self.words.cols), ..self }
    }

    /// Its quarters: above left, above right, below left, below right.
    pub(super) fn quarters(self) -> [Right<'a>; 4] {
        let Some((windows, _)) = self.windows else { return self.words.quarters().map(Right::matrix) };
        let (rows, cols) = (self.words.rows / 2, self.cols / 2);
        let (below, right) = (rows * self.words.stride, cols / windows.unit * windows.step);
        [0, right, below, below + right].map(|start| {
            let words = Matrix { words: &self.words.words[start..], rows, cols: windows.span(cols), ..self.words };
            Right { words, cols, ..self }
        })
    }

    /// Words of a quarter's quarter, and so on, so often.
    pub(super) fn words_of_quarters(self, level: usize) -> usize {
        let cols = self.cols >> level;
        (self.words.rows >> level) * self.windows.map_or(cols, |(windows, _)| windows.span(cols))
    }

    /// It as a factor, once it is halved no more.
    pub(super) fn factor(self) -> Factor<'a> {
        let Some((windows, tables)) = self.windows else { return self.words.factor() };
        let table = tables.of.iter().find(|(plane, _)| *plane == self.words.stride);
        let taps = table.map_or(&[][..], |(_, table)| table);
        Factor { words: self.words.words.into(), rows: Axis::Table(taps), cols: Axis::Table(windows.sources) }
    }
}
