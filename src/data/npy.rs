//! numpy's `.npy`: a magic string, a header that is a Python dictionary, and the elements.
//!
//! The format is specified in numpy's `numpy/lib/format.py`. Versions 1 to 3 are read, in both byte and both axis orders.

use std::path::Path;

use crate::data::element::{ElementType, Endian};
use crate::data::{Bytes, DataError, Elements, Tensor};

/// The first bytes of every `.npy` file.
pub(super) const MAGIC: &[u8] = b"\x93NUMPY";

/// What the header says.
struct Header {
    element: ElementType,
    endian: Endian,
    column_major: bool,
    shape: Vec<usize>,
}

/// Reads an array from the bytes of a `.npy` file.
///
/// # Errors
/// [`DataError::Malformed`] and [`DataError::ElementType`].
pub fn parse(file: &str, bytes: &[u8]) -> Result<Tensor, DataError> {
    let bytes = Bytes { file, format: ".npy", all: bytes };
    let magic = bytes.take(0, MAGIC.len(), "the magic string `\\x93NUMPY`")?;
    if magic != MAGIC {
        return Err(bytes.wrong(0, "the magic string `\\x93NUMPY`", format!("`{}`", magic.escape_ascii())));
    }
    let version = bytes.take(6, 2, "the version")?[0];
    let (at, len) = match version {
        1 => (10, little(bytes.take(8, 2, "the header's length")?)),
        2 | 3 => (12, little(bytes.take(8, 4, "the header's length")?)),
        other => return Err(bytes.wrong(6, "version 1, 2 or 3", other.to_string())),
    };
    let text = bytes.take(at, len, "the header")?;
    let header = Dictionary { bytes, text, start: at, at: 0 }.header()?;
    let data = bytes.elements(at + len, &header.shape, header.element.width())?;
    let tensor = Tensor::new(header.shape, header.element.decode(data, header.endian))
        .expect("the length was compared with the shape");
    Ok(if header.column_major { tensor.into_row_major() } else { tensor })
}

/// Writes an array in its stored element type.
///
/// # Errors
/// [`DataError::Write`].
pub fn write(path: &Path, tensor: &Tensor) -> Result<(), DataError> {
    std::fs::write(path, to_bytes(tensor))
        .map_err(|reason| DataError::Write { file: path.display().to_string(), reason })
}

/// The bytes of a `.npy` file, version 1, little-endian, row-major.
#[must_use]
pub fn to_bytes(tensor: &Tensor) -> Vec<u8> {
    let descr = match tensor.elements() {
        Elements::U8(_) => "|u1",
        Elements::I64(_) => "<i8",
        Elements::F32(_) => "<f4",
        Elements::F64(_) => "<f8",
    };
    let sizes: String = tensor.shape().iter().map(|size| format!("{size}, ")).collect();
    // A tuple of one element keeps its comma, longer ones do without.
    let sizes = sizes.trim_end_matches(if tensor.shape().len() == 1 { " " } else { ", " });
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({sizes}), }}");
    // The elements start at a multiple of 64 bytes; the header ends in a newline.
    let padding = (64 - (10 + header.len() + 1) % 64) % 64;
    header.extend(std::iter::repeat_n(' ', padding));
    header.push('\n');

    let mut out = MAGIC.to_vec();
    out.extend([1, 0]);
    out.extend((header.len() as u16).to_le_bytes());
    out.extend(header.bytes());
    match tensor.elements() {
        Elements::U8(v) => out.extend(v),
        Elements::I64(v) => out.extend(v.iter().flat_map(|x| x.to_le_bytes())),
        Elements::F32(v) => out.extend(v.iter().flat_map(|x| x.to_le_bytes())),
        Elements::F64(v) => out.extend(v.iter().flat_map(|x| x.to_le_bytes())),
    }
    out
}

fn little(bytes: &[u8]) -> usize {
    bytes.iter().rev().fold(0, |n, &b| n << 8 | usize::from(b))
}

/// A reader of the one kind of dictionary that numpy writes: string keys; strings, truth values and tuples of numbers.
struct Dictionary<'a> {
    bytes: Bytes<'a>,
    text: &'a [u8],
    /// Offset of `text` in the file.
    start: usize,
    at: usize,
}

