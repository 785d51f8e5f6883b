//! The `flawforge` command: select, simulate, train, evaluate, predict.
//!
//! Faults of usage end with exit code 2, all others with 1 and one line on standard error.

mod command;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Surface anomaly detection trained on simulated anomalies.
#[derive(Parser)]
#[command(name = "flawforge", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Look at normal images and propose which anomalies suit them
    Select(command::select::SelectArgs),
    /// Draw a sheet of simulated anomalies, to judge a selection by eye
    Simulate(command::simulate::SimulateArgs),
    /// Train a detector on normal images
    Train(command::train::TrainArgs),
    /// Score a trained detector on test images
    Evaluate(command::evaluate::EvaluateArgs),
    /// Write anomaly maps and scores of images
    Predict(command::predict::PredictArgs),
}

fn main() -> ExitCode {
    flawforge::ops::runtime::keep_freed_memory();
    // SAFETY: there is no other thread yet.
    unsafe { flawforge::ops::runtime::one_thread_pool() };
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info"))
        .format_timestamp(None)
        .format_target(false)
        .init();
    let outcome = match Arguments::parse().command {
        Command::Select(args) => command::select::run(&args),
        Command::Simulate(args) => command::simulate::run(&args),
        Command::Train(args) => command::train::run(&args),
        Command::Evaluate(args) => command::evaluate::run(&args),
        Command::Predict(args) => command::predict::run(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("error: {}", flawforge::fault::in_one_line(fault.as_ref()));
            ExitCode::FAILURE
        }
    }
}
