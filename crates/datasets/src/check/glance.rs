//! What is kept of one image file once it was decoded: a few numbers, a digest and a small picture.

use std::path::Path;

use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageFormat, RgbImage, imageops};
use sha2::{Digest, Sha256};

use super::look::SIDE;
use crate::decode::{decode_bytes, read};
use crate::note::Remark;
use crate::pixels::{Alpha, has_nan, to_rgb};
use crate::scale::{Extent, PixelScale};
use crate::truth::Beside;
use crate::{DatasetError, Limits};

/// Of two channels of a small picture that differ by more, colors are meant, not the noise of a JPEG (proposal).
const COLORED: u8 = 6;

/// One image file.
pub(super) struct Glance {
    /// Width and height in pixels, upright.
    pub(super) size: (u32, u32),
    /// The kind of file, by its content.
    pub(super) kind: &'static str,
    /// How the samples are stored: bits, channels, alpha.
    pub(super) stored: ColorType,
    /// EXIF orientation, 1 where nothing is turned.
    pub(super) orientation: u8,
    pub(super) remarks: Vec<Remark>,
    /// Of the upright pixels as they are stored; equal for grey files with one channel and with three.
    pub(super) digest: [u8; 16],
    /// Least and largest values.
    pub(super) extent: Extent,
    /// Whether all pixels are equal.
    pub(super) constant: bool,
    /// Mean second difference between neighbours, in stored values.
    detail: f64,
    /// The image at [`SIDE`] × [`SIDE`], of the depth of the file.
    small: DynamicImage,
    alpha: Alpha,
}

/// What masks must know of the image that they belong to.
pub(super) struct Stored {
    size: (u32, u32),
    orientation: Orientation,
}

impl Stored {
    pub(super) fn beside<'a>(&self, path: &'a Path) -> Beside<'a> {
        Beside {
            path,
            size: self.size,
            orientation: self.orientation,
        }
    }
}

impl Glance {
    /// Reads and decodes a file; its pixels are gone when this returns.
    pub(super) fn of(path: &Path, limits: &Limits) -> Result<(Self, Stored), DatasetError> {
        let bytes = read(path, limits)?;
        let kind = kind(&bytes);
        let decoded = decode_bytes(path, &bytes, limits)?;
        drop(bytes);
        let stored = Stored {
            size: (decoded.image.width(), decoded.image.height()),
            orientation: decoded.orientation,
        };
        let extent = Extent::of(&decoded.image);
        let color = decoded.image.color();
        let mut remarks = decoded.remarks;
        let (mut image, alpha) = match extent.bytes {
            true => {
                // 8-bit files look the same at any scale.
                let read = to_rgb(&decoded.image, decoded.alpha, &PixelScale::default());
                let (rgb, found) = read.map_err(|value| DatasetError::NoScale {
                    path: path.to_path_buf(),
                    value,
                })?;
                remarks.extend(found);
                (DynamicImage::ImageRgb8(rgb), Alpha::Straight)
            }
            false => {
                if has_nan(&decoded.image) {
                    remarks.push(Remark::NotNumbers);
                }
                (decoded.image, decoded.alpha)
            }
        };
        image.apply_orientation(decoded.orientation);
        let (digest, constant) = digest(&image);
        Ok((
            Self {
                size: (image.width(), image.height()),
                kind,
                stored: color,
                orientation: decoded.orientation.to_exif(),
                remarks,
                digest,
                extent,
                constant,
                detail: detail(&image),
                small: small(&image),
                alpha,
            },
            stored,
        ))
    }

    /// The small picture by the scale of the run, and the mean second difference in levels of 255.
    pub(super) fn shown(&self, scale: &PixelScale) -> (RgbImage, f64) {
        // What the scale knows nothing of is told elsewhere; black then.
        let small = to_rgb(&self.small, self.alpha, scale).map(|(rgb, _)| rgb);
        let (black, white) = scale.ends();
        let full = match (self.extent.words, self.extent.reals) {
            (Some(_), _) => f64::from(scale.largest_word()),
            (_, Some(_)) => f64::from(white - black),
            _ => 255.0,
        };
        let detail = self.detail * 255.0 / full;
        (small.unwrap_or_else(|_| RgbImage::new(SIDE, SIDE)), detail)
    }

    /// Whether the small picture has colors.
    pub(super) fn is_colored(small: &RgbImage) -> bool {
        small.pixels().any(|pixel| {
            let [r, g, b] = pixel.0;
            r.max(g).max(b) - r.min(g).min(b) > COLORED
        })
    }

    /// Bytes of the small picture.
    pub(super) fn small_bytes(&self) -> usize {
        self.small.as_bytes().len()
    }

