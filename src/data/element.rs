//! Element types of files and how they become [`Elements`].

use half::{bf16, f16};

use crate::data::Elements;

/// A number's encoding in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ElementType {
    Bool,
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    I64,
    F16,
    Bf16,
    F32,
    F64,
}

/// The order of a number's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endian {
    Little,
    Big,
}

impl ElementType {
    /// Bytes an element.
    pub fn width(self) -> usize {
        match self {
            ElementType::Bool | ElementType::U8 | ElementType::I8 => 1,
            ElementType::U16 | ElementType::I16 | ElementType::F16 | ElementType::Bf16 => 2,
            ElementType::U32 | ElementType::I32 | ElementType::F32 => 4,
            ElementType::I64 | ElementType::F64 => 8,
        }
    }

    /// Reads whole elements; every value is kept exactly. `bytes` is a multiple of the width.
    pub fn decode(self, bytes: &[u8], endian: Endian) -> Elements {
        match self {
            ElementType::Bool => Elements::U8(bytes.iter().map(|&b| u8::from(b != 0)).collect()),
            ElementType::U8 => Elements::U8(bytes.to_vec()),
            ElementType::I8 => Elements::I64(each(bytes, endian, |b| i8::from_le_bytes(b).into())),
            ElementType::U16 => Elements::I64(each(bytes, endian, |b| u16::from_le_bytes(b).into())),
            ElementType::I16 => Elements::I64(each(bytes, endian, |b| i16::from_le_bytes(b).into())),
            ElementType::U32 => Elements::I64(each(bytes, endian, |b| u32::from_le_bytes(b).into())),
            ElementType::I32 => Elements::I64(each(bytes, endian, |b| i32::from_le_bytes(b).into())),
            ElementType::I64 => Elements::I64(each(bytes, endian, i64::from_le_bytes)),
            ElementType::F16 => Elements::F32(each(bytes, endian, |b| f16::from_le_bytes(b).to_f32())),
            ElementType::Bf16 => Elements::F32(each(bytes, endian, |b| bf16::from_le_bytes(b).to_f32())),
            ElementType::F32 => Elements::F32(each(bytes, endian, f32::from_le_bytes)),
            ElementType::F64 => Elements::F64(each(bytes, endian, f64::from_le_bytes)),
        }
    }
}

/// Every `N` bytes, brought to little-endian order, through `read`.
fn each<const N: usize, T>(bytes: &[u8], endian: Endian, read: impl Fn([u8; N]) -> T) -> Vec<T> {
    let (chunks, _) = bytes.as_chunks::<N>();
    chunks
        .iter()
        .map(|chunk| {
            let mut chunk = *chunk;
            if endian == Endian::Big {
                chunk.reverse();
            }
            read(chunk)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_byte_orders() {
        assert_eq!(ElementType::I16.decode(&[0xff, 0xfe], Endian::Big), Elements::I64(vec![-2]));
        assert_eq!(ElementType::U16.decode(&[0xff, 0xfe], Endian::Little), Elements::I64(vec![0xfeff]));
        assert_eq!(ElementType::F64.decode(&1.5f64.to_be_bytes(), Endian::Big), Elements::F64(vec![1.5]));
    }

    #[test]
    fn short_floats_are_exact() {
        assert_eq!(ElementType::F16.decode(&[0x00, 0x3e], Endian::Little), Elements::F32(vec![1.5]));
        assert_eq!(ElementType::Bf16.decode(&[0xc0, 0x3f], Endian::Little), Elements::F32(vec![1.5]));
    }
}
