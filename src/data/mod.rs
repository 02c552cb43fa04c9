//! Files of numbers: what owners bring to a run and what they take away.
//!
//! [`load`] reads `.npy`, `.npz`, IDX (also compressed), PNG, JPEG, `.safetensors`, tables of text, and folders of pictures.
//! [`npy::write`] writes results. [`names`] pairs the tensors of a file with the fields of a struct.
//!
//! Files are not trusted: nothing is allocated because a header says so, a size is first compared with the bytes that are
//! there. A refusal says which file, which byte, and what was expected.
//!
//! Knows formats; must never know what the numbers mean: number formats, owners and shares belong to others.

pub mod error;
pub mod idx;
pub mod names;
pub mod npy;
pub mod npz;
pub mod picture;
pub mod safetensors;
pub mod tensor;
pub mod text;

mod bytes;
mod element;

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
pub use error::DataError;
pub use tensor::{Elements, Tensor};

/// What a file holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Loaded {
    /// One array without a name.
    One(Tensor),
    /// Arrays by name.
    Named(BTreeMap<String, Tensor>),
}

/// Reads a file, or a folder of pictures of one size.
///
/// The first bytes decide the format; where they tell nothing, the ending of the name does.
///
/// # Errors
/// [`DataError`]: the file cannot be read, is damaged, or holds elements of an unknown type.
pub fn load(path: &Path) -> Result<Loaded, DataError> {
    if path.is_dir() {
        return picture::read_folder(path).map(Loaded::One);
    }
    let name = path.display().to_string();
    let bytes = read_file(path)?;
    let Some(format) = Format::of_content(&bytes).or_else(|| Format::of_name(path)) else {
        return Err(DataError::UnknownFormat { file: name });
    };
    match format {
        Format::Npy => npy::parse(&name, &bytes).map(Loaded::One),
        Format::Npz => npz::parse(&name, &bytes).map(Loaded::Named),
        Format::Idx => idx::parse(&name, &bytes).map(Loaded::One),
        Format::Picture => picture::parse(&name, &bytes).map(Loaded::One),
        Format::Safetensors => safetensors::parse(&name, &bytes).map(Loaded::Named),
        Format::Table => text::parse_table(&name, &bytes).map(Loaded::One),
    }
}

/// The formats, as [`load`] tells them apart.
#[derive(Clone, Copy)]
enum Format {
    Npy,
    Npz,
    Idx,
    Picture,
    Safetensors,
    Table,
}

impl Format {
    fn of_content(bytes: &[u8]) -> Option<Format> {
        const MAGIC: [(&[u8], Format); 6] = [
            (npy::MAGIC, Format::Npy),
            (b"PK\x03\x04", Format::Npz),
            (b"\x1f\x8b", Format::Idx),
            (b"\x89PNG", Format::Picture),
            (b"\xff\xd8\xff", Format::Picture),
            (b"\0\0\x08", Format::Idx),
        ];
        MAGIC.iter().find(|(magic, _)| bytes.starts_with(magic)).map(|(_, format)| *format)
    }

    fn of_name(path: &Path) -> Option<Format> {
        const ENDINGS: [(&str, Format); 11] = [
            (".npy", Format::Npy),
            (".npz", Format::Npz),
            (".idx", Format::Idx),
            (".gz", Format::Idx),
            ("-ubyte", Format::Idx),
            (".png", Format::Picture),
            (".jpg", Format::Picture),
            (".jpeg", Format::Picture),
            (".safetensors", Format::Safetensors),
            (".csv", Format::Table),
            (".txt", Format::Table),
        ];
        let name = path.to_string_lossy().to_ascii_lowercase();
        ENDINGS.iter().find(|(ending, _)| name.ends_with(ending)).map(|(_, format)| *format)
    }
}

/// The whole file, with its name in the error.
fn read_file(path: &Path) -> Result<Vec<u8>, DataError> {
    std::fs::read(path).map_err(|reason| DataError::Read { file: path.display().to_string(), reason })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Code;

    #[test]
    fn content_decides_before_the_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scores.txt");
        npy::write(&path, &Tensor::from_f32(vec![2], vec![1.0, 2.5])).unwrap();
        let Loaded::One(tensor) = load(&path).unwrap() else { panic!("a .npy file holds one array") };
        assert_eq!((tensor.shape(), tensor.get(1)), (&[2][..], 2.5));
    }

    #[test]
    fn a_missing_file_and_an_unknown_format_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let missing = load(&folder.path().join("x.npy")).unwrap_err();
        assert_eq!(missing.code(), Code::CannotRead);
        let path = folder.path().join("x.dat");
        std::fs::write(&path, b"hello").unwrap();
        let unknown = load(&path).unwrap_err();
        assert_eq!(unknown.code(), Code::MalformedFile);
        assert!(unknown.to_string().contains("x.dat"), "{unknown}");
    }

    #[test]
    fn the_committed_digits_load() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/digits");
        let Loaded::One(images) = load(&folder.join("images.idx.gz")).unwrap() else { panic!("IDX holds one array") };
        let Loaded::One(labels) = load(&folder.join("labels.idx.gz")).unwrap() else { panic!("IDX holds one array") };
        let Loaded::Named(weights) = load(&folder.join("weights.safetensors")).unwrap() else { panic!("named") };
        assert_eq!(images.shape(), [1000, 28, 28]);
        assert_eq!((labels.shape(), labels.get(0)), (&[1000][..], 7.0));
        assert_eq!(weights["classifier.0.weight"].shape(), [128, 3136]);
        assert_eq!(weights.len(), 8);
    }
}
