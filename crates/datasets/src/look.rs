//! What is kept of an image whose pixels are not.

use image::RgbImage;
use sha2::{Digest, Sha256};

use crate::TrainImage;
use crate::check::glance::{detail_of, reduced};
use crate::check::look::Look as Picture;

/// What surveys and digests need to know of an image, at the size at which it was loaded.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    /// SHA-256 of its pixels.
    pub digest: [u8; 32],
    /// Whether all its pixels are the same.
    pub is_constant: bool,
    /// Mean of its values, 0 to 255.
    pub brightness: f64,
    /// The image, small.
    small: RgbImage,
    /// Mean second difference of neighboring pixels.
    detail: f64,
}

impl Look {
    /// The look of an image.
    pub fn of(image: &RgbImage) -> Self {
        let values = image.as_raw();
        let sum = values.iter().map(|&value| u64::from(value)).sum::<u64>();
        let mut pixels = image.pixels();
        let first = pixels.next();
        Self {
            digest: digest_of(&[values]),
            is_constant: pixels.all(|pixel| Some(pixel) == first),
            brightness: sum as f64 / values.len().max(1) as f64,
            small: reduced(image),
            detail: detail_of(image),
        }
    }

    /// The look as it is compared with others, of an image from a file of this size.
    pub(crate) fn picture(&self, size: (u32, u32)) -> Picture {
        Picture {
            size,
            small: self.small.clone(),
            detail: self.detail,
            level: self.brightness,
        }
    }

    /// The first 16 hexadecimal digits of the digest.
    pub fn short_digest(&self) -> String {
        short(&self.digest)
    }

    /// The [`short_digest`](Self::short_digest) of an image's look, where nothing else of it is wanted.
    pub fn short_digest_of(image: &RgbImage) -> String {
        short(&digest_of(&[image.as_raw()]))
    }
}

fn short(digest: &[u8; 32]) -> String {
    digest[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-256 of bytes, one part after the other.
pub(crate) fn digest_of(parts: &[&[u8]]) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part);
    }
    digest.finalize().into()
}

/// SHA-256 of the names and pixels of images, one after the other: what tells the images of one run or evaluation from those of
/// another.
#[derive(Clone, Debug, Default)]
pub struct SetDigest(Sha256);

impl SetDigest {
    /// Adds the next image.
    pub fn add(&mut self, name: &str, image: &RgbImage) {
        self.0.update(name.as_bytes());
        self.0.update(image.as_raw());
    }

    /// The digest in hexadecimal digits.
    pub fn finish(self) -> String {
        self.0
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

/// The digest of images that were read together, and how to tell whether it is still theirs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetLook {
    each: Vec<(String, [u8; 32])>,
    digest: String,
}

impl SetLook {
    pub(crate) fn add(&mut self, image: &TrainImage) {
        self.each.push((image.name.clone(), image.look().digest));
    }

    pub(crate) fn with(self, digest: SetDigest) -> Self {
        let digest = digest.finish();
        Self { digest, ..self }
    }

    /// The [`SetDigest`] of these images, if they are those that were read.
    pub fn digest_of(&self, images: &[TrainImage]) -> Option<&str> {
        let is_it = |(image, (name, digest)): (&TrainImage, &(String, [u8; 32]))| {
            image.name == *name && image.look().digest == *digest
        };
        let same = images.len() == self.each.len() && images.iter().zip(&self.each).all(is_it);
        same.then_some(self.digest.as_str())
    }
}
