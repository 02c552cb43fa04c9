//! Kernels that move words, or the bits of planes: strided views, concatenation, an axis by its indices.

use std::ops::Range;

use smallvec::SmallVec;

use super::check::{Input, Output, expect_dense, misfit, single, size, unary};
use crate::backend::BackendError;
use crate::plan::{Bound, View};

/// Rows and columns of the tiles in which a transposition goes through the caches.
const TILE: usize = 16;

/// `outs[0][i] = ins[0][view(i)]`.
pub(super) fn view(view: &View, ins: &[Input<'_>], outs: &mut [Output<'_>]) -> Result<(), BackendError> {
    let (_, output) = unary("copy", ins, outs)?;
    match output.buf.width {
        1 => each_plane("copy", ins, output, |ins, out| view_elements(view, (view.fill & 1) as u8, &ins[0], out)),
        _ => view_elements(view, view.fill, words(&ins[0])?, output.words),
    }
}

/// The same on words, or on bits.
fn view_elements<T: Copy>(view: &View, fill: T, input: &[T], out: &mut [T]) -> Result<(), BackendError> {
    expect_elements("copy: result", out.len(), size(&view.shape)?)?;
    if out.is_empty() {
        return Ok(());
    }
    let (start, axes) = axes(view, input.len())?;
    let complete = axes.iter().all(|axis| axis.valid == (0..axis.size));
    if !complete {
        out.fill(fill);
    }
    if axes.iter().all(|axis| !axis.valid.is_empty()) {
        gather(&merged(axes), input, start, out, 0);
    }
    Ok(())
}

/// The words of a ring buffer.
fn words<'a>(input: &Input<'a>) -> Result<&'a [u64], BackendError> {
    if input.buf.width == 1 { misfit("words are not made of bits") } else { Ok(input.words) }
}

fn expect_elements(what: &str, found: usize, expected: usize) -> Result<(), BackendError> {
    if found == expected { Ok(()) } else { misfit(format!("{what} has {found} elements, expected {expected}")) }
}

/// Runs a move on the bits of each plane, a byte each; operands and result have as many planes.
fn each_plane(
    kernel: &str,
    ins: &[Input<'_>],
    output: &mut Output<'_>,
    run: impl Fn(&[Vec<u8>], &mut [u8]) -> Result<(), BackendError>,
) -> Result<(), BackendError> {
    let (len, stride, planes) = (output.buf.len, output.buf.stride(), output.buf.planes);
    if ins.iter().any(|input| input.buf.width != 1 || input.buf.planes != planes) {
        return misfit(format!("{kernel}: operands of as many planes as the result expected"));
    }
    let mut out = vec![0; len];
    for plane in 0..planes {
        let bits = |input: &Input<'_>| -> Vec<u8> {
            let first = plane * input.buf.stride();
            (0..input.buf.len).map(|e| (input.words[first + e / 64] >> (e % 64) & 1) as u8).collect()
        };
        run(&ins.iter().map(bits).collect::<Vec<_>>(), &mut out)?;
        let words = &mut output.words[plane * stride..(plane + 1) * stride];
        for (word, bits) in words.iter_mut().zip(out.chunks(64)) {
            *word = bits.iter().rev().fold(0, |word, bit| word << 1 | u64::from(*bit));
        }
    }
    Ok(())
}

/// One axis of a view.
#[derive(Clone, Debug, PartialEq)]
struct Axis {
    /// Result indices.
    size: usize,
    /// Those that read the operand; the others read the fill.
    valid: Range<usize>,
    /// Operand words a step.
    stride: usize,
    /// Result words a step.
    out: usize,
}

type Axes = SmallVec<[Axis; 6]>;

/// The axes of a view, and the operand's word at each axis' first valid index. Checks that valid elements lie within
/// the operand's `words`.
fn axes(view: &View, words: usize) -> Result<(usize, Axes), BackendError> {
    let View { shape, strides, start, bounds, .. } = view;
    if strides.len() != shape.len() || bounds.iter().any(|bound| bound.axis >= shape.len()) {
        return misfit("copy: strides and bounds do not belong to the shape");
    }
    let mut out = 1;
    let mut axes = Axes::new();
    for (a, (&size, &stride)) in shape.iter().zip(strides).enumerate().rev() {
        let valid = bounds.iter().filter(|bound| bound.axis == a).fold(0..size, |valid, bound| within(bound, valid));
        axes.push(Axis { size, valid, stride, out });
        out *= size;
    }
    axes.reverse();
    if axes.iter().any(|axis| axis.valid.is_empty()) {
        return Ok((0, axes));
    }
    let reach = |index: fn(&Range<usize>) -> usize| {
        let steps = axes.iter().map(|axis| index(&axis.valid) as i128 * axis.stride as i128);
        i128::from(*start) + steps.sum::<i128>()
    };
    let (first, last) = (reach(|valid| valid.start), reach(|valid| valid.end - 1));
    if first < 0 || last >= words as i128 {
        return misfit(format!("copy: reads words {first} to {last} of {words}"));
    }
    Ok((first as usize, axes))
}

