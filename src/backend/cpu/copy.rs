//! Kernels that move words, or the bits of planes: strided views, concatenation, an axis by its indices.

use std::ops::Range;

use super::{Input, Output};
use crate::backend::BackendError;
use crate::backend::view::{self, Axes, Axis};
use crate::plan::View;

/// Rows and columns of the tiles in which a transposition goes through the caches.
const TILE: usize = 16;

/// Where a move puts elements: words, or the bits of a plane. It takes them from the same kind.
trait Elements {
    fn len(&self) -> usize;

    /// Puts a value, or its lowest bit, to all of `places`.
    fn fill(&mut self, places: Range<usize>, value: u64);

    /// Puts elements `from`, `from + stride`, and so on of `source` to `places`.
    fn copy(&mut self, places: Range<usize>, source: &[u64], from: usize, stride: usize);
}

struct Words<'a>(&'a mut [u64]);

impl Elements for Words<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn fill(&mut self, places: Range<usize>, value: u64) {
        self.0[places].fill(value);
    }

    fn copy(&mut self, places: Range<usize>, source: &[u64], from: usize, stride: usize) {
        let out = &mut self.0[places];
        match stride {
            0 => out.fill(source[from]),
            1 => out.copy_from_slice(&source[from..from + out.len()]),
            _ => out.iter_mut().zip(source[from..].iter().step_by(stride)).for_each(|(to, from)| *to = *from),
        }
    }
}

/// The bits of a plane. Those of its last word that are no element's stay zero.
struct Bits<'a> {
    words: &'a mut [u64],
    len: usize,
}

impl Bits<'_> {
    /// Plane `number` of a result, all zero.
    fn of<'o>(output: &'o mut Output<'_>, number: usize) -> Bits<'o> {
        let (stride, len) = (output.buf.stride(), output.buf.len);
        let words = &mut output.words[number * stride..(number + 1) * stride];
        words.fill(0);
        Bits { words, len }
    }

    /// Puts the lowest `count` bits of `bits` to `at` and on, which is in one word.
    fn put(&mut self, at: usize, count: usize, bits: u64) {
        let (mask, shift) = (u64::MAX >> (64 - count), at % 64);
        let word = &mut self.words[at / 64];
        *word = *word & !(mask << shift) | (bits & mask) << shift;
    }
}

impl Elements for Bits<'_> {
    fn len(&self) -> usize {
        self.len
    }

    fn fill(&mut self, places: Range<usize>, value: u64) {
        for (at, count) in by_words(places) {
            self.put(at, count, (value & 1).wrapping_neg());
        }
    }

    fn copy(&mut self, places: Range<usize>, source: &[u64], from: usize, stride: usize) {
        let start = places.start;
        for (at, count) in by_words(places) {
            let first = from + (at - start) * stride;
            let taken = match stride {
                1 => run(source, first, count),
                _ => (0..count).rev().fold(0, |taken, i| taken << 1 | run(source, first + i * stride, 1)),
            };
            self.put(at, count, taken);
        }
    }
}

/// The `count` bits from bit `at`; up to 64.
fn run(words: &[u64], at: usize, count: usize) -> u64 {
    let (word, shift) = (at / 64, at % 64);
    let more = if shift + count > 64 { words[word + 1] << (64 - shift) } else { 0 };
    (words[word] >> shift | more) & u64::MAX >> (64 - count)
}

/// The bits of `places` word by word: the first, and how many.
fn by_words(places: Range<usize>) -> impl Iterator<Item = (usize, usize)> {
    let words = places.start / 64..places.end.div_ceil(64);
    words.filter_map(move |word| {
        let (first, end) = (places.start.max(word * 64), places.end.min((word + 1) * 64));
        (first < end).then(|| (first, end - first))
    })
}

/// The words of plane `number` of an operand.
fn plane<'a>(input: &Input<'a>, number: usize) -> &'a [u64] {
    let stride = input.buf.stride();
    &input.words[number * stride..(number + 1) * stride]
}

/// `outs[0][i] = ins[0][view(i)]`.
pub(super) fn view(view: &View, ins: &[Input<'_>], outs: &mut [Output<'_>]) -> Result<(), BackendError> {
    let output = &mut outs[0];
    if output.buf.len == 0 {
        return Ok(());
    }
    let (start, axes) = view::axes(view, ins[0].buf.len)?;
    if output.buf.width > 1 {
        view_elements((start, &axes), view.fill, ins[0].words, &mut Words(output.words));
        return Ok(());
    }
    for number in 0..output.buf.planes {
        view_elements((start, &axes), view.fill, plane(&ins[0], number), &mut Bits::of(output, number));
    }
    Ok(())
}

