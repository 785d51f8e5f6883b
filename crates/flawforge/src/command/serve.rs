//! `flawforge serve`: runs behind HTTP.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use flawforge::device::DeviceArgs;
use flawforge::fault::in_one_line;
use flawforge::ops::Precision;
use flawforge::server::{Prepare, Prepared, Settings, Source, Token, serve};
use flawforge::training::{Judge, Run};

use super::output::print;
use super::signals::Signals;
use super::verdicts::VerdictArgs;

/// Where the token is, if no file is named.
const TOKEN: &str = "FLAWFORGE_TOKEN";

/// Options of `serve`.
#[derive(Args, Debug)]
#[command(after_help = "\
Scores are those of `flawforge predict`. A signal (TERM, INT) ends the server in order: what was accepted is answered, what comes \
then gets 503; a second one ends it at once. A run that is replaced on disk is loaded beside the one in use and takes its place when \
it is whole.

  curl --data-binary @part.png http://127.0.0.1:8080/v1/runs/bracket/score")]
pub(crate) struct ServeArgs {
    /// Trained runs: folders, or their checkpoint.safetensors or model.safetensors alone; called after their folders, or NAME=RUN
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<String>,
    /// Address and port; another address than this machine's own is open to whoever reaches it
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// A file with a token that requests must show (Authorization: Bearer TOKEN) [default: the environment variable FLAWFORGE_TOKEN,
    /// if there is one]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Largest body of a request, MiB
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=4096))]
    max_body: u64,
    /// Most pixels of an image, millions; a side has at most 65,536
    #[arg(long, value_name = "MILLIONS", default_value_t = 67.2)]
    max_pixels: f64,
    /// Most images in a request; not more than may wait
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..))]
    max_images: u32,
    /// Most images that wait; further ones are answered with 503
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    queue: u32,
    /// Most memory for bodies and pictures, MiB
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = clap::value_parser!(u64).range(1..))]
    memory: u64,
    /// Most connections; further ones wait
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
    /// Seconds for the head of a request to come, then for its body, and for a client to take none of its answer
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0, value_parser = seconds)]
    read_time: f64,
    /// Seconds from a whole request to its answer
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0, value_parser = seconds)]
    score_time: f64,
    /// Regions with fewer pixels of the image are passed over
    #[arg(long, value_name = "PIXELS", default_value_t = 1)]
    min_area: u64,
    /// Score from which on a pixel belongs to a region, instead of the one found
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true)]
    pixel_threshold: Option<f32>,
    #[command(flatten)]
    verdicts: VerdictArgs,
    /// Precision of the convolutions: f32, tf32 (GPU; elsewhere f32) or bf16 [default: as trained]
    #[arg(long, value_name = "NAME")]
    precision: Option<Precision>,
    #[command(flatten)]
    device: DeviceArgs,
}

fn seconds(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "is no number".to_owned())?;
    match (0.01..=86_400.0).contains(&value) {
        true => Ok(value),
        false => Err("must be from 0.01 to 86400".to_owned()),
    }
}

/// Runs the command.
pub(crate) fn run(args: ServeArgs) -> Result<()> {
    let signals = Signals::listen()?;
    if args.verdicts.has_threshold() && args.runs.len() > 1 {
        bail!("--threshold: is for one run; {} are served", args.runs.len());
    }
    if args.pixel_threshold.is_some_and(f32::is_nan) {
        bail!("--pixel-threshold: is not a number");
    }
    if !(args.max_pixels > 0.0 && args.max_pixels.is_finite()) {
        bail!("--max-pixels: must be above 0");
    }
    args.device.choose(None)?;
    let token = token(args.token_file.as_deref())?;
    if !args.listen.ip().is_loopback() {
        log::warn!(
            "{}: whoever reaches this address can have images scored{}; nothing is encrypted",
            args.listen,
            if token.is_some() {
                " who has the token"
            } else {
                ", there is no token (--token-file)"
            }
        );
    }
    let settings = Settings {
        listen: args.listen,
        token,
        max_body: args.max_body << 20,
        max_pixels: (args.max_pixels * 1e6) as u64,
        max_images: args.max_images as usize,
        queue: args.queue as usize,
        memory: args.memory << 20,
        connections: args.connections as usize,
        head_time: Duration::from_secs_f64(args.read_time),
        body_time: Duration::from_secs_f64(args.read_time),
        score_time: Duration::from_secs_f64(args.score_time),
        write_time: Duration::from_secs_f64(args.read_time),
        grace: Duration::from_secs_f64(args.read_time + args.score_time),
        ..Settings::default()
    };
    let prepare: Arc<Prepare> = {
        let how = How {
            verdicts: args.verdicts,
            pixel_threshold: args.pixel_threshold,
            min_area: args.min_area,
            precision: args.precision,
        };
        Arc::new(move |run| how.prepared(run).map_err(|fault| in_one_line(fault.as_ref())))
    };
    let source = |run: &String| match run.split_once('=') {
        // A folder may have such a sign in its name.
        Some((name, path)) if !Path::new(run).exists() => {
            Source::named(name, Path::new(path), Arc::clone(&prepare))
        }
        _ => Source::new(Path::new(run), Arc::clone(&prepare)),
    };
    let sources = args.runs.iter().map(source).collect::<Result<Vec<_>, _>>()?;
    serve(settings, sources, signals.flag(), |address| {
        if let Err(fault) = print(&format!("listening on http://{address}\n")) {
            log::warn!("standard output: {fault}");
        }
    })?;
    log::info!("ended by a signal");
    Ok(())
}

/// What options ask of every run.
struct How {
    verdicts: VerdictArgs,
    pixel_threshold: Option<f32>,
    min_area: u64,
    precision: Option<Precision>,
}

impl How {
    fn prepared(&self, run: &Run) -> Result<Prepared> {
        let decision = self.verdicts.decision(run)?;
        let given = self.verdicts.rule(run).threshold;
        let precision = self.precision.unwrap_or(run.precision());
        Ok(Prepared {
            detector: run.detector_in(precision)?.into(),
            judge: Judge::new(decision, given, self.pixel_threshold, self.min_area),
        })
    }
}

/// The token of a file, or of the environment.
fn token(file: Option<&Path>) -> Result<Option<Token>> {
    let (text, place) = match file {
        Some(path) => {
            let place = path.display().to_string();
            (fs::read_to_string(path).with_context(|| place.clone())?, place)
        }
        None => match std::env::var(TOKEN) {
            Ok(text) => (text, TOKEN.to_owned()),
            Err(std::env::VarError::NotPresent) => return Ok(None),
            Err(fault) => bail!("{TOKEN}: {fault}"),
        },
    };
    match Token::new(&text) {
        Some(token) => Ok(Some(token)),
        None => bail!("{place}: holds no token: one word of ASCII letters, digits and signs"),
    }
}
