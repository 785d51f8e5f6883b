//! What lies where: which layout a folder has, and which of its folders was taken for what.

use std::fmt;
use std::path::PathBuf;

/// The defect name of normal test images, as in MVTec AD.
pub const GOOD: &str = "good";

/// How a category's folder is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Layout {
    /// `train/good`, `test/DEFECT`, `ground_truth/DEFECT`, or other usual names for them.
    Mvtec,
    /// MVTec LOCO AD: as [`Layout::Mvtec`], several masks an image in a folder of its own.
    MvtecLoco,
    /// MVTec AD 2: `train/good`, `test_public/{good,bad,ground_truth}`.
    MvtecAd2,
    /// BTAD: `train/ok`, `test/{ok,ko}`, `ground_truth/ko`.
    Btad,
    /// VisA: `Data/Images/{Normal,Anomaly}`, `Data/Masks/Anomaly`.
    Visa,
    /// KolektorSDD: folders of images, each with its mask beside it (`Part0.jpg`, `Part0_label.bmp`).
    KolektorSdd,
    /// KolektorSDD2: `train` and `test`, each image with its mask beside it (`10000.png`, `10000_GT.png`).
    KolektorSdd2,
    /// Folders by their names: `normal`, `normal_test`, `defective`, `masks`, or other usual names for them.
    Plain,
    /// Images without any such folder: all of them normal.
    Flat,
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mvtec => "MVTec layout",
            Self::MvtecLoco => "MVTec LOCO layout",
            Self::MvtecAd2 => "MVTec AD 2 layout",
            Self::Btad => "BTAD layout",
            Self::Visa => "VisA layout",
            Self::KolektorSdd => "KolektorSDD layout",
            Self::KolektorSdd2 => "KolektorSDD2 layout",
            Self::Plain => "plain folder",
            Self::Flat => "flat folder, all images normal",
        })
    }
}

/// What the images of a folder are used for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// Normal images to train on.
    Normal,
    /// Normal images to test on.
    NormalTest,
    /// Test images of a defect type.
    Defective(String),
    /// Images that their masks label: what is marked is defective.
    ByMask,
    /// Ground-truth masks.
    Masks,
}

/// A folder that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The folder.
    pub path: PathBuf,
    /// What its images are used for.
    pub role: Role,
    /// How many images it holds.
    pub images: usize,
}
