//! A normal image to train on: its pixels in memory, or the file to read them from whenever they are wanted.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use flawforge_resample::Resizing;
use image::RgbImage;

use crate::decode::load_picture;
use crate::look::Look;
use crate::{DatasetError, Limits, Loading};

/// A normal image to train on. A copy of it shares its pixels.
#[derive(Clone, Debug)]
pub struct TrainImage {
    /// Path below the folder of normal images without its ending, "000".
    pub name: String,
    /// Width and height of the file in pixels, upright.
    pub size: (u32, u32),
    pixels: Pixels,
}

#[derive(Clone, Debug)]
enum Pixels {
    Held(Arc<RgbImage>),
    InFile(Arc<InFile>),
    Small(Arc<(TrainImage, Resizing)>),
}

/// What is known of an image whose pixels are not held.
#[derive(Debug)]
struct InFile {
    path: PathBuf,
    loading: Loading,
    limits: Limits,
    look: Look,
}

impl TrainImage {
    /// An image in memory that comes from no file.
    pub fn new(name: impl Into<String>, image: RgbImage) -> Self {
        Self::of_file(name.into(), image.dimensions(), image)
    }

    /// An image in memory whose file has another size.
    pub(crate) fn of_file(name: String, size: (u32, u32), image: RgbImage) -> Self {
        let pixels = Pixels::Held(Arc::new(image));
        Self { name, size, pixels }
    }

    /// An image that is read from its file whenever it is wanted; `image` is what it was when it was first read. The scale of
    /// `loading` is known.
    pub(crate) fn in_file(
        name: String,
        size: (u32, u32),
        path: PathBuf,
        loading: Loading,
        limits: Limits,
        image: &RgbImage,
    ) -> Self {
        let pixels = Pixels::InFile(Arc::new(InFile {
            path,
            loading,
            limits,
            look: Look::of(image),
        }));
        Self { name, size, pixels }
    }

    /// The same image at another size, made whenever it is wanted; what tells it from others is the same.
    pub fn made_small(&self, resizing: Resizing) -> Self {
        Self {
            pixels: Pixels::Small(Arc::new((self.clone(), resizing))),
            ..self.clone()
        }
    }

    /// The image, RGB, at the size that it was loaded at: the pixels in memory, or those of its file, which is decoded anew at
    /// each call.
    ///
    /// # Errors
    /// Only for an image that is not [held](Self::is_held): its file can no longer be read, or its pixels are not those that it
    /// had when it was first read.
    pub fn image(&self) -> Result<Cow<'_, RgbImage>, DatasetError> {
        match &self.pixels {
            Pixels::Held(image) => Ok(Cow::Borrowed(image)),
            Pixels::Small(small) => Ok(Cow::Owned(small.1.apply(&*small.0.image()?))),
            Pixels::InFile(file) => {
                let scale = file.loading.scale.unwrap_or_default();
                let picture = load_picture(&file.path, &file.limits, &scale)?;
                let image = file
                    .loading
                    .shown(&picture.image, Some(&file.path), &file.limits)?;
                match Look::of(&image).digest == file.look.digest {
                    true => Ok(Cow::Owned(image)),
                    false => Err(DatasetError::Changed {
                        path: file.path.clone(),
                    }),
                }
            }
        }
    }

    /// Width and height of [`image`](Self::image) in pixels.
    pub fn dimensions(&self) -> (u32, u32) {
        match &self.pixels {
            Pixels::Held(image) => image.dimensions(),
            Pixels::Small(small) => small.1.size,
            Pixels::InFile(file) => file.loading.image.of(self.size),
        }
    }

    /// What tells the image from others. Nothing is decoded.
    pub fn look(&self) -> Look {
        match &self.pixels {
            Pixels::Held(image) => Look::of(image),
            Pixels::Small(small) => small.0.look(),
            Pixels::InFile(file) => file.look.clone(),
        }
    }

    /// Whether the pixels are in memory, rather than read from the file at each use.
    pub fn is_held(&self) -> bool {
        matches!(self.pixels, Pixels::Held(_))
    }
}
