//! TIFF files: those that the `image` crate reads, and beside them palettes, YCbCr, deep and floating-point gray, packed bits.

use std::io::Cursor;

use image::codecs::tiff::TiffDecoder;
use image::metadata::Orientation;
use image::{DynamicImage, GrayAlphaImage, GrayImage, ImageBuffer, Luma, LumaA, Rgb, Rgb32FImage, RgbImage};
use tiff::ColorType;
use tiff::decoder::{Decoder, DecodingResult, Limits};
use tiff::tags::{ByteOrder, Tag};

use crate::decode::{Decoded, finish};
use crate::jpeg;
use crate::note::Remark;
use crate::pixels::{Alpha, without_alpha};

type Words = String;

/// Compression by the JPEG of today.
const JPEG: u16 = 7;
/// Photometric interpretations: black is zero, palette.
const BLACK_IS_ZERO: u16 = 1;
const PALETTE: u16 = 3;
/// Kinds of extra samples: alpha that colors are multiplied with, and alpha that they are not.
const MULTIPLIED: u16 = 1;
const STRAIGHT: u16 = 2;

/// The first page of a TIFF file, opened.
pub(crate) struct Tiff<'a> {
    bytes: &'a [u8],
    decoder: Decoder<Cursor<&'a [u8]>>,
    limits: Limits,
    size: (u32, u32),
}

fn words(error: impl std::fmt::Display) -> Words {
    error.to_string()
}

fn open<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Decoder<Cursor<&'a [u8]>>, Words> {
    Ok(Decoder::new(Cursor::new(bytes))
        .map_err(words)?
        .with_limits(limits.clone()))
}

impl<'a> Tiff<'a> {
    /// Reads the header of a file, within so many bytes of memory.
    pub(crate) fn open(bytes: &'a [u8], most_bytes: u64) -> Result<Self, Words> {
        let most = usize::try_from(most_bytes).unwrap_or(usize::MAX);
        let mut limits = Limits::default();
        limits.decoding_buffer_size = most;
        limits.intermediate_buffer_size = most;
        let mut decoder = open(bytes, &limits)?;
        let size = decoder.dimensions().map_err(words)?;
        Ok(Self {
            bytes,
            decoder,
            limits,
            size,
        })
    }

    /// Width and height in pixels, as stored.
    pub(crate) fn dimensions(&self) -> (u32, u32) {
        self.size
    }

    /// The first page.
    pub(crate) fn decode(mut self, bound: image::Limits) -> Result<Decoded, Words> {
        let extra = self.numbers(Tag::ExtraSamples)?;
        let extra = extra.map(|kinds| kinds.first().copied().unwrap_or_default());
        let is_alpha = matches!(extra, Some(MULTIPLIED | STRAIGHT));
        let lossy = self.number(Tag::Compression)? == Some(JPEG);
        if lossy {
            self.check_jpegs()?;
        }
        let mut decoded = match TiffDecoder::new(Cursor::new(self.bytes)) {
            Ok(decoder) => finish(decoder, bound).map_err(words)?,
            Err(_) => self.own_kinds(is_alpha)?,
        };
        if extra.is_some() && !is_alpha {
            // A fourth sample of its own kind, infrared for example. (Where nothing is said of it, it is alpha, as in libtiff.)
            decoded.image = without_alpha(decoded.image);
        }
        if extra == Some(MULTIPLIED) {
            decoded.alpha = Alpha::Multiplied;
        }
        decoded.lossy = lossy;
        if self.decoder.more_images() {
            decoded.remarks.push(Remark::Further { what: "pages" });
        }
        Ok(decoded)
    }

    fn numbers(&mut self, tag: Tag) -> Result<Option<Vec<u16>>, Words> {
        self.decoder.find_tag_unsigned_vec(tag).map_err(words)
    }

    fn number(&mut self, tag: Tag) -> Result<Option<u16>, Words> {
        Ok(self.numbers(tag)?.and_then(|numbers| numbers.first().copied()))
    }

