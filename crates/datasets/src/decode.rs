//! One image file to 8-bit pixels, the way OpenCV reads it, within limits.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use image::{
    DynamicImage, GrayImage, ImageBuffer, ImageDecoder, ImageFormat, ImageReader, Luma, Pixel, Rgb, RgbImage,
};

use crate::{DatasetError, Limits};

/// Reads an image as RGB, as OpenCV's colour reading does: grey becomes three equal channels, palettes are looked up, alpha is
/// dropped, 16-bit values keep their upper byte, the orientation of the camera is applied. The kind of file is told
/// by its content (PNG, JPEG, BMP, TIFF or WebP), not by its name.
///
/// # Errors
/// A file that is not there, over the limits, or cannot be decoded; a truncated file always counts as one that cannot.
pub fn load_rgb(path: &Path, limits: &Limits) -> Result<RgbImage, DatasetError> {
    Ok(match decode(path, limits)? {
        DynamicImage::ImageLuma16(i) => {
            DynamicImage::ImageLuma8(upper_bytes(&i, |p| Luma([byte(p[0])]))).to_rgb8()
        }
        DynamicImage::ImageLumaA16(i) => {
            DynamicImage::ImageLuma8(upper_bytes(&i, |p| Luma([byte(p[0])]))).to_rgb8()
        }
        DynamicImage::ImageRgb16(i) => upper_bytes(&i, |p| Rgb([byte(p[0]), byte(p[1]), byte(p[2])])),
        DynamicImage::ImageRgba16(i) => upper_bytes(&i, |p| Rgb([byte(p[0]), byte(p[1]), byte(p[2])])),
        other => other.into_rgb8(),
    })
}

/// Reads an image as grey, for ground-truth masks. Colours are weighted .299, .587, .114; otherwise as [`load_rgb`].
///
/// # Errors
/// As [`load_rgb`].
pub fn load_gray(path: &Path, limits: &Limits) -> Result<GrayImage, DatasetError> {
    Ok(match decode(path, limits)? {
        DynamicImage::ImageLuma8(i) => i,
        DynamicImage::ImageLumaA8(i) => upper_bytes(&i, |p| Luma([p[0]])),
        DynamicImage::ImageLuma16(i) => upper_bytes(&i, |p| Luma([byte(p[0])])),
        DynamicImage::ImageLumaA16(i) => upper_bytes(&i, |p| Luma([byte(p[0])])),
        DynamicImage::ImageRgb16(i) => upper_bytes(&i, |p| Luma([luma(byte(p[0]), byte(p[1]), byte(p[2]))])),
        DynamicImage::ImageRgba16(i) => upper_bytes(&i, |p| Luma([luma(byte(p[0]), byte(p[1]), byte(p[2]))])),
        other => upper_bytes(&other.into_rgb8(), |p| Luma([luma(p[0], p[1], p[2])])),
    })
}

/// A 16-bit sample as 8 bits: OpenCV keeps the upper byte.
fn byte(sample: u16) -> u8 {
    (sample >> 8) as u8
}

/// OpenCV's fixed-point luma: weights of 14 bits that add up to one, so that white stays 255.
fn luma(r: u8, g: u8, b: u8) -> u8 {
    ((u32::from(r) * 4899 + u32::from(g) * 9617 + u32::from(b) * 1868 + (1 << 13)) >> 14) as u8
}

fn upper_bytes<P, Q>(
    image: &ImageBuffer<P, Vec<P::Subpixel>>,
    convert: impl Fn(&P) -> Q,
) -> ImageBuffer<Q, Vec<u8>>
where
    P: Pixel,
    Q: Pixel<Subpixel = u8>,
{
    let mut out = ImageBuffer::new(image.width(), image.height());
    for (to, from) in out.pixels_mut().zip(image.pixels()) {
        *to = convert(from);
    }
    out
}

fn decode(path: &Path, limits: &Limits) -> Result<DynamicImage, DatasetError> {
    let bytes = read(path, limits)?;
    // Decoders speak in several lines now and then; an error is one.
    let failed = |reason: &dyn std::fmt::Display| DatasetError::Decode {
        path: path.to_path_buf(),
        reason: reason
            .to_string()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" "),
    };
    if bytes.is_empty() {
        return Err(failed(&"the file is empty"));
    }
    let mut reader = ImageReader::new(Cursor::new(&bytes))
        .with_guessed_format()
        .map_err(|e| failed(&e))?;
    let format = reader
        .format()
        .ok_or_else(|| failed(&"not a PNG, JPEG, BMP, TIFF or WebP file"))?;
    // The widest pixel is four 16-bit channels; decoders that need scratch space beside it are refused only beyond twice that.
    let max_pixels = u64::from(limits.max_side) * u64::from(limits.max_side);
    let mut bound = image::Limits::no_limits();
    bound.max_alloc = Some(max_pixels.saturating_mul(16).saturating_add(1 << 24));
    reader.limits(bound);
    let mut decoder = reader.into_decoder().map_err(|e| failed(&e))?;
    let (width, height) = decoder.dimensions();
    if width > limits.max_side || height > limits.max_side {
        return Err(DatasetError::TooLarge {
            path: path.to_path_buf(),
            width,
            height,
            max_side: limits.max_side,
        });
    }
    if width == 0 || height == 0 {
        return Err(failed(&"the image has no pixels"));
    }
    if format == ImageFormat::Jpeg && is_cut_jpeg(&bytes) {
        return Err(failed(&"the file ends early (truncated JPEG)"));
    }
    let orientation = decoder.orientation().map_err(|e| failed(&e))?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(|e| failed(&e))?;
    image.apply_orientation(orientation);
    Ok(image)
}

fn read(path: &Path, limits: &Limits) -> Result<Vec<u8>, DatasetError> {
    let io = |e| DatasetError::io(path, e);
    let file = File::open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    let too_large = |bytes| DatasetError::FileTooLarge {
        path: path.to_path_buf(),
        bytes,
        max_file_bytes: limits.max_file_bytes,
    };
    if length > limits.max_file_bytes {
        return Err(too_large(length));
    }
    let mut bytes = Vec::with_capacity(length as usize);
    // The length may be a lie (a pipe, a file that still grows): read no more than the limit and one byte.
    file.take(limits.max_file_bytes.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(io)?;
    match bytes.len() as u64 {
        read if read > limits.max_file_bytes => Err(too_large(read)),
        _ => Ok(bytes),
    }
}

/// JPEG decoders, OpenCV's too, fill up the missing part of a truncated file with grey and say nothing, and a half-grey image
/// would be trained on as normal. A whole file has its end marker after the last start of a scan; inside a scan
/// neither marker can occur.
fn is_cut_jpeg(bytes: &[u8]) -> bool {
    let last = |marker: u8| bytes.windows(2).rposition(|pair| pair == [0xff, marker]);
    match (last(0xda), last(0xd9)) {
        (Some(scan), Some(end)) => end < scan,
        _ => true,
    }
}
