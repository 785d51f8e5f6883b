//! What is wrong with a folder, told before anything is trained: each file is opened and decoded once, nothing is changed.
//!
//! ```text
//! CategoryFiles ── in parallel, each file once ──> Glance (numbers, digest, 32×32 picture), Marked (what masks mark)
//!                                                       │ all together: scale, doubles, leaks, unlike ones
//!                                                       ▼
//!                                                 Check { facts, findings }
//! ```
//!
//! Memory: about 7 KB a file beside one decoded image a thread.

mod facts;
mod finding;
mod findings;
pub(crate) mod glance;
pub(crate) mod look;
mod masks;
mod twins;

pub use facts::{FileFacts, SizeCount};
pub use finding::{Finding, Severity};
pub use masks::{Lost, MaskFacts, SIDES};
pub use twins::{NEAR, NEAR_SHARE};

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use image::RgbImage;
use rayon::prelude::*;
use serde::Serialize;

use crate::names::legible_path;
use crate::scale::Extent;
use crate::{CategoryFiles, DatasetError, Limits, PixelScale, Role, TestFile, Why};
use glance::Glance;
use look::{Look, unlike};
use masks::Marked;
use twins::Seen;

/// A folder that was understood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartFacts {
    /// The folder, below the category's; "." for its own.
    pub folder: String,
    /// What its images are used for.
    pub role: String,
    /// How many images it holds.
    pub images: usize,
}

/// A file or folder that is passed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PassedFacts {
    /// The file or folder, below the category's.
    pub path: String,
    /// Why.
    pub why: Why,
    /// How many images it concerns.
    pub images: usize,
}

/// How many images there are of each sort.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Normal images to train on.
    pub train: usize,
    /// Normal images to test on.
    pub normal_test: usize,
    /// Defective images by defect type.
    pub defective: BTreeMap<String, usize>,
}

/// A picture of a finding, for a page.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Named {
    /// The file, below the category's folder.
    pub file: String,
    /// The file.
    #[serde(skip)]
    pub path: PathBuf,
    /// Train, test, and which defect type.
    pub sort: String,
}

/// A normal image that looks unlike the others.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Unusual {
    /// The image.
    #[serde(flatten)]
    pub image: Named,
    /// In what it is unlike.
    pub reason: String,
}

/// Pictures that are there more than once.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Twins {
    /// Pictures equal in every pixel, in groups of at least two.
    pub exact: Vec<Vec<Named>>,
    /// Pictures that are nearly the same, in groups of at least two.
    pub near: Vec<Vec<Named>>,
    /// Up to which difference they count as nearly the same: root mean square of 32×32 pictures, of 255.
    pub near_limit: f64,
    /// The same as a share of the contrast within the pictures.
    pub near_share: f64,
}

/// Everything that is told of a category's folder. As JSON it has these fields.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// Name of the category.
    pub name: String,
    /// The layout as which its folder is understood.
    pub layout: String,
    /// Its folders that were understood.
    pub parts: Vec<PartFacts>,
    /// How many images there are.
    pub images: Counts,
    /// What is passed over.
    pub passed_over: Vec<PassedFacts>,
    /// The same in one phrase.
    pub passed_over_line: Option<String>,
    /// What was assumed where the folder leaves it open.
    pub assumed: Vec<String>,
    /// What the image files are.
    pub files: FileFacts,
    /// What the masks mark.
    pub masks: MaskFacts,
    /// Pictures that are there more than once.
    pub twins: Twins,
    /// Normal images unlike the others, the worst first.
    pub unusual: Vec<Unusual>,
    /// What was found, worst first.
    pub findings: Vec<Finding>,
    /// Bytes that were held for comparisons when all files were read.
    #[serde(skip)]
    pub held_bytes: usize,
}

/// One image of the category with what was found in it.
struct Entry<'a> {
    path: &'a Path,
    /// `None` for an image to train on.
    test: Option<&'a TestFile>,
    glance: Option<Glance>,
    marked: Option<Marked>,
    faults: Vec<DatasetError>,
}

impl Entry<'_> {
    fn is_train(&self) -> bool {
        self.test.is_none()
    }

    fn is_defective(&self) -> bool {
        self.test.is_some_and(TestFile::is_defective)
    }

    fn sort(&self) -> String {
        match self.test {
            None => "train".to_owned(),
            Some(test) => format!("test, {}", test.defect),
        }
    }
}

