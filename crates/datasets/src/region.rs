//! Which part of images is looked at: a mask or polygons for all of them, or a mask for each.

use std::collections::HashMap;
use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use flawforge_masks::Mask;
use image::RgbImage;
use serde::Deserialize;

use crate::decode::{decode, read};
use crate::levels::marked;
use crate::{DatasetError, Limits, counted};

/// The region of interest of images.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RegionOfInterest {
    /// One for all images, whatever their size.
    Fixed {
        /// The pixels inside.
        mask: Arc<Mask>,
        /// The file that tells it, where that is known.
        file: Option<Arc<PathBuf>>,
    },
    /// A mask for each image, of its name, below this folder.
    EachImage(Arc<PathBuf>),
}

/// The name of the file beside images that holds their region of interest.
pub const REGION_FILE: &str = "roi.png";

/// Aspect ratios of image and region that are taken for the same, as a factor (proposal).
const SAME_ASPECT: f64 = 1.02;

impl RegionOfInterest {
    /// One for all images, of no file that is known.
    pub fn fixed(mask: Arc<Mask>) -> Self {
        Self::Fixed { mask, file: None }
    }

    /// The same, of this file; a folder of masks knows its own files.
    #[must_use]
    pub fn of_file(self, path: &Path) -> Self {
        match self {
            Self::Fixed { mask, .. } => Self::Fixed {
                mask,
                file: Some(Arc::new(path.to_path_buf())),
            },
            each => each,
        }
    }

    /// Reads a region: an image file, white inside; a JSON file with polygons; or a folder of masks, one for each image.
    ///
    /// A mask for `DIR/test/good/000.jpg` is looked for below the folder as `test/good/000.png`, `good/000.png` and `000.png`, whatever
    /// lies above it. A JSON file is one of LabelMe (`imageWidth`, `imageHeight`, `shapes` that are polygons or rectangles) or
    /// `{"width": 640, "height": 480, "polygons": [[[x, y], ...], ...]}`, in pixels; what lies in an odd number of them is inside.
    ///
    /// # Errors
    /// The file cannot be read, it is none of these kinds, or nothing lies inside of the region.
    pub fn open(path: &Path, limits: &Limits) -> Result<Self, DatasetError> {
        if path.is_dir() {
            return Ok(Self::EachImage(Arc::new(path.to_path_buf())));
        }
        let is_json = path
            .extension()
            .is_some_and(|end| end.eq_ignore_ascii_case("json"));
        let mask = match is_json {
            true => polygons(path, limits)?,
            false => mask(path, limits)?,
        };
        Ok(Self::fixed(Arc::new(mask)).of_file(path))
    }

    /// The region of an image of this size, from this file.
    ///
    /// # Errors
    /// No mask for the image, one that cannot be read, one of another aspect ratio.
    pub fn of(
        &self,
        image: Option<&Path>,
        size: (u32, u32),
        limits: &Limits,
    ) -> Result<Arc<Mask>, DatasetError> {
        let (region, path) = match self {
            Self::Fixed { mask, file } => (mask.clone(), file.as_deref().cloned()),
            Self::EachImage(folder) => {
                let path = beside(folder, image)?;
                (Arc::new(mask(&path, limits)?), Some(path))
            }
        };
        let aspect = |(width, height): (u32, u32)| f64::from(width) / f64::from(height.max(1));
        let own = (region.width(), region.height());
        let factor = aspect(own) / aspect(size);
        match factor.max(1.0 / factor) <= SAME_ASPECT {
            true => Ok(region),
            false => Err(DatasetError::RegionAspect(RegionMismatch {
                region: path,
                own,
                image: image.map(Path::to_path_buf),
                size,
                others: 0,
            })),
        }
    }

    /// Paints what lies outside ([`flawforge_masks::paint_outside`]) of an image that may have been resized from `size`.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub fn paint(
        &self,
        image: &mut RgbImage,
        file: Option<&Path>,
        size: (u32, u32),
        limits: &Limits,
    ) -> Result<(), DatasetError> {
        let region = self.of(file, size, limits)?;
        flawforge_masks::paint_outside(image, &region);
        Ok(())
    }
}

/// A region of interest whose aspect ratio is not that of images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionMismatch {
    /// The file of the region, where it is known.
    pub region: Option<PathBuf>,
    /// Its width and height in pixels.
    pub own: (u32, u32),
    /// The first of the images, where it comes from a file.
    pub image: Option<PathBuf>,
    /// Its width and height in pixels.
    pub size: (u32, u32),
    /// How many further images the region does not fit.
    pub others: usize,
}

impl fmt::Display for RegionMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (own, size) = (self.own, self.size);
        match &self.region {
            Some(path) => write!(f, "{}", path.display())?,
            None => write!(f, "the region of interest of the run")?,
        }
        write!(
            f,
            ": it has {}x{} pixels, which is not the aspect ratio of ",
            own.0, own.1
        )?;
        match &self.image {
            Some(path) => write!(f, "{} ({}x{})", path.display(), size.0, size.1)?,
            None => write!(f, "an image of {}x{}", size.0, size.1)?,
        }
        match self.others {
            0 => Ok(()),
            others => write!(f, ", nor that of {}", counted(others, "other image")),
        }
    }
}

