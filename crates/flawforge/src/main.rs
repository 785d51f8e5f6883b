//! The `flawforge` command: check, download, select, simulate, train, evaluate, report, predict, serve, export, export-run, import.
//!
//! Usage errors end with exit code 2, other errors with 1 and one line on standard error. `train` and `predict` end in order at the
//! first signal, and at once at another one a second later: 130 after INT, 143 after TERM, 129 after HUP.

mod command;

use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

/// Surface anomaly detection trained on simulated anomalies.
#[derive(Parser)]
#[command(name = "flawforge", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Tell what is wrong with a folder of images, before anything is trained
    Check(command::check::CheckArgs),
    /// Propose which kinds of anomaly to simulate, from normal images
    Select(command::select::SelectArgs),
    /// Draw a sheet of simulated anomalies, to check a selection by eye
    Simulate(command::simulate::SimulateArgs),
    /// Train a detector on normal images
    Train(command::train::TrainArgs),
    /// Compute metrics of a trained detector on labelled test images
    Evaluate(command::evaluate::EvaluateArgs),
    /// Write one page on a run: its training, thresholds, figures, curves, pictures
    Report(command::report::ReportArgs),
    /// Fetch the weights of a pretrained network, once for all commands
    Download(command::download::DownloadArgs),
    /// Write a run as one ONNX file, for programs that know nothing of Flawforge
    Export(command::export::ExportArgs),
    /// Write what of a run detects to one small file, to be copied elsewhere
    ExportRun(command::export_run::ExportRunArgs),
    /// Make a run of published weights
    Import(command::import::ImportArgs),
    /// Score images: write anomaly maps, scores and verdicts
    Predict(command::predict::PredictArgs),
    /// Answer over HTTP: scores and verdicts of images, a page to drop them on, metrics
    Serve(command::serve::ServeArgs),
}

/// The arguments. Every option with a value takes one that begins with a minus, so that a number out of range is told as that.
fn parsed() -> Arguments {
    let mut command = Arguments::command();
    let names: Vec<String> = command
        .get_subcommands()
        .map(|sub| sub.get_name().to_owned())
        .collect();
    for name in names {
        command = command.mut_subcommand(name, |sub| {
            sub.mut_args(
                |arg| match arg.get_action().takes_values() && arg.get_long().is_some() {
                    true => arg.allow_negative_numbers(true),
                    false => arg,
                },
            )
        });
    }
    Arguments::from_arg_matches(&command.get_matches()).unwrap_or_else(|fault| fault.exit())
}

fn main() -> ExitCode {
    flawforge::ops::runtime::keep_freed_memory();
    // SAFETY: there is no other thread yet.
    unsafe { flawforge::ops::runtime::one_thread_pool() };
    flawforge::file_limit::tell_of_the_file_limit();
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info"))
        .format(|out, record| {
            let (level, style) = (record.level(), out.default_level_style(record.level()));
            let said = flawforge::fault::printable_line(&record.args().to_string());
            writeln!(out, "[{style}{level:<5}{style:#}] {said}")
        })
        .init();
    let done = |()| ExitCode::SUCCESS;
    let outcome = match parsed().command {
        Command::Check(args) => command::check::run(&args),
        Command::Download(args) => command::download::run(&args).map(done),
        Command::Select(args) => command::select::run(&args).map(done),
        Command::Simulate(args) => command::simulate::run(&args).map(done),
        Command::Train(args) => command::train::run(&args),
        Command::Evaluate(args) => command::evaluate::run(&args).map(done),
        Command::Report(args) => command::report::run(&args).map(done),
        Command::Export(args) => command::export::run(&args).map(done),
        Command::ExportRun(args) => command::export_run::run(&args).map(done),
        Command::Import(args) => command::import::run(&args).map(done),
        Command::Predict(args) => command::predict::run(&args),
        Command::Serve(args) => command::serve::run(args).map(done),
    };
    match outcome {
        Ok(code) => code,
        Err(fault) => {
            // A closed standard error is no reason to panic.
            let said = flawforge::fault::printable(&flawforge::fault::in_one_line(fault.as_ref()));
            let _ = writeln!(std::io::stderr(), "error: {said}");
            ExitCode::FAILURE
        }
    }
}