/// The indices of `valid` whose source index `i * step + offset` lies in `0..limit`.
fn within(bound: &Bound, valid: Range<usize>) -> Range<usize> {
    let inside = |i: usize| {
        let source = i as i128 * i128::from(bound.step) + i128::from(bound.offset);
        (0..i128::from(bound.limit)).contains(&source)
    };
    let start = valid.clone().find(|&i| inside(i)).unwrap_or(valid.end);
    let end = valid.rev().find(|&i| inside(i)).map_or(start, |i| i + 1);
    start..end
}

/// The same elements with as few axes as possible: an axis joins the next one when together they are one longer axis.
fn merged(axes: Axes) -> Axes {
    let mut merged = Axes::new();
    for axis in axes {
        if axis.size == 1 {
            continue;
        }
        match merged.last_mut() {
            Some(outer) if axis.valid == (0..axis.size) && outer.stride == axis.stride * axis.size => {
                let valid = outer.valid.start * axis.size..outer.valid.end * axis.size;
                *outer = Axis { size: outer.size * axis.size, valid, ..axis };
            }
            _ => merged.push(axis),
        }
    }
    merged
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
pub(super) fn concat(
    outer: usize,
    chunks: &[usize],
    ins: &[Input<'_>],
    outs: &mut [Output<'_>],
) -> Result<(), BackendError> {
    expect_dense("concat", ins)?;
    let output = single("concat", outs)?;
    match output.buf.width {
        1 => each_plane("concat", ins, output, |ins, out| {
            concat_elements(outer, chunks, &ins.iter().map(Vec::as_slice).collect::<Vec<_>>(), out)
        }),
        _ => {
            let ins = ins.iter().map(words).collect::<Result<SmallVec<[_; 8]>, _>>()?;
            concat_elements(outer, chunks, &ins, output.words)
        }
    }
}

fn concat_elements<T: Copy>(outer: usize, chunks: &[usize], ins: &[&[T]], out: &mut [T]) -> Result<(), BackendError> {
    if chunks.len() != ins.len() {
        return misfit(format!("concat: {} operands for {} chunks", ins.len(), chunks.len()));
    }
    for (input, &chunk) in ins.iter().zip(chunks) {
        expect_elements("concat: operand", input.len(), size(&[outer, chunk])?)?;
    }
    expect_elements("concat: result", out.len(), ins.iter().map(|input| input.len()).sum())?;
    let row = out.len() / outer.max(1);
    let mut before = 0;
    for (input, &chunk) in ins.iter().zip(chunks).filter(|(_, chunk)| **chunk > 0) {
        for (from, to) in input.chunks_exact(chunk).zip(out.chunks_exact_mut(row)) {
            to[before..before + chunk].copy_from_slice(from);
        }
        before += chunk;
    }
    Ok(())
}

/// `outs[0][o, j, i] = ins[0][o, index[j], i]`, 0 where there is no index.
pub(super) fn gather_axis(
    sizes: [usize; 3],
    index: &[Option<usize>],
    ins: &[Input<'_>],
    outs: &mut [Output<'_>],
) -> Result<(), BackendError> {
    let (_, output) = unary("gather", ins, outs)?;
    match output.buf.width {
        1 => each_plane("gather", ins, output, |ins, out| gather_elements(sizes, index, 0, &ins[0], out)),
        _ => gather_elements(sizes, index, 0, words(&ins[0])?, output.words),
    }
}

fn gather_elements<T: Copy>(
    [outer, axis, inner]: [usize; 3],
    index: &[Option<usize>],
    zero: T,
    input: &[T],
    out: &mut [T],
) -> Result<(), BackendError> {
    expect_elements("gather: operand", input.len(), size(&[outer, axis, inner])?)?;
    expect_elements("gather: result", out.len(), size(&[outer, index.len(), inner])?)?;
    if index.iter().flatten().any(|i| *i >= axis) {
        return misfit("gather: an index beyond the axis");
    }
    if out.is_empty() {
        return Ok(());
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
    Ok(())
}