    /// Strips and tiles that are JPEGs: decoders gray what is missing of them.
    fn check_jpegs(&mut self) -> Result<(), Words> {
        let mut places = |strips, tiles| -> Result<Vec<u64>, Words> {
            let found = match self.decoder.find_tag_unsigned_vec(strips).map_err(words)? {
                Some(found) => Some(found),
                None => self.decoder.find_tag_unsigned_vec(tiles).map_err(words)?,
            };
            Ok(found.unwrap_or_default())
        };
        let starts = places(Tag::StripOffsets, Tag::TileOffsets)?;
        let lengths = places(Tag::StripByteCounts, Tag::TileByteCounts)?;
        let tables = self.decoder.find_tag(Tag::JPEGTables).map_err(words)?;
        let tables = tables
            .map(|tables| tables.into_u8_vec())
            .transpose()
            .map_err(words)?;
        for (start, length) in starts.into_iter().zip(lengths) {
            let start = usize::try_from(start).unwrap_or(usize::MAX).min(self.bytes.len());
            let rest = &self.bytes[start..];
            let part = &rest[..usize::try_from(length).unwrap_or(usize::MAX).min(rest.len())];
            match &tables {
                // Both have a beginning and an end of their own.
                Some(tables) => {
                    let tables = &tables[..tables.len().saturating_sub(2)];
                    jpeg::whole(&[tables, part.get(2..).unwrap_or(&[])].concat())?
                }
                None => jpeg::whole(part)?,
            };
        }
        Ok(())
    }

    /// What the `image` crate does not read.
    fn own_kinds(&mut self, is_alpha: bool) -> Result<Decoded, Words> {
        let bits = self.number(Tag::BitsPerSample)?.unwrap_or(1);
        let samples = self.number(Tag::SamplesPerPixel)?.unwrap_or(1);
        let image = if self.number(Tag::PhotometricInterpretation)? == Some(PALETTE) {
            self.palette(bits)?
        } else if samples == 1 && (9..16).contains(&bits) {
            self.packed(u32::from(bits))?
        } else {
            let color = self.decoder.colortype().map_err(words)?;
            let (values, planes) = read(&mut self.decoder)?;
            arranged(color, values, planes, self.size, is_alpha)?
        };
        let orientation = self.number(Tag::Orientation)?;
        let orientation = orientation
            .and_then(|value| Orientation::from_exif(value.min(255) as u8))
            .unwrap_or(Orientation::NoTransforms);
        Ok(Decoded {
            image,
            alpha: Alpha::Straight,
            orientation,
            says_orientation: orientation != Orientation::NoTransforms,
            lossy: false,
            remarks: Vec::new(),
        })
    }

    /// The decoder knows no palettes, but indices are gray values to it, if only the file says so.
    fn palette(&mut self, bits: u16) -> Result<DynamicImage, Words> {
        let map = self.numbers(Tag::ColorMap)?.unwrap_or_default();
        let count = 1usize << bits.min(16);
        if map.len() != 3 * count {
            return Err("the palette has another size than its indices need".to_owned());
        }
        // Old programs wrote 8 bits into the 16 of a palette.
        let shift = if map.iter().all(|&level| level < 256) {
            0
        } else {
            8
        };
        let color =
            |index: usize| Rgb([0, 1, 2].map(|channel| (map[channel * count + index] >> shift) as u8));
        let patched = self.patched(&[(Tag::PhotometricInterpretation, u32::from(BLACK_IS_ZERO))])?;
        let indices = match read(&mut open(&patched, &self.limits)?)?.0 {
            DecodingResult::U8(values) if bits < 8 => unpacked(&values, self.size, u32::from(bits)),
            DecodingResult::U8(values) => values.into_iter().map(u16::from).collect(),
            DecodingResult::U16(values) => values,
            _ => return Err("the indices of the palette are no whole numbers".to_owned()),
        };
        let mut image = RgbImage::new(self.size.0, self.size.1);
        for (pixel, index) in image.pixels_mut().zip(indices) {
            *pixel = color(usize::from(index));
        }
        Ok(image.into())
    }

    /// Gray values of 9 to 15 bits without gaps between them: read as bytes, in rows of as many bytes.
    fn packed(&mut self, bits: u32) -> Result<DynamicImage, Words> {
        let plain = self.number(Tag::Predictor)?.unwrap_or(1) == 1;
        let strips = self.decoder.find_tag(Tag::StripOffsets).map_err(words)?.is_some();
        if !plain || !strips {
            return Err(format!(
                "packed {bits}-bit samples in tiles or with a predictor are not read; write 16-bit samples"
            ));
        }
        let row = (u64::from(self.size.0) * u64::from(bits)).div_ceil(8);
        let row = u32::try_from(row).map_err(words)?;
        let patched = self.patched(&[(Tag::ImageWidth, row), (Tag::BitsPerSample, 8)])?;
        let DecodingResult::U8(bytes) = read(&mut open(&patched, &self.limits)?)?.0 else {
            return Err("packed samples are no whole numbers".to_owned());
        };
        let values = unpacked(&bytes, self.size, bits);
        let image: Option<ImageBuffer<Luma<u16>, _>> =
            ImageBuffer::from_raw(self.size.0, self.size.1, values);
        Ok(image.ok_or_else(short)?.into())
    }

