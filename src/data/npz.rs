//! numpy's `.npz`: a zip archive of `.npy` files, each array under its member's name.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};

use zip::ZipArchive;
use zip::read::ZipFile;

use crate::data::{Bytes, DataError, Tensor, npy};

/// Reads all arrays of an archive, stored or deflated.
///
/// # Errors
/// [`DataError::Malformed`] and [`DataError::ElementType`]; the array at fault is named `archive:member`.
pub fn parse(file: &str, content: &[u8]) -> Result<BTreeMap<String, Tensor>, DataError> {
    let bytes = Bytes { file, format: ".npz", all: content };
    let mut archive = ZipArchive::new(Cursor::new(content))
        .map_err(|reason| bytes.wrong(0, "a zip archive", format!("another or a damaged file ({reason})")))?;
    let mut tensors = BTreeMap::new();
    for i in 0..archive.len() {
        let member = archive
            .by_index(i)
            .map_err(|reason| bytes.wrong(0, "a readable archive", format!("member {i} damaged ({reason})")))?;
        let name = member
            .name()
            .map_err(|reason| bytes.wrong(0, "names in UTF-8", format!("member {i} without ({reason})")))?
            .into_owned();
        let content = unpack(member, &name, bytes)?;
        let tensor = npy::parse(&format!("{file}:{name}"), &content)?;
        tensors.insert(name.trim_end_matches(".npy").to_owned(), tensor);
    }
    Ok(tensors)
}

/// The member's bytes: its buffer grows with what is really there, and its checksum is verified.
fn unpack(mut member: ZipFile<'_, Cursor<&[u8]>>, name: &str, archive: Bytes) -> Result<Vec<u8>, DataError> {
    let start = member.data_start().unwrap_or_default() as usize;
    let mut content = Vec::new();
    match member.read_to_end(&mut content) {
        Ok(_) => Ok(content),
        Err(reason) => {
            let expected = format!("the data of `{name}`");
            Err(archive.wrong(start, expected, format!("damage ({reason})")))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use zip::CompressionMethod;
    use zip::write::{SimpleFileOptions, ZipWriter};

    use super::*;

    fn archive(method: CompressionMethod) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, value) in [("image.npy", 1.0), ("conv.weight.npy", 2.0)] {
            zip.start_file(name, SimpleFileOptions::default().compression_method(method)).unwrap();
            zip.write_all(&npy::to_bytes(&Tensor::from_f32(vec![2, 2], vec![value; 4]))).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    #[test]
    fn stored_and_deflated() {
        for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
            let tensors = parse("x.npz", &archive(method)).unwrap();
            assert_eq!(tensors.keys().collect::<Vec<_>>(), ["conv.weight", "image"]);
            assert_eq!(tensors["conv.weight"].get(3), 2.0);
        }
    }

    #[test]
    fn truncated_and_damaged_archives_are_refused() {
        let bytes = archive(CompressionMethod::Stored);
        for len in (0..bytes.len()).step_by(7) {
            assert!(parse("x.npz", &bytes[..len]).is_err(), "{len} bytes");
        }
        let mut damaged = bytes;
        let at = damaged.windows(4).position(|w| w == 1f32.to_le_bytes()).unwrap();
        damaged[at] ^= 1;
        let message = parse("x.npz", &damaged).unwrap_err().to_string();
        assert!(message.contains("`image.npy`"), "{message}");
    }
}
