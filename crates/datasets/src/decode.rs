//! One image file to 8-bit pixels within limits: as OpenCV reads it, and deeper files by the run's scale.

use std::borrow::Cow;
use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use image::codecs::jpeg::JpegDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Luma, RgbImage};

use crate::note::{Note, Remark};
use crate::pixels::{Alpha, is_hidden, to_rgb, without_alpha};
use crate::scale::PixelScale;
use crate::{DatasetError, Limits, jpeg, tiff};

/// An image file as RGB, with what there is to know about it.
#[derive(Clone, Debug)]
pub struct Picture {
    /// The pixels, upright.
    pub image: RgbImage,
    /// What is doubtful or was passed over.
    pub notes: Vec<Note>,
}

/// Reads an image as RGB, as OpenCV's color reading does: gray becomes three equal channels, palettes are looked up, the
/// orientation of the camera is applied. The kind of file is told by its content (PNG, JPEG, BMP, TIFF, WebP or PNM), not by
/// its name. Files with more than 8 bits become 8 bits by the scale of the run, transparent pixels lie on black, and of
/// several pages or frames the first is read.
///
/// # Errors
/// A file that is not there, over the limits, or cannot be decoded. A picture is whole when all its rows are there, whatever
/// follows them; any other cannot be decoded. Floating-point values that the scale knows nothing of.
pub fn load_picture(path: &Path, limits: &Limits, scale: &PixelScale) -> Result<Picture, DatasetError> {
    picture(path, decode(path, limits)?, scale)
}

/// [`load_picture`] of a file whose bytes are there already; its name is for errors and notes.
///
/// # Errors
/// As [`load_picture`].
pub fn read_picture(
    name: &Path,
    bytes: &[u8],
    limits: &Limits,
    scale: &PixelScale,
) -> Result<Picture, DatasetError> {
    if bytes.len() as u64 > limits.max_file_bytes {
        return Err(DatasetError::FileTooLarge {
            path: name.to_path_buf(),
            bytes: bytes.len() as u64,
            max_file_bytes: limits.max_file_bytes,
        });
    }
    picture(name, decode_bytes(name, bytes, limits)?, scale)
}

/// [`load_picture`] at the default scale, which keeps the upper byte of 16-bit values as OpenCV does, and without notes.
/// Images for a run are read by the run's own scale.
///
/// # Errors
/// As [`load_picture`].
pub fn load_rgb(path: &Path, limits: &Limits) -> Result<RgbImage, DatasetError> {
    Ok(load_picture(path, limits, &PixelScale::default())?.image)
}

/// Reads an image as gray. Colors are weighted .299, .587, .114; otherwise as [`load_rgb`].
///
/// # Errors
/// As [`load_rgb`].
pub fn load_gray(path: &Path, limits: &Limits) -> Result<GrayImage, DatasetError> {
    let rgb = load_rgb(path, limits)?;
    let mut out = GrayImage::new(rgb.width(), rgb.height());
    for (to, from) in out.pixels_mut().zip(rgb.pixels()) {
        *to = Luma([luma(from[0], from[1], from[2])]);
    }
    Ok(out)
}

/// OpenCV's fixed-point luma: weights of 14 bits that add up to one, so that gray stays what it is.
fn luma(r: u8, g: u8, b: u8) -> u8 {
    ((u32::from(r) * 4899 + u32::from(g) * 9617 + u32::from(b) * 1868 + (1 << 13)) >> 14) as u8
}

/// A decoded file as it is stored.
pub(crate) struct Decoded {
    /// The samples, not turned yet.
    pub(crate) image: DynamicImage,
    /// What alpha means, where there is any.
    pub(crate) alpha: Alpha,
    /// How the file wants to be turned.
    pub(crate) orientation: Orientation,
    /// Whether it says so itself, rather than that nothing is said.
    pub(crate) says_orientation: bool,
    /// Whether values are not quite those that were stored.
    pub(crate) lossy: bool,
    pub(crate) remarks: Vec<Remark>,
}

/// Whether width and height change places.
pub(crate) fn swaps_sides(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
}

/// A decoded file as upright RGB.
pub(crate) fn picture(path: &Path, decoded: Decoded, scale: &PixelScale) -> Result<Picture, DatasetError> {
    let (rgb, found) = to_rgb(&decoded.image, decoded.alpha, scale).map_err(|value| {
        let path = path.to_path_buf();
        DatasetError::NoScale { path, value }
    })?;
    let mut image = DynamicImage::ImageRgb8(rgb);
    image.apply_orientation(decoded.orientation);
    let remarks = decoded.remarks.into_iter().chain(found);
    Ok(Picture {
        image: image.into_rgb8(),
        notes: remarks
            .map(|remark| Note {
                path: path.to_path_buf(),
                remark,
            })
            .collect(),
    })
}