fn view_elements((start, axes): (usize, &Axes), fill: u64, source: &[u64], out: &mut impl Elements) {
    let complete = axes.iter().all(|axis| axis.valid == (0..axis.size));
    if !complete {
        out.fill(0..out.len(), fill);
    }
    if axes.iter().all(|axis| !axis.valid.is_empty()) {
        gather(&view::merged(axes), source, start, out, 0);
    }
}

/// Copies the valid elements; `start` and `target` are the elements of the first valid and of the first index.
fn gather(axes: &[Axis], source: &[u64], start: usize, out: &mut impl Elements, target: usize) {
    let Some((axis, inner)) = axes.split_first() else {
        out.copy(target..target + 1, source, start, 1);
        return;
    };
    let target = target + axis.valid.start * axis.out;
    let count = axis.valid.len();
    match inner {
        [] => out.copy(target..target + count, source, start, axis.stride),
        [other] if axis.stride == 1 && other.stride > 1 => {
            transpose([axis, other], source, start, out, target + other.valid.start * other.out);
        }
        _ => {
            for i in 0..count {
                gather(inner, source, start + i * axis.stride, out, target + i * axis.out);
            }
        }
    }
}

/// Copies a matrix whose columns lie in one piece, tile by tile.
fn transpose([rows, cols]: [&Axis; 2], source: &[u64], start: usize, out: &mut impl Elements, target: usize) {
    let (height, width) = (rows.valid.len(), cols.valid.len());
    for row in (0..height).step_by(TILE) {
        for col in (0..width).step_by(TILE) {
            let tile = TILE.min(width - col);
            for i in row..height.min(row + TILE) {
                let to = target + i * rows.out + col;
                out.copy(to..to + tile, source, start + i + col * cols.stride, cols.stride);
            }
        }
    }
}

/// `outs[0]` is, for each outer index, a chunk of each operand in turn.
pub(super) fn concat(outer: usize, chunks: &[usize], ins: &[Input<'_>], outs: &mut [Output<'_>]) {
    let output = &mut outs[0];
    if output.buf.width > 1 {
        concat_elements(outer, chunks, |i| ins[i].words, &mut Words(output.words));
        return;
    }
    for number in 0..output.buf.planes {
        concat_elements(outer, chunks, |i| plane(&ins[i], number), &mut Bits::of(output, number));
    }
}

fn concat_elements<'a>(outer: usize, chunks: &[usize], operand: impl Fn(usize) -> &'a [u64], out: &mut impl Elements) {
    let row = out.len() / outer.max(1);
    let mut before = 0;
    for (i, &chunk) in chunks.iter().enumerate().filter(|(_, chunk)| **chunk > 0) {
        let source = operand(i);
        for o in 0..outer {
            let to = o * row + before;
            out.copy(to..to + chunk, source, o * chunk, 1);
        }
        before += chunk;
    }
}

/// `outs[0][o, j, i] = ins[0][o, index[j], i]`, 0 where there is no index; `sizes` of the operand's axis and inside of it.
pub(super) fn gather_axis(sizes: [usize; 2], index: &[Option<usize>], ins: &[Input<'_>], outs: &mut [Output<'_>]) {
    let output = &mut outs[0];
    if output.buf.width > 1 {
        gather_elements(sizes, index, ins[0].words, &mut Words(output.words));
        return;
    }
    for number in 0..output.buf.planes {
        gather_elements(sizes, index, plane(&ins[0], number), &mut Bits::of(output, number));
    }
}

fn gather_elements([axis, inner]: [usize; 2], index: &[Option<usize>], source: &[u64], out: &mut impl Elements) {
    if out.len() == 0 {
        return;
    }
    for o in 0..out.len() / (index.len() * inner) {
        for (j, from) in index.iter().enumerate() {
            let to = (o * index.len() + j) * inner;
            match from {
                Some(from) => out.copy(to..to + inner, source, (o * axis + from) * inner, 1),
                None => out.fill(to..to + inner, 0),
            }
        }
    }
}