impl<'a> Dictionary<'a> {
    fn header(mut self) -> Result<Header, DataError> {
        let (mut kind, mut column_major, mut shape) = (None, None, None);
        self.token(b'{')?;
        while !self.has(b'}') {
            let at = self.at;
            let key = self.string()?;
            self.token(b':')?;
            match key {
                "descr" => kind = Some(self.element_type()?),
                "fortran_order" => column_major = Some(self.truth()?),
                "shape" => shape = Some(self.sizes()?),
                other => return Err(self.wrong(at, "`descr`, `fortran_order` or `shape`", other)),
            }
            if !self.has(b',') {
                self.token(b'}')?;
                break;
            }
        }
        match (kind, column_major, shape) {
            (Some((element, endian)), Some(column_major), Some(shape)) => {
                Ok(Header { element, endian, column_major, shape })
            }
            _ => Err(self.wrong(0, "a header with `descr`, `fortran_order` and `shape`", "less")),
        }
    }

    fn wrong(&self, at: usize, expected: &str, found: &str) -> DataError {
        self.bytes.wrong(self.start + at, expected, format!("`{found}`"))
    }

    fn unexpected(&self, expected: &str) -> DataError {
        let rest = &self.text[self.at..];
        let found = rest[..rest.len().min(12)].escape_ascii().to_string();
        self.wrong(self.at, expected, &found)
    }

    fn space(&mut self) {
        self.at += self.text[self.at..].iter().take_while(|b| b.is_ascii_whitespace()).count();
    }

    /// Skips spaces, and `byte` if it comes next.
    fn has(&mut self, byte: u8) -> bool {
        self.space();
        let found = self.text.get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    fn token(&mut self, byte: u8) -> Result<(), DataError> {
        if self.has(byte) { Ok(()) } else { Err(self.unexpected(&format!("`{}`", char::from(byte)))) }
    }

    /// The text while `keep` holds.
    fn word(&mut self, keep: impl Fn(u8) -> bool) -> &'a str {
        let rest = &self.text[self.at..];
        let len = rest.iter().take_while(|&&b| b.is_ascii() && keep(b)).count();
        self.at += len;
        std::str::from_utf8(&rest[..len]).unwrap_or_default()
    }

