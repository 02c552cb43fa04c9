//! PNG and JPEG as arrays of 0..=255: `[1, H, W]` grey or `[3, H, W]` red, green, blue.
//!
//! Transparency is dropped, 16-bit pictures are cut to 8 bits, orientation tags are ignored. Resizing and normalising are the model's.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::{DynamicImage, ImageReader, Limits};

use crate::data::{Bytes, DataError, Elements, Tensor, read_file};

/// Pixels a byte of a file: deflate expands 1032-fold at most and a byte may hold eight pixels of one bit.
const MAX_PIXELS_A_BYTE: u64 = 1032 * 8;

/// Reads a picture.
///
/// # Errors
/// [`DataError::Malformed`].
pub fn parse(file: &str, content: &[u8]) -> Result<Tensor, DataError> {
    let bytes = Bytes { file, format: "picture", all: content };
    let reader = || ImageReader::new(Cursor::new(content)).with_guessed_format();
    let damaged =
        |reason: &dyn std::fmt::Display| bytes.wrong(0, "a PNG or JPEG picture", format!("damage ({reason})"));

    let (width, height) = reader().map_err(|e| damaged(&e))?.into_dimensions().map_err(|e| damaged(&e))?;
    if u64::from(width) * u64::from(height) > MAX_PIXELS_A_BYTE.saturating_mul(content.len() as u64) {
        let found = format!("{width} x {height}");
        return Err(bytes.wrong(0, format!("a size that {} bytes can hold", content.len()), found));
    }
    let mut reader = reader().map_err(|e| damaged(&e))?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(8 * u64::from(width) * u64::from(height) + (1 << 20));
    reader.limits(limits);
    Ok(tensor(reader.decode().map_err(|e| damaged(&e))?))
}

/// Channels first, as networks want them.
fn tensor(picture: DynamicImage) -> Tensor {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let (channels, pixels) = if picture.color().has_color() {
        (3, picture.into_rgb8().into_raw())
    } else {
        (1, picture.into_luma8().into_raw())
    };
    let planes = (0..channels).flat_map(|c| pixels.iter().skip(c).step_by(channels).copied()).collect();
    Tensor::new(vec![channels, height, width], Elements::U8(planes)).expect("a picture has width times height pixels")
}

/// Reads the PNG and JPEG files of a folder, in the order of their names, as `[N, C, H, W]`.
///
/// # Errors
/// [`DataError`]; [`DataError::PictureSizes`] when the pictures are not of one size.
pub fn read_folder(folder: &Path) -> Result<Tensor, DataError> {
    let paths = list(folder)?;
    let Some(first) = paths.first() else {
        return Err(DataError::NoPictures { folder: folder.display().to_string() });
    };
    let mut shape = Vec::new();
    let mut pixels = Vec::new();
    for path in &paths {
        let picture = parse(&path.display().to_string(), &read_file(path)?)?;
        if shape.is_empty() {
            shape = picture.shape().to_vec();
        }
        if picture.shape() != shape {
            return Err(DataError::PictureSizes {
                file: path.display().to_string(),
                found: picture.shape().to_vec(),
                first: first.display().to_string(),
                expected: shape,
            });
        }
        if let Elements::U8(bytes) = picture.elements() {
            pixels.extend(bytes);
        }
    }
    shape.insert(0, paths.len());
    Ok(Tensor::new(shape, Elements::U8(pixels)).expect("all pictures are of one size"))
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let failed = |reason| DataError::Read { file: folder.display().to_string(), reason };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let ending = path.extension().map(|e| e.to_ascii_lowercase());
        if ending.is_some_and(|e| e == "png" || e == "jpg" || e == "jpeg") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use image::{GrayImage, ImageFormat, RgbImage};

    use super::*;

    fn encode(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut out = Cursor::new(Vec::new());
        picture.write_to(&mut out, format).unwrap();
        out.into_inner()
    }

    fn colours() -> DynamicImage {
        RgbImage::from_fn(3, 2, |x, y| image::Rgb([x as u8, y as u8, 200])).into()
    }

    #[test]
    fn channels_come_first() {
        let tensor = parse("x.png", &encode(&colours(), ImageFormat::Png)).unwrap();
        assert_eq!(tensor.shape(), [3, 2, 3]);
        assert_eq!(tensor.iter().collect::<Vec<_>>()[..9], [0., 1., 2., 0., 1., 2., 0., 0., 0.]);
        let grey = DynamicImage::from(GrayImage::from_pixel(4, 5, image::Luma([9])));
        assert_eq!(parse("x.png", &encode(&grey, ImageFormat::Png)).unwrap().shape(), [1, 5, 4]);
        assert_eq!(parse("x.jpg", &encode(&grey, ImageFormat::Jpeg)).unwrap().get(0), 9.0);
    }

    #[test]
    fn damage_is_refused() {
        let bytes = encode(&colours(), ImageFormat::Png);
        for len in 0..bytes.len() - 12 {
            assert!(parse("x.png", &bytes[..len]).is_err(), "{len} bytes");
        }
        let mut vast = bytes;
        vast[16..24].copy_from_slice(&[0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff]);
        assert!(parse("x.png", &vast).is_err());
    }

    #[test]
    fn a_folder_is_a_batch() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.png", "a.PNG", "notes.txt"] {
            std::fs::write(folder.path().join(name), encode(&colours(), ImageFormat::Png)).unwrap();
        }
        assert_eq!(read_folder(folder.path()).unwrap().shape(), [2, 3, 2, 3]);
        let grey = DynamicImage::from(GrayImage::from_pixel(4, 5, image::Luma([9])));
        std::fs::write(folder.path().join("c.png"), encode(&grey, ImageFormat::Png)).unwrap();
        let message = read_folder(folder.path()).unwrap_err().to_string();
        assert!(message.contains("c.png` is [1, 5, 4], but"), "{message}");
    }
}