/// Width and height of an image file in pixels, upright.
///
/// # Errors
/// As [`load_picture`], but for values that the scale knows nothing of.
pub fn picture_size(path: &Path, limits: &Limits) -> Result<(u32, u32), DatasetError> {
    let decoded = decode(path, limits)?;
    let (width, height) = (decoded.image.width(), decoded.image.height());
    Ok(match swaps_sides(decoded.orientation) {
        true => (height, width),
        false => (width, height),
    })
}

/// Decoders speak in several lines now and then; an error is one.
fn undecodable(path: &Path, reason: &dyn std::fmt::Display) -> DatasetError {
    let words = reason.to_string();
    DatasetError::Decode {
        path: path.to_path_buf(),
        reason: words.split_whitespace().collect::<Vec<_>>().join(" "),
    }
}

/// What a decoder may not exceed. The widest pixel is four 32-bit channels; decoders that need room beside it are refused only
/// beyond twice that of 16 bits.
pub(crate) fn most_bytes(limits: &Limits) -> u64 {
    let max_pixels = (u64::from(limits.max_side) * u64::from(limits.max_side)).min(limits.max_pixels);
    max_pixels.saturating_mul(16).saturating_add(1 << 24)
}

/// Decodes a file within limits.
pub(crate) fn decode(path: &Path, limits: &Limits) -> Result<Decoded, DatasetError> {
    decode_bytes(path, &read(path, limits)?, limits)
}

/// Decodes the bytes of a file within limits; its path is for errors.
pub(crate) fn decode_bytes(path: &Path, bytes: &[u8], limits: &Limits) -> Result<Decoded, DatasetError> {
    let failed = |reason: &dyn std::fmt::Display| undecodable(path, reason);
    if bytes.is_empty() {
        return Err(failed(&"the file is empty"));
    }
    let reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|e| failed(&e))?;
    let mut bound = image::Limits::no_limits();
    bound.max_alloc = Some(most_bytes(limits));
    let opened = |error: ImageError| failed(&error);
    let check = |(width, height): (u32, u32)| -> Result<(), DatasetError> {
        if width > limits.max_side || height > limits.max_side {
            return Err(DatasetError::TooLarge {
                path: path.to_path_buf(),
                width,
                height,
                max_side: limits.max_side,
            });
        }
        if u64::from(width) * u64::from(height) > limits.max_pixels {
            return Err(DatasetError::TooManyPixels {
                path: path.to_path_buf(),
                width,
                height,
                max_pixels: limits.max_pixels,
            });
        }
        if width == 0 || height == 0 {
            return Err(failed(&"the image has no pixels"));
        }
        Ok(())
    };
    let cursor = || Cursor::new(bytes);
    let further = |what: &'static str| Remark::Further { what };
    match reader.format() {
        Some(ImageFormat::Jpeg) => {
            let decoder = JpegDecoder::new(cursor()).map_err(opened)?;
            check(decoder.dimensions())?;
            let mut remarks = Vec::new();
            let picture = whole_jpeg(bytes, &mut remarks).map_err(|reason| failed(&reason))?;
            let decoder = match picture.len() == bytes.len() {
                true => decoder,
                false => JpegDecoder::new(Cursor::new(&*picture)).map_err(opened)?,
            };
            let decoded = finish(decoder, bound).map_err(opened)?;
            Ok(Decoded {
                lossy: true,
                remarks,
                ..decoded
            })
        }
        Some(ImageFormat::Png) => {
            let closed = closed_png(bytes);
            let decoder = PngDecoder::with_limits(Cursor::new(&*closed), bound.clone()).map_err(opened)?;
            check(decoder.dimensions())?;
            let moves = decoder.is_apng().map_err(opened)?;
            let mut decoded = finish(decoder, bound).map_err(opened)?;
            decoded.remarks.extend(moves.then(|| further("frames")));
            let lacks_end = matches!(closed, Cow::Owned(_));
            decoded.remarks.extend(lacks_end.then_some(Remark::NoEnd));
            Ok(decoded)
        }
        Some(ImageFormat::WebP) => {
            let decoder = WebPDecoder::new(cursor()).map_err(opened)?;
            check(decoder.dimensions())?;
            if !has_whole_webp(bytes) {
                return Err(failed(&"the file ends early (truncated WebP)"));
            }
            let moves = decoder.has_animation();
            let mut decoded = finish(decoder, bound).map_err(opened)?;
            decoded.remarks.extend(moves.then(|| further("frames")));
            // The name of the lossless kind begins its data, wherever in the file they lie.
            decoded.lossy = !bytes.windows(4).any(|name| name == b"VP8L");
            Ok(decoded)
        }
        Some(ImageFormat::Tiff) => {
            let opened = tiff::Tiff::open(bytes, most_bytes(limits)).map_err(|reason| failed(&reason))?;
            check(opened.dimensions())?;
            opened.decode(bound).map_err(|reason| failed(&reason))
        }
        Some(kind @ (ImageFormat::Bmp | ImageFormat::Pnm)) => {
            let mut reader = reader;
            reader.limits(bound.clone());
            let decoder = reader.into_decoder().map_err(opened)?;
            check(decoder.dimensions())?;
            let mut decoded = finish(decoder, bound).map_err(opened)?;
            // BMP files have alpha by accident: programs leave the fourth byte of a pixel at 0.
            if kind == ImageFormat::Bmp && is_hidden(&decoded.image) {
                decoded.image = without_alpha(decoded.image);
            }
            Ok(decoded)
        }
        _ => Err(failed(&"not a PNG, JPEG, BMP, TIFF, WebP or PNM file")),
    }
}

