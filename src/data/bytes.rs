//! A file in memory that is read piece by piece, and says where and why a piece is wrong.

use crate::data::DataError;

/// The bytes of a file, with what messages need.
#[derive(Clone, Copy)]
pub(super) struct Bytes<'a> {
    /// The file's name as the user knows it.
    pub file: &'a str,
    /// The format it is read as.
    pub format: &'static str,
    /// The content.
    pub all: &'a [u8],
}

impl<'a> Bytes<'a> {
    /// The error "at byte `at`, expected this, found that".
    pub fn wrong(&self, at: usize, expected: impl Into<String>, found: impl Into<String>) -> DataError {
        DataError::Malformed {
            file: self.file.to_owned(),
            format: self.format,
            at: at as u64,
            expected: expected.into(),
            found: found.into(),
        }
    }

    /// The bytes `at..at + len`, which hold `what`.
    pub fn take(&self, at: usize, len: usize, what: &str) -> Result<&'a [u8], DataError> {
        let rest = self.all.get(at..).unwrap_or_default();
        rest.get(..len).ok_or_else(|| {
            self.wrong(at, format!("{len} bytes ({what})"), format!("{} before the end of the file", rest.len()))
        })
    }

    /// All bytes from `at` on, which must be as many as elements of `width` bytes in `shape` need.
    pub fn elements(&self, at: usize, shape: &[usize], width: usize) -> Result<&'a [u8], DataError> {
        let there = self.all.len().saturating_sub(at);
        let promised = byte_len(shape, width);
        if promised == Some(there) {
            return self.take(at, there, "elements");
        }
        let size = promised.map_or_else(|| "more than 2^63".to_owned(), |n| n.to_string());
        Err(self.wrong(
            at,
            format!("{size} bytes of data (shape {shape:?}, {width} bytes an element)"),
            there.to_string(),
        ))
    }
}

/// Bytes of a tensor; `None` when the number does not fit, whatever zeros the shape may hide it behind.
pub(super) fn byte_len(shape: &[usize], width: usize) -> Option<usize> {
    shape.iter().try_fold(width, |n, &size| n.checked_mul(size)).filter(|&n| isize::try_from(n).is_ok())
}
