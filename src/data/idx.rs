//! IDX, the format of MNIST and its relatives, plain or compressed by gzip.
//!
//! Two zero bytes, a type byte, the number of axes, the sizes as big-endian u32, the elements. Described by Y. LeCun, C. Cortes
//! and C. J. C. Burges with the MNIST database.

use std::io::Read;

use crate::data::element::{ElementType, Endian};
use crate::data::{Bytes, DataError, Tensor, bytes};

/// Deflate spends at least two bits on 258 bytes, so no honest file expands further.
const MAX_EXPANSION: usize = 1032;

/// Reads an array from the bytes of an IDX file; gzip is recognised by its first bytes.
///
/// # Errors
/// [`DataError::Malformed`] and [`DataError::ElementType`]; offsets of a compressed file count decompressed bytes.
pub fn parse(file: &str, content: &[u8]) -> Result<Tensor, DataError> {
    if content.starts_with(b"\x1f\x8b") {
        return parse_array(Bytes { file, format: "IDX .gz", all: &decompress(file, content)? });
    }
    parse_array(Bytes { file, format: "IDX", all: content })
}

/// Unpacks a gzip stream that holds an IDX file, reading no more of it than the header announces, and a byte.
fn decompress(file: &str, content: &[u8]) -> Result<Vec<u8>, DataError> {
    let compressed = Bytes { file, format: "IDX .gz", all: content };
    let mut stream = flate2::read::GzDecoder::new(content);
    let mut out = Vec::new();
    // The longest header: 4 bytes and 255 sizes.
    extend(&mut stream, &mut out, 4 + 4 * 255, compressed)?;
    let header = Header::read(Bytes { all: &out, ..compressed })?;
    let promised = bytes::byte_len(&header.shape, header.element.width()).and_then(|n| n.checked_add(header.len));
    let limit = content.len().saturating_mul(MAX_EXPANSION);
    match promised.filter(|&n| n <= limit) {
        Some(n) => {
            let more = (n + 1).saturating_sub(out.len());
            extend(&mut stream, &mut out, more, compressed)?;
        }
        None => {
            let expected = format!("a shape that {} compressed bytes can hold", content.len());
            return Err(compressed.wrong(4, expected, format!("{:?}", header.shape)));
        }
    }
    Ok(out)
}

/// Appends at most `len` bytes of the stream.
fn extend(stream: &mut impl Read, out: &mut Vec<u8>, len: usize, file: Bytes) -> Result<(), DataError> {
    match stream.take(len as u64).read_to_end(out) {
        Ok(_) => Ok(()),
        Err(reason) => Err(file.wrong(out.len(), "gzip data", format!("damage ({reason})"))),
    }
}

struct Header {
    element: ElementType,
    shape: Vec<usize>,
    /// Bytes of the header itself.
    len: usize,
}

impl Header {
    fn read(bytes: Bytes) -> Result<Header, DataError> {
        let start = bytes.take(0, 4, "two zeros, a type and the number of axes")?;
        if start[..2] != [0, 0] {
            return Err(bytes.wrong(0, "two zero bytes", format!("{:02x} {:02x}", start[0], start[1])));
        }
        let element = match start[2] {
            0x08 => ElementType::U8,
            0x09 => ElementType::I8,
            0x0b => ElementType::I16,
            0x0c => ElementType::I32,
            0x0d => ElementType::F32,
            0x0e => ElementType::F64,
            other => {
                let found = format!("{other:#04x}");
                return Err(DataError::ElementType { file: bytes.file.to_owned(), tensor: None, found });
            }
        };
        let axes = usize::from(start[3]);
        let sizes = bytes.take(4, 4 * axes, "the sizes")?;
        let (sizes, _) = sizes.as_chunks::<4>();
        let shape = sizes.iter().map(|size| u32::from_be_bytes(*size) as usize).collect();
        Ok(Header { element, shape, len: 4 + 4 * axes })
    }
}

fn parse_array(bytes: Bytes) -> Result<Tensor, DataError> {
    let header = Header::read(bytes)?;
    let data = bytes.elements(header.len, &header.shape, header.element.width())?;
    Ok(Tensor::new(header.shape, header.element.decode(data, Endian::Big)).expect("the length was compared"))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    }

    const SMALL: [u8; 18] = [0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6];

    #[test]
    fn plain_and_compressed_are_equal() {
        let plain = parse("x.idx", &SMALL).unwrap();
        assert_eq!((plain.shape(), plain.get(5)), (&[2, 3][..], 6.0));
        assert_eq!(parse("x.idx.gz", &gzip(&SMALL)).unwrap(), plain);
    }

    #[test]
    fn big_endian_integers() {
        let bytes = [0, 0, 0x0b, 1, 0, 0, 0, 2, 0xff, 0xff, 1, 0];
        assert_eq!(parse("x", &bytes).unwrap().iter().collect::<Vec<_>>(), [-1.0, 256.0]);
    }

    #[test]
    fn every_truncation_is_an_error() {
        for len in 0..SMALL.len() {
            assert!(parse("x", &SMALL[..len]).is_err(), "{len} bytes");
        }
        let packed = gzip(&SMALL);
        for len in 0..packed.len() - 8 {
            assert!(parse("x", &packed[..len]).is_err(), "{len} compressed bytes");
        }
    }

    #[test]
    fn surplus_bytes_are_an_error() {
        let mut long = SMALL.to_vec();
        long.push(7);
        for bytes in [gzip(&long), long] {
            let message = parse("x", &bytes).unwrap_err().to_string();
            assert!(message.contains("at byte 12, expected 6 bytes of data"), "{message}");
            assert!(message.ends_with("found 7"), "{message}");
        }
    }

    #[test]
    fn a_bomb_is_refused_before_it_unfolds() {
        let mut bytes = vec![0, 0, 8, 2];
        bytes.extend([0xff; 8]);
        let message = parse("x", &gzip(&bytes)).unwrap_err().to_string();
        assert!(message.contains("compressed bytes can hold"), "{message}");
    }

    #[test]
    fn an_unknown_type_is_named() {
        let message = parse("x", &[0, 0, 0x0a, 0]).unwrap_err().to_string();
        assert_eq!(message, "`x` has elements of type `0x0a`");
    }
}
