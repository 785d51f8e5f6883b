//! `cargo xtask download`: real data sets and published weights, fetched safely.
//!
//! ```text
//! xtask/data/datasets.toml ──> licence shown and accepted ──> fetched (resumed, mirrors) ──> SHA-256 ──> unpacked ──> DIR/<name>
//!  addresses, hashes      before anything is sent        DIR/<archive>.part              always     bounded      renamed last
//! ```
//!
//! `DIR/<name>` exists only when it is complete: an interrupted command leaves a `.part` file, which the next one continues,
//! and at most a hidden folder, which the next one removes. `--archive FILE` takes a copy fetched by hand instead; it is
//! hashed like any other and left where it is. Weights are not unpacked but converted, without running what is in them, to
//! `DIR/<name>.safetensors`.

mod catalogue;
mod checksum;
mod error;
mod fetch;
mod meter;
mod unpack;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use flawforge::files;
use flawforge::licence::Licence;
use flawforge::models::pytorch;

pub use catalogue::{Bounds, Catalogue, DataSet};
pub use checksum::sha256_hex;
pub use error::DownloadError;
pub use fetch::{Patience, fetch};
pub use meter::Show;
pub use unpack::unpack;

/// Where downloads go unless another folder is named; relative to the working folder.
pub use flawforge_lab::DOWNLOADS as DEFAULT_DIR;

/// Arguments of `cargo xtask download`.
#[derive(Clone, Debug, clap::Args)]
pub struct DownloadArgs {
    /// Data sets and weights to fetch
    #[arg(value_name = "DATASET", required = true, value_parser = clap::builder::PossibleValuesParser::new(
        ["mvtec-ad", "dtd", "wide-resnet50-2", "resnet50", "resnet18"]))]
    pub datasets: Vec<String>,
    /// Use this archive instead of downloading. One data set at a time; its hash is checked too
    #[arg(long, value_name = "FILE")]
    pub archive: Option<PathBuf>,
    /// List of data sets instead of the built-in one: TOML of its form, for a mirror of your own
    #[arg(long, value_name = "FILE.toml")]
    pub catalogue: Option<PathBuf>,
    /// Folder to put data sets into
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DIR)]
    pub dir: PathBuf,
    /// Accept the licences without a question; they are shown anyway
    #[arg(long, alias = "accept-license")]
    pub accept_licence: bool,
    /// Keep downloaded archives after unpacking
    #[arg(long)]
    pub keep_archive: bool,
}

/// Fetches the data sets asked for, from the addresses in `xtask/data/datasets.toml`.
///
/// # Errors
/// An unknown data set, a licence not accepted, no address that serves the right file, an archive that is not the right file,
/// or one that cannot be unpacked.
pub fn run(args: DownloadArgs) -> Result<()> {
    let catalogue = match &args.catalogue {
        Some(file) => Catalogue::read(file)?,
        None => Catalogue::builtin()?,
    };
    run_with(&catalogue, &args, &Patience::default(), Show::detect())
}

/// [`run`] with another catalogue.
///
/// # Errors
/// As [`run`].
pub fn run_with(catalogue: &Catalogue, args: &DownloadArgs, patience: &Patience, show: Show) -> Result<()> {
    if args.archive.is_some() && args.datasets.len() != 1 {
        bail!("--archive is one data set's archive: name exactly one");
    }
    let mut wanted = Vec::new();
    for name in &args.datasets {
        let set = catalogue.get(name)?;
        let home = home_of(&args.dir, name, set);
        if home.exists() {
            println!("{name} is already in {}", home.display());
            // Whoever was killed at it left hidden files, which go with the claim; a folder that cannot be written to keeps them.
            drop(files::occupy_part(&args.dir, name, "a look"));
        } else if !wanted.iter().any(|(known, _)| known == name) {
            wanted.push((name.clone(), set));
        }
    }
    // All licences before the first download: nobody comes back after five gigabytes to find a question.
    for (name, set) in &wanted {
        let licence = Licence {
            name,
            title: &set.title,
            text: &set.licence,
            page: &set.page,
        };
        licence.accept(args.accept_licence, "--accept-licence")?;
    }
    for (name, set) in &wanted {
        install(name, set, args, patience, show)?;
    }
    Ok(())
}

/// Where a data set or weights are in the end.
fn home_of(dir: &Path, name: &str, set: &DataSet) -> PathBuf {
    if set.is_weights() {
        dir.join(format!("{name}.safetensors"))
    } else {
        dir.join(name)
    }
}

fn install(name: &str, set: &DataSet, args: &DownloadArgs, patience: &Patience, show: Show) -> Result<()> {
    let dir = &args.dir;
    fs::create_dir_all(dir).with_context(|| format!("{}: cannot be made", dir.display()))?;
    let _held = files::occupy_part(dir, name, &format!("download of {name}")).map_err(|fault| match fault
        .kind()
    {
        io::ErrorKind::ResourceBusy => DownloadError::Busy {
            who: fault.to_string(),
        }
        .into(),
        _ => anyhow::Error::from(fault),
    })?;
    let home = home_of(dir, name, set);
    if home.exists() {
        // Another process was faster while this one waited for an answer.
        println!("{name} is already in {}", home.display());
        return Ok(());
    }
    let archive = match &args.archive {
        Some(file) => {
            checksum::check(file, set, show)?;
            file.clone()
        }
        None => {
            let file = dir.join(&set.archive);
            fetch(set, &file, patience, show)?;
            file
        }
    };
    if set.is_weights() {
        pytorch::convert(&archive, &home)?;
    } else {
        unpack_into(&archive, set, dir, name, show)?;
    }
    if args.archive.is_none() && !args.keep_archive {
        fs::remove_file(&archive).with_context(|| format!("{}: cannot be removed", archive.display()))?;
    }
    println!("{name} is in {}", home.display());
    Ok(())
}

/// Unpacks beside the final place and renames as the last act.
fn unpack_into(archive: &Path, set: &DataSet, dir: &Path, name: &str, show: Show) -> Result<()> {
    let scratch = dir.join(format!(".{name}.unpacking"));
    let clear = || match fs::remove_dir_all(&scratch) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(e).with_context(|| format!("{}: cannot be removed", scratch.display()))
        }
        _ => Ok(()),
    };
    clear()?; // what a killed command left behind; the lock says that it is nobody's
    let unpacked = unpack(archive, &scratch, set, show)
        .map_err(anyhow::Error::from)
        .and_then(|()| {
            let home = dir.join(name);
            fs::rename(&scratch, &home).with_context(|| format!("{}: cannot be put in place", home.display()))
        });
    if unpacked.is_err() {
        clear()?;
    }
    unpacked
}