impl RegionMismatch {
    /// Of errors that tell of the same region each, one that counts its images.
    pub(crate) fn once(errors: Vec<DatasetError>) -> Vec<DatasetError> {
        let mut once: Vec<DatasetError> = Vec::with_capacity(errors.len());
        let mut first = HashMap::new();
        for error in errors {
            if let DatasetError::RegionAspect(found) = &error {
                let place = *first.entry(found.region.clone()).or_insert(once.len());
                if let Some(DatasetError::RegionAspect(known)) = once.get_mut(place) {
                    known.others += 1 + found.others;
                    continue;
                }
            }
            once.push(error);
        }
        once
    }
}

/// The mask of an image in a folder of masks.
fn beside(folder: &Path, image: Option<&Path>) -> Result<PathBuf, DatasetError> {
    let image = image.unwrap_or(Path::new(""));
    let named = image.with_extension("png");
    // Neither a root nor `..`: no candidate lies outside of the folder, as the image itself may.
    let parts: Vec<Component<'_>> = named
        .components()
        .filter(|part| matches!(part, Component::Normal(_)))
        .collect();
    let mut candidates = (0..parts.len()).map(|from| folder.join(parts[from..].iter().collect::<PathBuf>()));
    candidates
        .find(|path| path.is_file())
        .ok_or_else(|| fault(folder, format!("no mask for {}", image.display())))
}

fn fault(path: &Path, reason: String) -> DatasetError {
    DatasetError::Region {
        path: path.to_path_buf(),
        reason,
    }
}

fn mask(path: &Path, limits: &Limits) -> Result<Mask, DatasetError> {
    let decoded = decode(path, limits)?;
    let found =
        marked(&decoded).map_err(|_| fault(path, "its values are too faint for a mask".to_owned()))?;
    let image = found.image;
    filled(
        path,
        Mask::from_fn(image.width(), image.height(), |x, y| {
            image.get_pixel(x, y)[0] >= 128
        }),
    )
}

fn filled(path: &Path, mask: Mask) -> Result<Mask, DatasetError> {
    match mask.is_empty() {
        true => Err(fault(path, "nothing lies inside".to_owned())),
        false => Ok(mask),
    }
}

/// A JSON file with polygons: ours, or LabelMe's.
#[derive(Deserialize)]
#[serde(untagged)]
enum Drawn {
    Own {
        width: u32,
        height: u32,
        polygons: Vec<Vec<[f64; 2]>>,
    },
    #[serde(rename_all = "camelCase")]
    LabelMe {
        image_width: u32,
        image_height: u32,
        shapes: Vec<Shape>,
    },
}

#[derive(Deserialize)]
struct Shape {
    points: Vec<[f64; 2]>,
    #[serde(default)]
    shape_type: Option<String>,
}

fn polygons(path: &Path, limits: &Limits) -> Result<Mask, DatasetError> {
    let drawn: Drawn = serde_json::from_slice(&read(path, limits)?)
        .map_err(|error| fault(path, format!("no polygons of LabelMe or our own: {error}")))?;
    let (size, polygons) =
        match drawn {
            Drawn::Own {
                width,
                height,
                polygons,
            } => ((width, height), polygons),
            Drawn::LabelMe {
                image_width,
                image_height,
                shapes,
            } => {
                let mut polygons = Vec::with_capacity(shapes.len());
                for shape in shapes {
                    polygons.push(corners(shape).map_err(|kind| {
                        fault(path, format!("a {kind}; there are polygons and rectangles"))
                    })?);
                }
                ((image_width, image_height), polygons)
            }
        };
    let pixels = u64::from(size.0) * u64::from(size.1);
    if pixels > limits.max_pixels || size.0.max(size.1) > limits.max_side {
        return Err(fault(path, format!("{}x{} pixels are too many", size.0, size.1)));
    }
    let mut mask = Mask::empty(size.0, size.1);
    mask.change_rows(|y, row| {
        for (x, pixel) in row.iter_mut().enumerate() {
            let at = (x as f64 + 0.5, f64::from(y) + 0.5);
            let inside = polygons.iter().filter(|polygon| holds(polygon, at)).count();
            *pixel = (inside % 2) as u8;
        }
    });
    filled(path, mask)
}

/// The corners of a shape, or its kind where it has none.
fn corners(shape: Shape) -> Result<Vec<[f64; 2]>, String> {
    let kind = shape.shape_type.unwrap_or_else(|| "polygon".to_owned());
    match (kind.as_str(), shape.points.as_slice()) {
        ("rectangle", &[[left, top], [right, bottom]]) => {
            Ok(vec![[left, top], [right, top], [right, bottom], [left, bottom]])
        }
        ("polygon", _) => Ok(shape.points),
        _ => Err(kind),
    }
}

