//! What every launch is checked for before a kernel touches a word.

use crate::backend::BackendError;
use crate::plan::{Access, Buf};

/// An operand of a launch: its description and its words, `buf.words()` of them.
#[derive(Clone, Copy)]
pub(super) struct Input<'a> {
    /// What the plan says of it.
    pub buf: &'a Buf,
    /// How it is addressed.
    pub access: Access,
    /// Its words.
    pub words: &'a [u64],
}

/// A result of a launch. Its words start out arbitrary; kernels write all of them.
pub(super) struct Output<'a> {
    /// What the plan says of it.
    pub buf: &'a Buf,
    /// Its words, `buf.words()` of them.
    pub words: &'a mut [u64],
}

/// The error for operands that do not fit.
pub(super) fn misfit<T>(message: impl Into<String>) -> Result<T, BackendError> {
    Err(BackendError::Shape(message.into()))
}

/// The product of sizes.
pub(super) fn size(dims: &[usize]) -> Result<usize, BackendError> {
    match dims.iter().try_fold(1usize, |size, dim| size.checked_mul(*dim)) {
        Some(size) => Ok(size),
        None => misfit("a size exceeds the address space"),
    }
}

/// Checks that a buffer has the words a kernel expects.
pub(super) fn expect_words(what: &str, words: &[u64], expected: usize) -> Result<(), BackendError> {
    if words.len() == expected {
        return Ok(());
    }
    misfit(format!("{what} has {} words, expected {expected}", words.len()))
}

/// Checks that operands are read plainly: only element programs broadcast.
pub(super) fn expect_dense(kernel: &str, ins: &[Input<'_>]) -> Result<(), BackendError> {
    if ins.iter().all(|input| input.access == Access::Dense) {
        return Ok(());
    }
    misfit(format!("{kernel}: only a map may repeat an operand"))
}

/// The result of a kernel that has one.
pub(super) fn single<'o, 'b>(kernel: &str, outs: &'o mut [Output<'b>]) -> Result<&'o mut Output<'b>, BackendError> {
    let count = outs.len();
    match outs {
        [output] => Ok(output),
        _ => misfit(format!("{kernel}: one result expected, found {count}")),
    }
}

/// The operand and the result of a kernel that has one of each.
pub(super) fn unary<'i, 'o, 'a, 'b>(
    kernel: &str,
    ins: &'i [Input<'a>],
    outs: &'o mut [Output<'b>],
) -> Result<(&'i Input<'a>, &'o mut Output<'b>), BackendError> {
    expect_dense(kernel, ins)?;
    match ins {
        [input] => Ok((input, single(kernel, outs)?)),
        _ => misfit(format!("{kernel}: one operand expected, found {}", ins.len())),
    }
}
