//! Kernels that move words, or the bits of planes: strided views, concatenation, an axis by its indices.

use smallvec::SmallVec;

use super::{Input, Output};
use crate::backend::BackendError;
use crate::backend::view::{self, Axes, Axis};
use crate::plan::View;

/// Rows and columns of the tiles in which a transposition goes through the caches.
const TILE: usize = 16;

/// `outs[0][i] = ins[0][view(i)]`.
pub(super) fn view(view: &View, ins: &[Input<'_>], outs: &mut [Output<'_>]) -> Result<(), BackendError> {
    let output = &mut outs[0];
    if output.buf.len == 0 {
        return Ok(());
    }
    let (start, axes) = view::axes(view, ins[0].buf.len)?;
    match output.buf.width {
        1 => each_plane(ins, output, |ins, out| view_elements((start, &axes), (view.fill & 1) as u8, &ins[0], out)),
        _ => view_elements((start, &axes), view.fill, ins[0].words, output.words),
    }
    Ok(())
}

/// The same on words, or on bits.
fn view_elements<T: Copy>((start, axes): (usize, &Axes), fill: T, input: &[T], out: &mut [T]) {
    let complete = axes.iter().all(|axis| axis.valid == (0..axis.size));
    if !complete {
        out.fill(fill);
    }
    if axes.iter().all(|axis| !axis.valid.is_empty()) {
        gather(&view::merged(axes), input, start, out, 0);
    }
}

/// Runs a move on the bits of each plane, a byte each; operands and result have as many planes.
fn each_plane(ins: &[Input<'_>], output: &mut Output<'_>, run: impl Fn(&[Vec<u8>], &mut [u8])) {
    let (len, stride, planes) = (output.buf.len, output.buf.stride(), output.buf.planes);
    let mut out = vec![0; len];
    for plane in 0..planes {
        let bits = |input: &Input<'_>| -> Vec<u8> {
            let first = plane * input.buf.stride();
            (0..input.buf.len).map(|e| (input.words[first + e / 64] >> (e % 64) & 1) as u8).collect()
        };
        run(&ins.iter().map(bits).collect::<Vec<_>>(), &mut out);
        let words = &mut output.words[plane * stride..(plane + 1) * stride];
        for (word, bits) in words.iter_mut().zip(out.chunks(64)) {
            *word = bits.iter().rev().fold(0, |word, bit| word << 1 | u64::from(*bit));
        }
    }
}

/// Copies the valid elements; `start` and `target` are the words of the first valid and of the first index.
fn gather<T: Copy>(axes: &[Axis], words: &[T], start: usize, out: &mut [T], target: usize) {
    let Some((axis, inner)) = axes.split_first() else {
        out[target] = words[start];
        return;
    };
    let target = target + axis.valid.start * axis.out;
    let count = axis.valid.len();
    match inner {
        [] => copy_run(axis.stride, words, start, &mut out[target..target + count]),
        [other] if axis.stride == 1 && other.stride > 1 => {
            transpose([axis, other], words, start, out, target + other.valid.start * other.out);
        }
        _ => {
            for i in 0..count {
                gather(inner, words, start + i * axis.stride, out, target + i * axis.out);
            }
        }
    }
}

/// Copies words `start`, `start + stride`, and so on.
fn copy_run<T: Copy>(stride: usize, words: &[T], start: usize, out: &mut [T]) {
    match stride {
        0 => out.fill(words[start]),
        1 => out.copy_from_slice(&words[start..start + out.len()]),
        _ => out.iter_mut().zip(words[start..].iter().step_by(stride)).for_each(|(to, from)| *to = *from),
    }
}

/// Copies a matrix whose columns lie in one piece, tile by tile.
fn transpose<T: Copy>([rows, cols]: [&Axis; 2], words: &[T], start: usize, out: &mut [T], target: usize) {
    let (height, width) = (rows.valid.len(), cols.valid.len());
    for row in (0..height).step_by(TILE) {
        for col in (0..width).step_by(TILE) {
            let tile = TILE.min(width - col);
            for i in row..height.min(row + TILE) {
                let from = start + i + col * cols.stride;
                let to = target + i * rows.out + col;
                copy_run(cols.stride, words, from, &mut out[to..to + tile]);
            }
        }
    }
}

/// `outs[0]` is, for each outer index, a chunk of each operand in turn.
pub(super) fn concat(outer: usize, chunks: &[usize], ins: &[Input<'_>], outs: &mut [Output<'_>]) {
    let output = &mut outs[0];
    match output.buf.width {
        1 => each_plane(ins, output, |ins, out| {
            concat_elements(outer, chunks, &ins.iter().map(Vec::as_slice).collect::<Vec<_>>(), out);
        }),
        _ => {
            let ins: SmallVec<[_; 8]> = ins.iter().map(|input| input.words).collect();
            concat_elements(outer, chunks, &ins, output.words);
        }
    }
}

fn concat_elements<T: Copy>(outer: usize, chunks: &[usize], ins: &[&[T]], out: &mut [T]) {
    let row = out.len() / outer.max(1);
    let mut before = 0;
    for (input, &chunk) in ins.iter().zip(chunks).filter(|(_, chunk)| **chunk > 0) {
        for (from, to) in input.chunks_exact(chunk).zip(out.chunks_exact_mut(row)) {
            to[before..before + chunk].copy_from_slice(from);
        }
        before += chunk;
    }
}

/// `outs[0][o, j, i] = ins[0][o, index[j], i]`, 0 where there is no index; `sizes` of the operand's axis and inside of it.
pub(super) fn gather_axis(sizes: [usize; 2], index: &[Option<usize>], ins: &[Input<'_>], outs: &mut [Output<'_>]) {
    let output = &mut outs[0];
    match output.buf.width {
        1 => each_plane(ins, output, |ins, out| gather_elements(sizes, index, 0, &ins[0], out)),
        _ => gather_elements(sizes, index, 0, ins[0].words, output.words),
    }
}

fn gather_elements<T: Copy>([axis, inner]: [usize; 2], index: &[Option<usize>], zero: T, input: &[T], out: &mut [T]) {
    if out.is_empty() {
        return;
    }
    // Without an axis to read from there are no indices, so the operand may be empty.
    let mut rows = input.chunks_exact((axis * inner).max(1));
    for to in out.chunks_exact_mut(index.len() * inner) {
        let row = rows.next().unwrap_or_default();
        for (to, from) in to.chunks_exact_mut(inner).zip(index) {
            match from {
                Some(from) => to.copy_from_slice(&row[from * inner..(from + 1) * inner]),
                None => to.fill(zero),
            }
        }
    }
}