/// Whether a point lies in a polygon: a ray from it crosses an odd number of edges.
fn holds(polygon: &[[f64; 2]], (x, y): (f64, f64)) -> bool {
    let edges = polygon.iter().zip(polygon.iter().cycle().skip(1));
    let crossed = edges
        .filter(|&(&[ax, ay], &[bx, by])| (ay > y) != (by > y) && x < ax + (y - ay) / (by - ay) * (bx - ax));
    crossed.count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        (dir, path)
    }

    fn fixed(region: RegionOfInterest) -> Arc<Mask> {
        match region {
            RegionOfInterest::Fixed { mask, .. } => mask,
            RegionOfInterest::EachImage(_) => panic!("one for each image"),
        }
    }

    #[test]
    fn polygons_are_filled_at_pixel_centres() {
        let limits = Limits::default();
        let own = br#"{"width": 8, "height": 6, "polygons": [[[1, 1], [7, 1], [7, 5], [1, 5]], [[3, 2], [5, 2], [5, 4], [3, 4]]]}"#;
        let (_dir, path) = written("roi.json", own);
        let frame = Mask::from_fn(8, 6, |x, y| {
            (1..7).contains(&x) && (1..5).contains(&y) && !((3..5).contains(&x) && (2..4).contains(&y))
        });
        assert_eq!(*fixed(RegionOfInterest::open(&path, &limits).unwrap()), frame);
        let labelme = br#"{"version": "5", "imageWidth": 4, "imageHeight": 2, "shapes": [{"label": "a", "shape_type": "rectangle", "points": [[0, 0], [2, 2]]}]}"#;
        let (_dir, path) = written("a.JSON", labelme);
        let left = Mask::from_fn(4, 2, |x, _| x < 2);
        assert_eq!(*fixed(RegionOfInterest::open(&path, &limits).unwrap()), left);
    }

    #[test]
    fn what_is_no_region_is_told() {
        let limits = Limits::default();
        for (name, bytes, said) in [
            ("a.json", &b"{}"[..], "no polygons"),
            ("b.json", b"{\"width\": 3, \"height\": 3, \"polygons\": []}", "nothing lies inside"),
            (
                "c.json",
                b"{\"imageWidth\": 3, \"imageHeight\": 3, \"shapes\": [{\"points\": [[0,0],[1,1]], \"shape_type\": \"circle\"}]}",
                "a circle",
            ),
            ("d.png", b"no image", "d.png"),
            ("e.json", b"{\"width\": 4000000, \"height\": 4000000, \"polygons\": []}", "too many"),
        ] {
            let (_dir, path) = written(name, bytes);
            let error = RegionOfInterest::open(&path, &limits).unwrap_err().to_string();
            assert!(error.contains(said) && error.contains(name), "{error}");
        }
    }

    #[test]
    fn the_mask_of_an_image_has_its_name() {
        let limits = Limits::default();
        let dir = tempfile::tempdir().unwrap();
        let left = Mask::from_fn(4, 2, |x, _| x < 2).to_luma8();
        let right = Mask::from_fn(4, 2, |x, _| x >= 2).to_luma8();
        std::fs::create_dir(dir.path().join("good")).unwrap();
        left.save(dir.path().join("good/000.png")).unwrap();
        right.save(dir.path().join("000.png")).unwrap();
        let region = RegionOfInterest::open(dir.path(), &limits).unwrap();
        let of = |path: &str| region.of(Some(Path::new(path)), (40, 20), &limits);
        assert!(of("/x/test/good/000.jpg").unwrap().get(0, 0));
        assert!(of("bad/000.png").unwrap().get(3, 0));
        // Not the image itself, beside the folder of masks.
        assert!(of("../x/../000.png").unwrap().get(3, 0));
        let missing = of("bad/001.png").unwrap_err().to_string();
        assert!(missing.contains("no mask for bad/001.png"), "{missing}");
        let aspect = region.of(Some(Path::new("000.png")), (40, 40), &limits);
        assert!(aspect.unwrap_err().to_string().contains("aspect ratio"));
    }

    #[test]
    fn another_aspect_is_said_once_with_region_and_image() {
        let limits = Limits::default();
        let (dir, path) = written("own.png", b"");
        let mask = Mask::from_fn(40, 20, |x, _| x < 9);
        mask.to_luma8().save(&path).unwrap();
        let region = RegionOfInterest::open(&path, &limits).unwrap();
        let of = |image: &str| region.of(Some(Path::new(image)), (30, 30), &limits);
        let mut errors: Vec<DatasetError> = ["a.png", "b.png", "c.png"]
            .map(|image| of(image).unwrap_err())
            .to_vec();
        errors.insert(1, fault(dir.path(), "another fault".to_owned()));
        let all = DatasetError::check(errors).unwrap_err();
        assert_eq!(all.errors().len(), 2, "{all}");
        let said = all.errors()[0].to_string();
        let wanted = format!(
            "{}: it has 40x20 pixels, which is not the aspect ratio of a.png (30x30), nor that of 2 other images",
            path.display()
        );
        assert_eq!(said, wanted);
        let alone = RegionOfInterest::fixed(Arc::new(mask)).of(None, (30, 30), &limits);
        let said = alone.unwrap_err().to_string();
        assert!(
            said.starts_with("the region of interest of the run: ") && said.ends_with("an image of 30x30"),
            "{said}"
        );
    }
}