    /// Bits of a sample: 8, 16 or 32.
    pub(super) fn bits(&self) -> u16 {
        self.stored.bits_per_pixel() / u16::from(self.stored.channel_count().max(1))
    }
}

fn kind(bytes: &[u8]) -> &'static str {
    match image::guess_format(bytes) {
        Ok(ImageFormat::Png) => "PNG",
        Ok(ImageFormat::Jpeg) => "JPEG",
        Ok(ImageFormat::Bmp) => "BMP",
        Ok(ImageFormat::Tiff) => "TIFF",
        Ok(ImageFormat::WebP) => "WebP",
        Ok(ImageFormat::Pnm) => "PNM",
        _ => "other",
    }
}

/// A digest of size and samples, and whether all pixels are equal. Grey pictures are digested by one channel, so that a grey
/// file and its copy with three channels are the same.
fn digest(image: &DynamicImage) -> ([u8; 16], bool) {
    let mut sha = Sha256::new();
    sha.update(image.width().to_le_bytes());
    sha.update(image.height().to_le_bytes());
    let channels = usize::from(image.color().channel_count());
    let bytes = image.as_bytes();
    let one = bytes.len() / (image.width() as usize * image.height() as usize * channels).max(1);
    let step = (one * channels).max(1);
    let is_grey = channels == 3
        && bytes
            .chunks_exact(step)
            .all(|p| p[..one] == p[one..2 * one] && p[..one] == p[2 * one..]);
    let width = if is_grey { 1 } else { channels };
    sha.update([one as u8, width as u8]);
    if is_grey {
        let grey: Vec<u8> = bytes
            .chunks_exact(step)
            .flat_map(|p| p[..one].iter().copied())
            .collect();
        sha.update(&grey);
    } else {
        sha.update(bytes);
    }
    let first = bytes.get(..step);
    let constant = bytes.chunks_exact(step).all(|p| Some(p) == first);
    let mut digest = [0; 16];
    digest.copy_from_slice(&sha.finalize()[..16]);
    (digest, constant)
}

/// The picture at the side of small ones, aspect ratio ignored.
fn small(image: &DynamicImage) -> DynamicImage {
    match image {
        DynamicImage::ImageRgb8(image) => reduced(image).into(),
        other => other.thumbnail_exact(SIDE, SIDE),
    }
}

/// An 8-bit picture at the side of small ones, aspect ratio ignored.
pub(crate) fn reduced(image: &RgbImage) -> RgbImage {
    imageops::thumbnail(image, SIDE, SIDE)
}

/// Mean absolute second difference along rows, of the second channel where there are three: it falls where an image is out of
/// focus, and rises with noise. Of large images some rows alone.
fn detail(image: &DynamicImage) -> f64 {
    let channels = usize::from(image.color().channel_count());
    let width = image.width() as usize * channels;
    match image {
        DynamicImage::ImageRgb8(i) => rough(i.as_raw(), width, channels),
        DynamicImage::ImageLuma16(i) => rough(i.as_raw(), width, channels),
        DynamicImage::ImageLumaA16(i) => rough(i.as_raw(), width, channels),
        DynamicImage::ImageRgb16(i) => rough(i.as_raw(), width, channels),
        DynamicImage::ImageRgba16(i) => rough(i.as_raw(), width, channels),
        DynamicImage::ImageRgb32F(i) => rough(i.as_raw(), width, channels),
        DynamicImage::ImageRgba32F(i) => rough(i.as_raw(), width, channels),
        _ => 0.0,
    }
}

/// [`detail`] of an 8-bit picture, in levels of 255.
pub(crate) fn detail_of(image: &RgbImage) -> f64 {
    rough(image.as_raw(), image.width() as usize * 3, 3)
}

/// Rows that are looked at, at most.
const ROWS: usize = 256;

fn rough<T: Copy + Into<f64>>(samples: &[T], width: usize, channels: usize) -> f64 {
    let rows = samples.len() / width.max(1);
    let every = rows.div_ceil(ROWS).max(1);
    let channel = usize::from(channels >= 3);
    let (mut sum, mut count) = (0.0, 0u64);
    for row in samples.chunks_exact(width.max(1)).step_by(every) {
        let at = |x: usize| -> Option<f64> { row.get(x * channels + channel).map(|&value| value.into()) };
        for x in 1..(width / channels.max(1)).saturating_sub(1) {
            if let (Some(left), Some(here), Some(right)) = (at(x - 1), at(x), at(x + 1)) {
                let bend = (left - 2.0 * here + right).abs();
                if bend.is_finite() {
                    sum += bend;
                    count += 1;
                }
            }
        }
    }
    sum / count.max(1) as f64
}
