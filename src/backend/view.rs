//! Strided views as devices walk them: axes with the indices that read the operand.

use std::ops::Range;

use smallvec::SmallVec;

use crate::backend::BackendError;
use crate::backend::check::misfit;
use crate::plan::{Bound, View};

/// One axis of a view.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Axis {
    /// Result indices.
    pub size: usize,
    /// Those that read the operand; the others read the fill.
    pub valid: Range<usize>,
    /// Operand words a step.
    pub stride: usize,
    /// Result words a step.
    pub out: usize,
}

pub(super) type Axes = SmallVec<[Axis; 6]>;

/// The axes of a view, and the operand's word at each axis' first valid index. Checks that valid elements lie within
/// the operand's `words`.
pub(super) fn axes(view: &View, words: usize) -> Result<(usize, Axes), BackendError> {
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
pub(super) fn merged(axes: &Axes) -> Axes {
    let mut merged = Axes::new();
    for axis in axes {
        if axis.size == 1 && !axis.valid.is_empty() {
            continue;
        }
        match merged.last_mut() {
            Some(outer) if axis.valid == (0..axis.size) && outer.stride == axis.stride * axis.size => {
                let valid = outer.valid.start * axis.size..outer.valid.end * axis.size;
                *outer = Axis { size: outer.size * axis.size, valid, ..axis.clone() };
            }
            _ => merged.push(axis.clone()),
        }
    }
    merged
}