/// What the entries show when all are known.
struct Whole<'a> {
    files: &'a CategoryFiles,
    entries: Vec<Entry<'a>>,
    scale: PixelScale,
    /// Of all images to train on.
    extent: Extent,
    exact: Vec<Vec<usize>>,
    near: Vec<Vec<usize>>,
    unlike: Vec<(usize, String)>,
}

impl Whole<'_> {
    /// A path below the folder of the category.
    fn below(&self, path: &Path) -> String {
        below(self.files, path)
    }

    fn named(&self, place: usize) -> Named {
        let entry = &self.entries[place];
        Named {
            file: self.below(entry.path),
            path: entry.path.to_path_buf(),
            sort: entry.sort(),
        }
    }
}

fn below(files: &CategoryFiles, path: &Path) -> String {
    let short = path.strip_prefix(&files.inventory.root).unwrap_or(path);
    match short.as_os_str().is_empty() {
        true => ".".to_owned(),
        false => legible_path(short),
    }
}

/// Groups and odd images that are told one by one; findings count all.
const TOLD: usize = 50;

impl Check {
    /// Opens every image and mask of a category. `seen` is called after each image, from any thread.
    pub fn of(files: &CategoryFiles, limits: &Limits, seen: &(dyn Fn() + Sync)) -> Self {
        let train = files.train.iter().map(|file| (file.path.as_path(), None));
        let test = files.test.iter().map(|file| (file.path.as_path(), Some(file)));
        let all: Vec<(&Path, Option<&TestFile>)> = train.chain(test).collect();
        let entries: Vec<Entry<'_>> = all
            .into_par_iter()
            .map(|(path, test)| {
                let entry = read(path, test, limits);
                seen();
                entry
            })
            .collect();
        Self::compare(files, entries)
    }

    fn compare(files: &CategoryFiles, entries: Vec<Entry<'_>>) -> Self {
        let train = entries.iter().filter(|entry| entry.is_train());
        let extents = train.filter_map(|entry| Some(entry.glance.as_ref()?.extent));
        let extent = extents.fold(Extent::default(), Extent::join);
        let scale = extent.scale();
        let looks: Vec<Option<Look>> = entries
            .par_iter()
            .map(|entry| {
                let glance = entry.glance.as_ref()?;
                let (small, detail) = glance.shown(&scale);
                Some(Look::small(glance.size, small, detail))
            })
            .collect();
        let known: Vec<(usize, &Glance, &Look)> = entries
            .iter()
            .zip(&looks)
            .enumerate()
            .filter_map(|(place, (entry, look))| Some((place, entry.glance.as_ref()?, look.as_ref()?)))
            .collect();
        let held_bytes = known
            .iter()
            .map(|(_, glance, _)| glance.held_bytes())
            .sum::<usize>()
            + looks.len() * (look::SIDE * look::SIDE * 3) as usize;
        let compared: Vec<Seen<'_>> = known
            .iter()
            .map(|(_, glance, look)| Seen {
                digest: glance.digest,
                small: &look.small,
                size: glance.size,
            })
            .collect();
        let near = twins::near(&compared);
        let near = near
            .into_iter()
            .map(|group| group.into_iter().map(|at| known[at].0).collect());
        let near: Vec<Vec<usize>> = near.collect();
        let exact = twins::exact(known.iter().map(|(place, glance, _)| (*place, glance.digest)));
        let colored = known
            .iter()
            .map(|(_, glance, look)| (*glance, Glance::is_colored(&look.small)));
        let facts = FileFacts::of(colored, scale);
        let unlike = unlike_normals(&entries, looks);
        let whole = Whole {
            files,
            scale,
            extent,
            exact,
            near,
            unlike,
            entries,
        };
        whole.told(facts, held_bytes)
    }

    /// Whether nothing stops a training.
    pub fn training_starts(&self) -> bool {
        !self.has(Severity::StopsTraining)
    }

    /// Whether nothing stops an evaluation.
    pub fn evaluation_starts(&self) -> bool {
        !self.has(Severity::StopsEvaluation)
    }

    fn has(&self, severity: Severity) -> bool {
        self.findings.iter().any(|finding| finding.severity == severity)
    }
}