    fn string(&mut self) -> Result<&'a str, DataError> {
        let quote = if self.has(b'"') { b'"' } else { b'\'' };
        if quote == b'\'' {
            self.token(b'\'')?;
        }
        let text = self.word(|b| b != quote);
        self.token(quote)?;
        Ok(text)
    }

    fn truth(&mut self) -> Result<bool, DataError> {
        self.space();
        let at = self.at;
        match self.word(|b| b.is_ascii_alphabetic()) {
            "True" => Ok(true),
            "False" => Ok(false),
            other => Err(self.wrong(at, "`True` or `False`", other)),
        }
    }

    fn sizes(&mut self) -> Result<Vec<usize>, DataError> {
        let mut sizes = Vec::new();
        self.token(b'(')?;
        while !self.has(b')') {
            let size = self.word(|b| b.is_ascii_digit()).parse().map_err(|_| self.unexpected("a size"))?;
            sizes.push(size);
            if !self.has(b',') {
                self.token(b')')?;
                break;
            }
        }
        Ok(sizes)
    }

    fn element_type(&mut self) -> Result<(ElementType, Endian), DataError> {
        if !matches!(self.text[self.at..].trim_ascii_start().first(), Some(b'\'' | b'"')) {
            // A list: a structured type of several fields.
            return Err(self.unknown("a record"));
        }
        let text = self.string()?;
        let (endian, kind) = match text.split_at_checked(1) {
            Some(("<" | "|", kind)) => (Endian::Little, kind),
            Some((">", kind)) => (Endian::Big, kind),
            _ => return Err(self.unknown(text)),
        };
        let element = match kind {
            "b1" => ElementType::Bool,
            "u1" => ElementType::U8,
            "i1" => ElementType::I8,
            "u2" => ElementType::U16,
            "i2" => ElementType::I16,
            "u4" => ElementType::U32,
            "i4" => ElementType::I32,
            "i8" => ElementType::I64,
            "f2" => ElementType::F16,
            "f4" => ElementType::F32,
            "f8" => ElementType::F64,
            _ => return Err(self.unknown(text)),
        };
        Ok((element, endian))
    }

    fn unknown(&self, found: &str) -> DataError {
        DataError::ElementType { file: self.bytes.file.to_owned(), tensor: None, found: found.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with that header, as numpy would write it.
    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let mut out = b"\x93NUMPY\x01\0".to_vec();
        out.extend((header.len() as u16).to_le_bytes());
        out.extend(header.bytes());
        out.extend(data);
        out
    }

    #[test]
    fn what_is_written_is_read_back() {
        for tensor in [
            Tensor::from_f32(vec![2, 3], vec![0.0, -1.0, 2.5, 3.0, 4.0, f32::MAX]),
            Tensor::from_f64(vec![1], vec![0.1]),
            Tensor::from_f64(vec![], vec![7.0]),
            Tensor::new(vec![0, 4], Elements::U8(vec![])).unwrap(),
            Tensor::new(vec![2], Elements::I64(vec![i64::MIN, 9])).unwrap(),
        ] {
            let bytes = to_bytes(&tensor);
            assert_eq!(parse("x.npy", &bytes).unwrap(), tensor);
            let start = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
            assert_eq!(start % 64, 0, "the data is aligned");
        }
    }

    #[test]
    fn column_major_and_big_endian() {
        let data: Vec<u8> = [0i16, 1, 2, 3, 4, 5].iter().flat_map(|x| x.to_be_bytes()).collect();
        let bytes = file("{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3), }\n", &data);
        let tensor = parse("x.npy", &bytes).unwrap();
        assert_eq!(tensor.iter().collect::<Vec<_>>(), [0.0, 2.0, 4.0, 1.0, 3.0, 5.0]);
    }

    #[test]
    fn a_truncated_file_says_what_is_there_and_what_was_promised() {
        let bytes = to_bytes(&Tensor::from_f32(vec![28, 28], vec![0.0; 784]));
        let message = parse("x.npy", &bytes[..1128]).unwrap_err().to_string();
        assert_eq!(
            message,
            "`x.npy` is not a valid .npy file: at byte 128, expected 3136 bytes of data \
             (shape [28, 28], 4 bytes an element), found 1000"
        );
    }

    #[test]
    fn every_truncation_is_an_error() {
        let bytes = to_bytes(&Tensor::from_f32(vec![2, 2], vec![1.0; 4]));
        for len in 0..bytes.len() {
            assert!(parse("x.npy", &bytes[..len]).is_err(), "{len} bytes");
        }
    }

    #[test]
    fn every_damaged_byte_of_the_header_is_survived() {
        let bytes = to_bytes(&Tensor::from_f32(vec![2, 2], vec![1.0; 4]));
        for at in 0..bytes.len() - 16 {
            for value in [0, b'(', b'9', b'\'', 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] = value;
                if let Ok(tensor) = parse("x.npy", &damaged) {
                    assert_eq!(tensor.len() * tensor.elements().len() / 4, tensor.len(), "byte {at} = {value}");
                }
            }
        }
    }

    #[test]
    fn a_size_beyond_memory_is_refused_unallocated() {
        for shape in ["(9223372036854775807, 8)", "(1000000000000,)", "(0, 9223372036854775807, 9223372036854775807)"] {
            let bytes = file(&format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}\n"), &[0; 8]);
            assert!(matches!(parse("x.npy", &bytes), Err(DataError::Malformed { .. })), "{shape}");
        }
    }

    #[test]
    fn other_element_types_are_named() {
        for (descr, found) in [("'<c8'", "<c8"), ("'|O'", "|O"), ("[('a', '<f4')]", "a record"), ("'<u8'", "<u8")] {
            let bytes = file(&format!("{{'descr': {descr}, 'fortran_order': False, 'shape': (1,)}}\n"), &[0; 8]);
            let error = parse("x.npy", &bytes).unwrap_err();
            assert!(error.to_string().ends_with(&format!("`{found}`")), "{error}");
            assert_eq!(error.code(), crate::diag::Code::DataType);
        }
    }
}
