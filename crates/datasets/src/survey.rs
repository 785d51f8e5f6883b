//! What is odd about the images of a category: doubled ones, constant ones, ones unlike the others.

use std::collections::HashMap;
use std::fmt;

use image::RgbImage;
use rayon::prelude::*;

use crate::Category;
use crate::check::look::{Look, unlike};
use crate::names::counted;

/// An image as a survey sees it.
struct Seen<'a> {
    name: &'a str,
    size: (u32, u32),
    image: &'a RgbImage,
    defective: bool,
}

/// What is odd about images, all compared at the size at which they were loaded: what a method sees. `Display` is one phrase;
/// it is empty where nothing is odd.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Images that are the same in every pixel, in groups of at least two.
    pub doubled: Vec<Vec<String>>,
    /// Those of the groups in which one image counts as normal and another as defective.
    pub contradictory: Vec<Vec<String>>,
    /// Images of one colour.
    pub constant: Vec<String>,
    /// Images unlike the others, each with what is unlike.
    pub unusual: Vec<(String, String)>,
}

impl Survey {
    /// Of the images to train on.
    pub fn of_normals(category: &Category) -> Self {
        let seen = category.train.iter().map(|train| Seen {
            name: &train.name,
            size: train.size,
            image: &train.image,
            defective: false,
        });
        Self::of(&seen.collect::<Vec<_>>(), true)
    }

    /// Of the test images. Defects may look as they like: only doubled and constant images are told.
    pub fn of_tests(category: &Category) -> Self {
        let seen = category.test.iter().map(|test| Seen {
            name: &test.name,
            size: test.file_size,
            image: &test.image,
            defective: test.is_defective(),
        });
        Self::of(&seen.collect::<Vec<_>>(), false)
    }

    fn of(seen: &[Seen], alike: bool) -> Self {
        let mut groups: HashMap<&[u8], Vec<&Seen>> = HashMap::new();
        for image in seen {
            groups.entry(image.image.as_raw()).or_default().push(image);
        }
        let mut doubled: Vec<Vec<&Seen>> = groups.into_values().filter(|group| group.len() > 1).collect();
        doubled.sort_by_key(|group| group[0].name);
        let names = |group: &Vec<&Seen>| {
            group
                .iter()
                .map(|image| image.name.to_owned())
                .collect::<Vec<_>>()
        };
        let both =
            |group: &&Vec<&Seen>| group.iter().any(|i| i.defective) && group.iter().any(|i| !i.defective);
        let constant = seen.iter().filter(|image| is_constant(image.image));
        Self {
            contradictory: doubled.iter().filter(both).map(names).collect(),
            doubled: doubled.iter().map(names).collect(),
            constant: constant.map(|image| image.name.to_owned()).collect(),
            unusual: if alike { unusual(seen) } else { Vec::new() },
        }
    }

    /// Whether nothing is odd.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

fn is_constant(image: &RgbImage) -> bool {
    let mut pixels = image.pixels();
    let first = pixels.next();
    pixels.all(|pixel| Some(pixel) == first)
}

fn unusual(seen: &[Seen]) -> Vec<(String, String)> {
    let looks: Vec<Look> = seen
        .par_iter()
        .map(|image| Look::of(image.size, image.image))
        .collect();
    let found = unlike(&looks).into_iter();
    found
        .map(|one| (seen[one.place].name.to_owned(), one.reason))
        .collect()
}

impl fmt::Display for Survey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |items: Vec<String>, count: usize| {
            const SHOWN: usize = 3;
            let shown = items.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
            let more = if items.len() > SHOWN { ", ..." } else { "" };
            format!("{count} ({shown}{more})")
        };
        let groups =
            |groups: &[Vec<String>]| groups.iter().map(|group| group.join(" = ")).collect::<Vec<_>>();
        let mut phrases = Vec::new();
        if !self.doubled.is_empty() {
            let count = self.doubled.iter().map(|group| group.len() - 1).sum();
            phrases.push(format!("doubled: {}", list(groups(&self.doubled), count)));
        }
        if !self.contradictory.is_empty() {
            let found = counted(self.contradictory.len(), "picture");
            let which = groups(&self.contradictory).join(", ");
            phrases.push(format!("{found} both normal and defective: {which}"));
        }
        if !self.constant.is_empty() {
            phrases.push(format!(
                "of one color: {}",
                list(self.constant.clone(), self.constant.len())
            ));
        }
        if !self.unusual.is_empty() {
            let unusual = self.unusual.iter().map(|(name, what)| format!("{name}: {what}"));
            phrases.push(format!(
                "unusual: {}",
                list(unusual.collect(), self.unusual.len())
            ));
        }
        f.write_str(&phrases.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{TestImage, TrainImage};
    use flawforge_masks::Mask;
    use image::Rgb;

    fn picture(seed: u8) -> RgbImage {
        RgbImage::from_fn(8, 8, |x, y| {
            Rgb([90 + ((x * 5 + y * 3) as u8 ^ seed) % 16, seed, 100])
        })
    }

    fn normals(images: Vec<RgbImage>) -> Category {
        let train = images.into_iter().enumerate().map(|(index, image)| TrainImage {
            name: index.to_string(),
            size: (80, 40),
            image,
        });
        Category {
            name: "part".into(),
            train: train.collect(),
            ..Category::default()
        }
    }

    #[test]
    fn twins_constants_and_strangers_are_named() {
        let mut images: Vec<RgbImage> = (0..10).map(picture).collect();
        images[7] = images[2].clone();
        images[4] = RgbImage::from_pixel(8, 8, Rgb([255; 3]));
        let mut category = normals(images);
        category.train[9].size = (40, 80);
        let survey = Survey::of_normals(&category);
        assert_eq!(survey.doubled, [["2", "7"]]);
        assert_eq!(survey.constant, ["4"]);
        assert!(survey.contradictory.is_empty());
        assert_eq!(
            survey.to_string(),
            "doubled: 1 (2 = 7); of one color: 1 (4); unusual: 2 (4: brighter: 255 of 255, others 68, 9: 40x80, others 80x40)"
        );
        let usual = Survey::of_normals(&normals((0..10).map(picture).collect()));
        assert!(usual.is_empty() && usual.to_string().is_empty());
    }

    #[test]
    fn one_picture_with_two_labels_is_a_contradiction() {
        let test = |name: &str, defect: &str, seed| {
            TestImage::drawn(name.into(), defect.into(), picture(seed), Mask::empty(8, 8))
        };
        let mut category = normals(Vec::new());
        category.test = vec![
            test("bad/0", "bad", 1),
            test("good/0", "good", 2),
            test("good/1", "good", 1),
        ];
        let said = Survey::of_tests(&category).to_string();
        assert_eq!(
            said,
            "doubled: 1 (bad/0 = good/1); 1 picture both normal and defective: bad/0 = good/1"
        );
    }
}
