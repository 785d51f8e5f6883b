//! Programs that were built for a GPU, run where there is none: the emulated one (`emulated-gpu`) is loaded in front of NVIDIA's
//! libraries.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::cuda_toolchain::{Toolkit, succeed};

/// Options of `emulated-gpu`.
#[derive(Args, Debug)]
pub struct EmulatedGpuArgs {
    /// Folder of the toolkit, as of `cuda-toolchain`
    #[arg(long, value_name = "DIR", default_value = "target")]
    out: PathBuf,
    /// A program that was built with the feature `cuda`, and its arguments [default: builds and runs the tests for GPUs]
    #[arg(last = true, value_name = "PROGRAM")]
    program: Vec<OsString>,
}

/// Runs the tests for GPUs, or a program.
///
/// # Errors
/// The toolkit cannot be had, something does not build, or what was run fails.
pub fn run(args: &EmulatedGpuArgs) -> Result<()> {
    ensure!(
        cfg!(all(target_os = "linux", target_arch = "x86_64")),
        "the toolkit is there for Linux on x86-64 alone"
    );
    let toolkit = Toolkit::at(&args.out, 90)?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    succeed(Command::new(cargo).args(["build", "--release", "-p", "flawforge-emulated-gpu"]))?;
    // Cargo has put it beside this program.
    let this = std::env::current_exe().context("this program has no path")?;
    let library = this.with_file_name("libflawforge_emulated_gpu.so");
    ensure!(library.exists(), "{}: is not there", library.display());
    let runner = toolkit.out.join("with-emulated-gpu");
    write_runner(&runner, &toolkit.home, &library)?;
    if let Some((program, arguments)) = args.program.split_first() {
        return succeed(Command::new(&runner).arg(program).args(arguments));
    }
    // In one command: for each package alone cargo would build candle's kernels again.
    let packages = ["-p", "flawforge-ops", "-p", "flawforge-models"];
    let mut tests = toolkit.cargo(&["test", "--test", "cuda", "--test", "gpu"]);
    // Only the tests are started by the runner, not the compilers.
    succeed(
        tests
            .args(packages)
            .env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER", &runner)
            .env("FLAWFORGE_REQUIRE", "gpu"),
    )
}

/// Writes a script that starts its arguments with the emulated GPU.
fn write_runner(runner: &Path, home: &Path, library: &Path) -> Result<()> {
    let (home, library) = (home.display(), library.display());
    // Choices of engines are not for a real GPU to read.
    let script = format!(
        "#!/bin/sh\nexport LD_LIBRARY_PATH='{home}/lib:{home}/lib/stubs' FLAWFORGE_CONVOLUTIONS=off\n\
         LD_PRELOAD='{library}' exec \"$@\"\n"
    );
    fs::write(runner, script).with_context(|| runner.display().to_string())?;
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(runner, mode).with_context(|| runner.display().to_string())
}