    /// The file with other values of tags that hold a single number.
    fn patched(&mut self, changes: &[(Tag, u32)]) -> Result<Vec<u8>, Words> {
        let missing = || "the header of the first page cannot be read".to_owned();
        let start = self.decoder.ifd_pointer().ok_or_else(missing)?.0;
        let start = usize::try_from(start).map_err(words)?;
        let little = self.decoder.byte_order() == ByteOrder::LittleEndian;
        let mut bytes = self.bytes.to_vec();
        let number = |bytes: &[u8]| {
            let join = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
            match little {
                true => bytes.iter().rev().fold(0, join),
                false => bytes.iter().fold(0, join),
            }
        };
        let big = number(bytes.get(2..4).ok_or_else(missing)?) == 43;
        let (head, entry) = if big { (8, 20) } else { (2, 12) };
        let count = number(bytes.get(start..start + head).ok_or_else(missing)?);
        for index in 0..usize::try_from(count).map_err(words)? {
            let place = start + head + index * entry;
            let Some(found) = bytes.get(place..place + entry) else {
                break;
            };
            let tag = number(&found[..2]);
            let Some(&(_, value)) = changes.iter().find(|(tag_, _)| u64::from(tag_.to_u16()) == tag) else {
                continue;
            };
            // Types 3 and 4: 16 and 32 bits.
            let width = match number(&found[2..4]) {
                3 if value <= 0xffff => 2,
                4 => 4,
                _ => return Err(missing()),
            };
            let at = place + if big { 12 } else { 8 };
            for byte in 0..width {
                let shift = 8 * if little { byte } else { width - 1 - byte };
                bytes[at + byte] = (value >> shift) as u8;
            }
        }
        Ok(bytes)
    }
}

/// All samples of the first page, and the number of planes that they lie in.
fn read(decoder: &mut Decoder<Cursor<&[u8]>>) -> Result<(DecodingResult, usize), Words> {
    let mut values = DecodingResult::U8(Vec::new());
    let layout = decoder.read_image_to_buffer(&mut values).map_err(words)?;
    Ok((values, layout.planes))
}

/// Numbers of `bits` bits in rows that begin with a byte.
fn unpacked(bytes: &[u8], (width, height): (u32, u32), bits: u32) -> Vec<u16> {
    let row = (width as usize * bits as usize).div_ceil(8);
    let mut values = Vec::with_capacity(width as usize * height as usize);
    for line in bytes.chunks_exact(row.max(1)).take(height as usize) {
        let (mut held, mut count) = (0u32, 0);
        let mut line = line.iter();
        for _ in 0..width {
            while count < bits {
                held = held << 8 | u32::from(line.next().copied().unwrap_or(0));
                count += 8;
            }
            count -= bits;
            values.push((held >> count & ((1 << bits) - 1)) as u16);
        }
    }
    values
}

fn short() -> Words {
    "the file ends early (rows of the TIFF are missing)".to_owned()
}

