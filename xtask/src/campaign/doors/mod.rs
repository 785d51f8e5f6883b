//! The doors by which bytes of strangers come in, each as a function of these bytes.
//!
//! Fuzz targets (`fuzz/`) and `cargo xtask campaign --only doors` call the same functions. A door either takes the bytes or refuses
//! them in one line that names the file; whatever else happens is a finding. A panic is one too: the callers catch it.

mod networks;
mod pictures;
mod request;
mod scratch;
pub mod seeds;
mod texts;

use std::fmt;

pub use seeds::write_seeds;

/// What a door did that it must not do, in words.
pub type Finding = String;

/// What came of some bytes at a door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// They were taken.
    Taken,
    /// They were refused, as promised.
    Refused,
}

/// A door by which bytes come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// An image file of any kind.
    Image,
    /// A mask beside an image.
    Mask,
    /// A region of interest: a mask or polygons.
    Region,
    /// A selection file.
    Selection,
    /// A settings file.
    Settings,
    /// A checkpoint or model.
    Checkpoint,
    /// Weights in PyTorch's own file.
    Pickle,
    /// A downloaded archive.
    Archive,
    /// The result of a cell of a sweep.
    Result,
    /// What a client sends to the server.
    Request,
}

impl Door {
    /// All doors.
    pub const ALL: [Self; 10] = [
        Self::Image,
        Self::Mask,
        Self::Region,
        Self::Selection,
        Self::Settings,
        Self::Checkpoint,
        Self::Pickle,
        Self::Archive,
        Self::Result,
        Self::Request,
    ];

    /// The name of the fuzz target and of its folder of seeds.
    pub fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Mask => "mask",
            Self::Region => "region",
            Self::Selection => "selection",
            Self::Settings => "settings",
            Self::Checkpoint => "checkpoint",
            Self::Pickle => "pickle",
            Self::Archive => "archive",
            Self::Result => "result",
            Self::Request => "request",
        }
    }

    /// Puts bytes through the door.
    ///
    /// # Errors
    /// What the door did that it must not do; also when the door could not be tried, for lack of room for a file.
    pub fn try_with(self, bytes: &[u8]) -> Result<Seen, Finding> {
        match self {
            Self::Image => pictures::image(bytes),
            Self::Mask => pictures::mask(bytes),
            Self::Region => pictures::region(bytes),
            Self::Selection => texts::selection(bytes),
            Self::Settings => texts::settings(bytes),
            Self::Checkpoint => networks::checkpoint(bytes),
            Self::Pickle => networks::pickle(bytes),
            Self::Archive => texts::archive(bytes),
            Self::Result => texts::result(bytes),
            Self::Request => request::request(bytes),
        }
    }
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The door of this name.
///
/// # Errors
/// Any other name.
pub fn named(name: &str) -> Result<Door, String> {
    let door = Door::ALL.into_iter().find(|door| door.name() == name);
    door.ok_or_else(|| format!("no door `{name}`"))
}

/// A refusal is one line that names the party.
fn refused(said: &str, party: &str) -> Result<Seen, Finding> {
    if said.contains('\n') {
        return Err(format!("a refusal of several lines: {said:?}"));
    }
    match said.contains(party) {
        true => Ok(Seen::Refused),
        false => Err(format!("a refusal that does not name {party}: {said:?}")),
    }
}
