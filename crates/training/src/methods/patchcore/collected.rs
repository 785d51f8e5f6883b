//! The patches of the normal images at one size, until a bank is made of them.

use candle_core::Device;
use flawforge_models::patchcore::{Coreset, MemoryBank, Patches};
use rand::Rng;

use super::room::Thinning;
use crate::error::Result;
use crate::methods::spaced::Spaced;

/// Patches of the images that came so far: all of them, or a share, and beside it a few images with all of theirs.
pub(super) struct Collected {
    /// Numbers of a vector.
    length: usize,
    /// Patches in a row, and rows.
    grid: (usize, usize),
    /// What each image, or each window of one, is of.
    groups: Vec<Of>,
    /// Vectors, image after image.
    pub(super) vectors: Vec<f32>,
    /// Of each vector, which of the images or windows it is of.
    origins: Vec<u32>,
    /// Images with all their patches, where not all of all are kept; each with its place in `groups`.
    whole: Spaced<(u32, Vec<f32>)>,
    thinned: bool,
}

/// What an image, or a window of one, is of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Of {
    /// The number of the image.
    pub(super) image: u32,
    /// Whether it is a copy in another light, which tells nothing of what is usual.
    pub(super) is_copy: bool,
}

/// A bank, and of each of its vectors the number of its image.
pub(super) struct Chosen {
    pub(super) bank: MemoryBank,
    pub(super) origins: Vec<u32>,
}

impl Collected {
    /// None yet; with room for so many images with all their patches.
    pub(super) fn new(length: usize, whole: usize) -> Self {
        Self {
            length,
            grid: (0, 0),
            groups: Vec::new(),
            vectors: Vec::new(),
            origins: Vec::new(),
            whole: Spaced::new(whole),
            thinned: false,
        }
    }

    /// Number of vectors.
    pub(super) fn len(&self) -> usize {
        self.origins.len()
    }

    /// Whether only a share of the patches is here.
    pub(super) fn is_thinned(&self) -> bool {
        self.thinned
    }

    /// Adds all patches of the next images or windows, whose images have these numbers.
    pub(super) fn add(&mut self, images: Vec<Patches>, groups: &[Of]) {
        for (patches, &group) in images.into_iter().zip(groups) {
            self.grid = (patches.width, patches.height);
            self.vectors.extend_from_slice(&patches.vectors);
            self.origins
                .resize(self.vectors.len() / self.length, self.groups.len() as u32);
            self.groups.push(group);
        }
    }

    /// Adds a share of the patches of the next images or windows, whose images have these numbers.
    pub(super) fn thin(
        &mut self,
        images: Vec<Patches>,
        groups: &[Of],
        thinning: Thinning,
        coreset: Coreset,
        rng: &mut impl Rng,
        device: &Device,
    ) -> Result<()> {
        self.thinned = true;
        let length = self.length;
        let (mut block, mut origins) = (Vec::new(), Vec::new());
        for (patches, &group) in images.into_iter().zip(groups) {
            self.grid = (patches.width, patches.height);
            block.extend_from_slice(&patches.vectors);
            origins.resize(block.len() / length, self.groups.len() as u32);
            if !group.is_copy {
                self.whole.push((self.groups.len() as u32, patches.vectors));
            }
            self.groups.push(group);
        }
        for index in thinning.thin(&block, length, coreset, rng, device)? {
            self.vectors.extend_from_slice(&block[index * length..][..length]);
            self.origins.push(origins[index]);
        }
        Ok(())
    }

    /// The bank of the vectors that cover all others best.
    pub(super) fn choose(&self, coreset: Coreset, rng: &mut impl Rng, device: &Device) -> Result<Chosen> {
        let length = self.length;
        let chosen = coreset.select(&self.vectors, length, rng, device)?;
        let mut kept = Vec::with_capacity(chosen.len() * length);
        for &index in &chosen {
            kept.extend_from_slice(&self.vectors[index * length..][..length]);
        }
        Ok(Chosen {
            bank: MemoryBank::new(&kept, length)?.on(device)?,
            origins: chosen
                .iter()
                .map(|&index| self.group(self.origins[index]))
                .collect(),
        })
    }

    /// The number of the image that one of the images or windows is of.
    pub(super) fn group(&self, number: u32) -> u32 {
        self.groups
            .get(number as usize)
            .map_or(number, |group| group.image)
    }

    /// The images or windows whose patches are all here; no copies.
    pub(super) fn numbers(&self) -> Vec<u32> {
        match self.thinned {
            false => (0..)
                .zip(&self.groups)
                .filter(|(_, group)| !group.is_copy)
                .map(|(number, _)| number)
                .collect(),
            true => self.whole.kept().iter().map(|(_, (number, _))| *number).collect(),
        }
    }

    /// The patches of such an image.
    pub(super) fn image(&self, number: u32) -> Option<Patches> {
        let vectors = match self.thinned {
            false => {
                let each = self.grid.0 * self.grid.1 * self.length;
                self.vectors.get(number as usize * each..)?.get(..each)?
            }
            true => {
                let mut kept = self.whole.kept().iter();
                kept.find(|(_, (found, _))| *found == number)?.1.1.as_slice()
            }
        };
        Some(Patches {
            width: self.grid.0,
            height: self.grid.1,
            vectors: vectors.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::patchcore::room;

    fn own(image: u32) -> Of {
        Of {
            image,
            is_copy: false,
        }
    }

    fn image(number: usize) -> Patches {
        Patches {
            width: 2,
            height: 1,
            vectors: vec![number as f32, 0.0, number as f32, 1.0],
        }
    }

    #[test]
    fn vectors_know_their_images_and_images_their_vectors() {
        let mut all = Collected::new(2, 9);
        all.add(vec![image(0), image(1)], &[0, 1].map(own));
        all.add(vec![image(2)], &[2].map(own));
        assert_eq!((all.len(), all.numbers()), (6, vec![0, 1, 2]));
        assert_eq!((all.image(2), all.image(3)), (Some(image(2)), None));
        let coreset = Coreset {
            ratio: 1.0,
            projection: None,
            starts: 3,
        };
        let chosen = all
            .choose(coreset, &mut room::stream(1, 0, 0), &Device::Cpu)
            .unwrap();
        let vectors = chosen.bank.to_tensor().unwrap().to_vec2::<f32>().unwrap();
        for (vector, origin) in vectors.iter().zip(&chosen.origins) {
            assert_eq!(vector[0], *origin as f32);
        }
        assert_eq!(chosen.origins.len(), 6);
        let mut some = Collected::new(2, 9);
        let thinning = Thinning { share: 0.5 };
        for number in 0..3 {
            let mut random = room::stream(1, number, 0);
            let images = vec![image(2 * number as usize), image(2 * number as usize + 1)];
            some.thin(
                images,
                &[2 * number as u32, 2 * number as u32 + 1].map(own),
                thinning,
                coreset,
                &mut random,
                &Device::Cpu,
            )
            .unwrap();
        }
        assert_eq!((some.len(), some.numbers()), (6, vec![0, 1, 2, 3, 4, 5]));
        assert_eq!(some.image(5), Some(image(5)));
        let of_their_images = some.vectors.chunks(2).zip(&some.origins);
        assert!(
            of_their_images
                .into_iter()
                .all(|(vector, &origin)| vector[0] == origin as f32)
        );
    }
}