/// Samples as an image.
fn arranged(
    color: ColorType,
    values: DecodingResult,
    planes: usize,
    (width, height): (u32, u32),
    is_alpha: bool,
) -> Result<DynamicImage, Words> {
    let unread = || {
        format!(
            "a kind of TIFF that is not read ({color:?}{})",
            if planes > 1 { ", planes apart" } else { "" }
        )
    };
    let apart = planes > 1;
    let channels = match (color, apart) {
        // Of planes apart the first is the gray one, and the only one that is looked at.
        (ColorType::Multiband { .. }, true) | (ColorType::Gray(_), _) => 1,
        (ColorType::Multiband { num_samples, .. }, false) => usize::from(num_samples),
        (ColorType::RGB(_) | ColorType::YCbCr(_), false) => 3,
        (ColorType::RGBA(_), false) => 4,
        _ => return Err(unread()),
    };
    let is_color = matches!(color, ColorType::RGB(_) | ColorType::RGBA(_));
    match (values, color) {
        (DecodingResult::U8(values), ColorType::Gray(bits @ (2 | 4))) => {
            let full = (1u16 << bits) - 1;
            let levels = unpacked(&values, (width, height), u32::from(bits));
            let levels = levels.into_iter().map(|level| (level * 255 / full) as u8);
            let image = GrayImage::from_raw(width, height, levels.collect());
            Ok(image.ok_or_else(short)?.into())
        }
        (DecodingResult::U8(values), ColorType::YCbCr(_)) => {
            let levels = values
                .chunks_exact(3)
                .flat_map(|p| from_ycbcr([p[0], p[1], p[2]]));
            let image = RgbImage::from_raw(width, height, levels.collect());
            Ok(image.ok_or_else(short)?.into())
        }
        (DecodingResult::U8(values), ColorType::Multiband { .. }) if is_alpha && channels > 1 => {
            let pixels = values.chunks_exact(channels).flat_map(|p| [p[0], p[1]]);
            let image = GrayAlphaImage::from_raw(width, height, pixels.collect());
            Ok(image.ok_or_else(short)?.into())
        }
        (DecodingResult::U16(values), ColorType::Multiband { .. }) if is_alpha && channels > 1 => {
            let pixels = values.chunks_exact(channels).flat_map(|p| [p[0], p[1]]);
            let image: Option<ImageBuffer<LumaA<u16>, Vec<u16>>> =
                ImageBuffer::from_raw(width, height, pixels.collect());
            Ok(image.ok_or_else(short)?.into())
        }
        (DecodingResult::U8(values), ColorType::Multiband { .. }) => {
            let first = firsts(&values, channels, (width, height));
            let image = GrayImage::from_raw(width, height, first);
            Ok(image.ok_or_else(short)?.into())
        }
        (DecodingResult::U16(values), ColorType::Multiband { .. }) => {
            let first = firsts(&values, channels, (width, height));
            let image: Option<ImageBuffer<Luma<u16>, Vec<u16>>> = ImageBuffer::from_raw(width, height, first);
            Ok(image.ok_or_else(short)?.into())
        }
        (DecodingResult::U8(_) | DecodingResult::U16(_), _) => Err(unread()),
        (values, _) => {
            let reals = reals(values).ok_or_else(unread)?;
            let pixels = reals.chunks_exact(channels).flat_map(|p| match is_color {
                true => [p[0], p[1], p[2]],
                false => [p[0]; 3],
            });
            let pixels = pixels.take(3 * width as usize * height as usize);
            let image = Rgb32FImage::from_raw(width, height, pixels.collect());
            Ok(image.ok_or_else(short)?.into())
        }
    }
}

/// The first of the channels.
fn firsts<T: Copy>(values: &[T], channels: usize, (width, height): (u32, u32)) -> Vec<T> {
    let pixels = values.chunks_exact(channels.max(1)).map(|pixel| pixel[0]);
    pixels.take(width as usize * height as usize).collect()
}

/// Signed, 32-bit and floating-point samples as numbers.
fn reals(values: DecodingResult) -> Option<Vec<f32>> {
    Some(match values {
        DecodingResult::F16(v) => v.into_iter().map(f32::from).collect(),
        DecodingResult::F32(v) => v,
        DecodingResult::F64(v) => v.into_iter().map(|v| v as f32).collect(),
        DecodingResult::I8(v) => v.into_iter().map(f32::from).collect(),
        DecodingResult::I16(v) => v.into_iter().map(f32::from).collect(),
        DecodingResult::I32(v) => v.into_iter().map(|v| v as f32).collect(),
        DecodingResult::U32(v) => v.into_iter().map(|v| v as f32).collect(),
        _ => return None,
    })
}

/// The colors of JFIF (ITU-R BT.601, full range).
fn from_ycbcr([y, cb, cr]: [u8; 3]) -> [u8; 3] {
    let (y, cb, cr) = (f32::from(y), f32::from(cb) - 128.0, f32::from(cr) - 128.0);
    [
        y + 1.402 * cr,
        y - 0.344_136 * cb - 0.714_136 * cr,
        y + 1.772 * cb,
    ]
    .map(|level| level.round().clamp(0.0, 255.0) as u8)
}