/// Pixels and orientation of an opened file.
pub(crate) fn finish(mut decoder: impl ImageDecoder, bound: image::Limits) -> Result<Decoded, ImageError> {
    decoder.set_limits(bound)?;
    let said = decoder
        .exif_metadata()?
        .and_then(|exif| Orientation::from_exif_chunk(&exif));
    let orientation = decoder.orientation()?;
    Ok(Decoded {
        image: DynamicImage::from_decoder(decoder)?,
        alpha: Alpha::Straight,
        orientation,
        says_orientation: said.is_some() || orientation != Orientation::NoTransforms,
        lossy: false,
        remarks: Vec::new(),
    })
}

/// The bytes of a JPEG file that are its picture, closed by an end marker.
fn whole_jpeg<'a>(bytes: &'a [u8], remarks: &mut Vec<Remark>) -> Result<Cow<'a, [u8]>, String> {
    let Some(whole) = jpeg::whole(bytes)? else {
        return match jpeg::lacks_its_end(bytes) {
            true => Err("the file ends early (truncated JPEG)".to_owned()),
            false => Ok(Cow::Borrowed(bytes)),
        };
    };
    if whole.another {
        remarks.push(Remark::Further { what: "pictures" });
    }
    if whole.closed {
        return Ok(Cow::Borrowed(&bytes[..whole.end + 2]));
    }
    remarks.push(Remark::NoEnd);
    // Decoders grey the last rows where the marker is missing, even if their data are there.
    Ok(Cow::Owned([&bytes[..whole.end], &[0xff, 0xd9]].concat()))
}

/// The bytes of a PNG file, with an end chunk where it is missing. One that is cut within its pixels stays faulty: their
/// checksums, or their rows, are missing.
fn closed_png(bytes: &[u8]) -> Cow<'_, [u8]> {
    const END: &[u8; 12] = b"\0\0\0\0IEND\xae\x42\x60\x82";
    let mut at = 8;
    // Length, name, content, checksum.
    while let Some(head) = bytes.get(at..at + 8) {
        let length = head[..4]
            .iter()
            .fold(0, |sum, &byte| sum << 8 | usize::from(byte));
        let (name, end) = (&head[4..], at.saturating_add(length).saturating_add(12));
        if name == b"IEND" && end <= bytes.len() {
            return Cow::Borrowed(bytes);
        }
        if end > bytes.len() {
            // Pixels are missing: that is for the decoder to say.
            if name == b"IDAT" {
                return Cow::Borrowed(bytes);
            }
            break;
        }
        at = end;
    }
    Cow::Owned([&bytes[..at.min(bytes.len())], END].concat())
}

/// Whether the chunk of a WebP file that holds the picture, or the first frame, is there to its last byte: the decoder makes up
/// the last few.
fn has_whole_webp(bytes: &[u8]) -> bool {
    let mut at = 12;
    while let Some(head) = bytes.get(at..at + 8) {
        let length = head[4..]
            .iter()
            .rev()
            .fold(0, |sum, &byte| sum << 8 | usize::from(byte));
        let end = at.saturating_add(length).saturating_add(8);
        if [b"VP8 ", b"VP8L", b"ANMF"]
            .iter()
            .any(|name| name[..] == head[..4])
        {
            return end <= bytes.len();
        }
        // Chunks begin at even bytes.
        at = end.saturating_add(length % 2);
    }
    false
}

/// The bytes of a file within limits.
pub(crate) fn read(path: &Path, limits: &Limits) -> Result<Vec<u8>, DatasetError> {
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
