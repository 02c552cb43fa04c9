//! `.safetensors`: a JSON header of names, types and ranges, then the elements.

use std::collections::BTreeMap;

use safetensors::tensor::{Dtype, SafeTensorError, SafeTensors};

use crate::data::element::{ElementType, Endian};
use crate::data::{Bytes, DataError, Tensor};

/// Reads all tensors of a file.
///
/// # Errors
/// [`DataError::Malformed`] and [`DataError::ElementType`].
pub fn parse(file: &str, content: &[u8]) -> Result<BTreeMap<String, Tensor>, DataError> {
    let bytes = Bytes { file, format: ".safetensors", all: content };
    let header_len = bytes.take(0, 8, "the header's length")?;
    let header_len = header_len.iter().rev().fold(0u64, |n, &b| n << 8 | u64::from(b));
    let header_len = usize::try_from(header_len).unwrap_or(usize::MAX);
    bytes.take(8, header_len, "the header")?;
    let tensors = SafeTensors::deserialize(content).map_err(|error| match error {
        SafeTensorError::MetadataIncompleteBuffer => {
            bytes.wrong(8 + header_len, promised(content, header_len), (content.len() - 8 - header_len).to_string())
        }
        other => bytes.wrong(8, "a header of tensors that follow one another", format!("another ({other})")),
    })?;
    let convert = |(name, view): (&str, safetensors::tensor::TensorView)| {
        let element = element_type(view.dtype()).ok_or_else(|| DataError::ElementType {
            file: file.to_owned(),
            tensor: Some(name.to_owned()),
            found: format!("{:?}", view.dtype()),
        })?;
        let elements = element.decode(view.data(), Endian::Little);
        let tensor = Tensor::new(view.shape().to_vec(), elements).expect("the header's sizes were verified");
        Ok((name.to_owned(), tensor))
    };
    tensors.iter().map(convert).collect()
}

/// How many bytes of data the header promises, as far as it can be told.
fn promised(content: &[u8], header_len: usize) -> String {
    #[derive(serde::Deserialize)]
    struct Entry {
        data_offsets: Option<(u64, u64)>,
    }
    let header: Result<BTreeMap<String, Entry>, _> = serde_json::from_slice(&content[8..8 + header_len]);
    let end = header.ok().and_then(|h| h.values().filter_map(|e| Some(e.data_offsets?.1)).max());
    end.map_or_else(|| "other data".to_owned(), |end| format!("{end} bytes of data"))
}

fn element_type(dtype: Dtype) -> Option<ElementType> {
    match dtype {
        Dtype::BOOL => Some(ElementType::Bool),
        Dtype::U8 => Some(ElementType::U8),
        Dtype::I8 => Some(ElementType::I8),
        Dtype::U16 => Some(ElementType::U16),
        Dtype::I16 => Some(ElementType::I16),
        Dtype::U32 => Some(ElementType::U32),
        Dtype::I32 => Some(ElementType::I32),
        Dtype::I64 => Some(ElementType::I64),
        Dtype::F16 => Some(ElementType::F16),
        Dtype::BF16 => Some(ElementType::Bf16),
        Dtype::F32 => Some(ElementType::F32),
        Dtype::F64 => Some(ElementType::F64),
        // The library's list is open: quantised and complex types, u64, and what comes.
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let mut out = (header.len() as u64).to_le_bytes().to_vec();
        out.extend(header.bytes());
        out.extend(data);
        out
    }

    const HEADER: &str = r#"{"__metadata__":{"format":"pt"},"fc.bias":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},"n":{"dtype":"I64","shape":[],"data_offsets":[4,12]}}"#;

    #[test]
    fn names_and_types() {
        let tensors = parse("w", &file(HEADER, &[0, 0x3c, 0, 0xc0, 5, 0, 0, 0, 0, 0, 0, 0])).unwrap();
        assert_eq!(tensors["fc.bias"], Tensor::from_f32(vec![2], vec![1.0, -2.0]));
        assert_eq!((tensors["n"].shape(), tensors["n"].get(0)), (&[][..], 5.0));
    }

    #[test]
    fn every_truncation_is_an_error() {
        let bytes = file(HEADER, &[0; 12]);
        for len in 0..bytes.len() {
            assert!(parse("w", &bytes[..len]).is_err(), "{len} bytes");
        }
        let message = parse("w", &bytes[..bytes.len() - 5]).unwrap_err().to_string();
        assert!(message.ends_with("expected 12 bytes of data, found 7"), "{message}");
    }

    #[test]
    fn an_announced_header_is_not_allocated() {
        let mut bytes = u64::MAX.to_le_bytes().to_vec();
        bytes.extend(b"{}");
        let message = parse("w", &bytes).unwrap_err().to_string();
        assert!(message.contains("at byte 8, expected 18446744073709551615 bytes (the header)"), "{message}");
    }

    #[test]
    fn other_types_are_named_with_their_tensor() {
        let bytes = file(r#"{"a.b":{"dtype":"U64","shape":[1],"data_offsets":[0,8]}}"#, &[0; 8]);
        assert_eq!(parse("w", &bytes).unwrap_err().to_string(), "`w`: `a.b` has elements of type `U64`");
    }
}