/// Places of normal images unlike the others, the worst first. The small pictures are not needed afterwards.
fn unlike_normals(entries: &[Entry<'_>], looks: Vec<Option<Look>>) -> Vec<(usize, String)> {
    let train = entries
        .iter()
        .zip(looks)
        .enumerate()
        .filter_map(|(place, (entry, look))| look.filter(|_| entry.is_train()).map(|look| (place, look)));
    let (places, looks): (Vec<usize>, Vec<Look>) = train.unzip();
    let mut found = unlike(&looks);
    found.sort_by(|a, b| b.degree.total_cmp(&a.degree));
    found
        .into_iter()
        .map(|one| (places[one.place], one.reason))
        .collect()
}

impl Whole<'_> {
    fn told(self, facts: FileFacts, held_bytes: usize) -> Check {
        let files = self.files;
        let (defective, masked) = files.masked();
        let marked = self.entries.iter().filter_map(|entry| entry.marked.as_ref());
        let masks = MaskFacts::of(defective, masked, marked);
        let mut images = Counts {
            train: files.train.len(),
            normal_test: files.test.len() - defective,
            ..Counts::default()
        };
        for test in files.test.iter().filter(|test| test.is_defective()) {
            *images.defective.entry(test.defect.clone()).or_default() += 1;
        }
        let groups = |groups: &[Vec<usize>]| -> Vec<Vec<Named>> {
            let named = |group: &Vec<usize>| group.iter().take(TOLD).map(|&at| self.named(at)).collect();
            groups.iter().take(TOLD).map(named).collect()
        };
        let findings = self.findings(&facts, &masks);
        Check {
            name: files.name.clone(),
            layout: files.layout.to_string(),
            parts: files
                .parts
                .iter()
                .map(|part| PartFacts {
                    folder: self.below(&part.path),
                    role: role(&part.role),
                    images: part.images,
                })
                .collect(),
            images,
            passed_over: files
                .inventory
                .passed
                .iter()
                .map(|passed| PassedFacts {
                    path: self.below(&passed.path),
                    why: passed.why,
                    images: passed.images,
                })
                .collect(),
            passed_over_line: files.inventory.line(),
            assumed: files.inventory.assumed.clone(),
            files: facts,
            masks,
            twins: Twins {
                exact: groups(&self.exact),
                near: groups(&self.near),
                near_limit: NEAR,
                near_share: NEAR_SHARE,
            },
            unusual: self
                .unlike
                .iter()
                .take(TOLD)
                .map(|(place, reason)| Unusual {
                    image: self.named(*place),
                    reason: reason.clone(),
                })
                .collect(),
            findings,
            held_bytes,
        }
    }
}

fn role(role: &Role) -> String {
    match role {
        Role::Normal => "normal, to train on".to_owned(),
        Role::NormalTest => "normal, to test on".to_owned(),
        Role::Defective(defect) => format!("defective ({defect})"),
        Role::ByMask => "labelled by their masks".to_owned(),
        Role::Masks => "masks".to_owned(),
    }
}

fn read<'a>(path: &'a Path, test: Option<&'a TestFile>, limits: &Limits) -> Entry<'a> {
    let mut entry = Entry {
        path,
        test,
        glance: None,
        marked: None,
        faults: Vec::new(),
    };
    match Glance::of(path, limits) {
        Ok((glance, stored)) => {
            entry.glance = Some(glance);
            match test.map(|file| Marked::of(file, &stored, limits)) {
                Some(Ok(marked)) => entry.marked = marked,
                Some(Err(error)) => entry.faults.push(error),
                None => {}
            }
        }
        Err(error) => {
            entry.faults.push(error);
            entry
                .faults
                .extend(test.iter().flat_map(|file| masks::faults(file, limits)));
        }
    }
    entry
}

/// Small pictures as they are kept, for a test of memory.
impl Glance {
    fn held_bytes(&self) -> usize {
        size_of::<Self>() + self.small_bytes()
    }
}

/// A picture for a page: at most `side` pixels a side, read anew by the scale of the run; `None` where it cannot be read.
pub fn preview(path: &Path, side: u32, scale: &PixelScale) -> Option<RgbImage> {
    let image = crate::load_picture(path, &Limits::default(), scale).ok()?.image;
    let (width, height) = image.dimensions();
    let factor = f64::from(side) / f64::from(width.max(height).max(1));
    if factor >= 1.0 {
        return Some(image);
    }
    let scaled = |length: u32| ((f64::from(length) * factor).round() as u32).max(1);
    Some(image::imageops::thumbnail(&image, scaled(width), scaled(height)))
}
