//! A CUDA toolkit from Python wheels, without root and without a GPU: enough to compile and link the feature `cuda`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::compare::venv::Venv;

/// The compiler and the libraries that candle and we link, one release of them: newer compilers emit PTX that older
/// drivers refuse.
const WHEELS: [&str; 2] = [
    "cuda-toolkit[nvcc,crt,nvvm,cccl,cudart,cublas,curand,nvrtc]==13.0.3",
    "nvidia-cudnn-cu13==9.20.0.48",
];

/// What the driver's stand-in answers to every call: `CUDA_ERROR_STUB_LIBRARY`.
const STUB_ANSWER: u32 = 34;

/// Options of `cuda-toolchain`.
#[derive(Args, Debug)]
pub struct CudaToolchainArgs {
    /// Folder for the toolkit (`cuda-home`) and `cuda-env.sh`
    #[arg(long, value_name = "DIR", default_value = "target")]
    out: PathBuf,
    /// Compute capability to compile candle's kernels for: 90 means 9.0
    #[arg(long, value_name = "NUMBER", default_value_t = 80, value_parser = clap::value_parser!(u32).range(53..=130))]
    capability: u32,
    /// Then build `flawforge` with the feature `cuda` in DIR/cuda-check
    #[arg(long)]
    check: bool,
}

/// A toolkit that was laid out.
pub(crate) struct Toolkit {
    /// The folder that holds `cuda-home`.
    pub(crate) out: PathBuf,
    pub(crate) home: PathBuf,
    /// What the build scripts of candle and cudarc look at.
    variables: Vec<(&'static str, String)>,
}

impl Toolkit {
    /// Installs the wheels and lays the toolkit out.
    ///
    /// # Errors
    /// A program that is missing or fails, or a file that cannot be written.
    pub(crate) fn install(out: &Path, capability: u32) -> Result<Self> {
        fs::create_dir_all(out).with_context(|| out.display().to_string())?;
        let out = fs::canonicalize(out).with_context(|| out.display().to_string())?;
        let wheels = install()?;
        let home = out.join("cuda-home");
        lay_out(&wheels, &home)?;
        let variables = environment(&home, capability);
        let script = out.join("cuda-env.sh");
        fs::write(&script, shell(&variables)).with_context(|| script.display().to_string())?;
        println!("toolkit: {}", home.display());
        Ok(Self { out, home, variables })
    }

    /// The toolkit that was laid out there before, or else a new one.
    ///
    /// # Errors
    /// As [`install`](Self::install).
    pub(crate) fn at(out: &Path, capability: u32) -> Result<Self> {
        // What is laid out last is the driver's stand-in.
        if !out.join("cuda-home/lib/stubs/libcuda.so.1").exists() {
            return Self::install(out, capability);
        }
        let out = fs::canonicalize(out).with_context(|| out.display().to_string())?;
        let home = out.join("cuda-home");
        let variables = environment(&home, capability);
        Ok(Self { out, home, variables })
    }

    /// Where programs for GPUs are built: in a folder of its own, because most of them start only where there is a driver.
    pub(crate) fn target(&self) -> PathBuf {
        self.out.join("cuda-check")
    }

    /// `cargo COMMAND` in the environment to build for GPUs, into [`target`](Self::target).
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo
            .args(arguments)
            .args(["--release", "--features", "cuda", "--target-dir"])
            .arg(self.target())
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .env("PATH", format!("{}:{path}", self.home.join("bin").display()));
        cargo
    }
}

/// Installs the toolkit and writes the environment to build with.
///
/// # Errors
/// As [`Toolkit::install`]; a build that fails.
pub fn run(args: &CudaToolchainArgs) -> Result<()> {
    let toolkit = Toolkit::install(&args.out, args.capability)?;
    println!(
        "to build: . {} && cargo build --release --features cuda",
        toolkit.out.join("cuda-env.sh").display()
    );
    if args.check {
        succeed(&mut toolkit.cargo(&["build", "-p", "flawforge"]))?;
        println!("the feature cuda compiles and links");
    }
    Ok(())
}

/// Installs the wheels and returns the folder that they share.
fn install() -> Result<PathBuf> {
    let venv = Venv::prepare("cuda", &WHEELS, &[])?;
    let found = venv
        .python()
        .args(["-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"])
        .output()
        .context("the environment's Python does not start")?;
    let folder = String::from_utf8(found.stdout)?;
    Ok(Path::new(folder.trim()).join("nvidia"))
}

/// Makes `home` look like an installed toolkit: links into the wheels, libraries also under their names without version,
/// and a stand-in for the driver's library, which only comes with a driver.
fn lay_out(wheels: &Path, home: &Path) -> Result<()> {
    let toolkit = wheels.join("cu13");
    let cudnn = wheels.join("cudnn");
    if home.exists() {
        fs::remove_dir_all(home).with_context(|| home.display().to_string())?;
    }
    for folder in ["bin", "include", "nvvm"] {
        link_tree(&toolkit.join(folder), &home.join(folder))?;
    }
    link_tree(&cudnn.join("include"), &home.join("include"))?;
    let libraries = home.join("lib");
    for from in [toolkit.join("lib"), cudnn.join("lib")] {
        link_tree(&from, &libraries)?;
    }
    for entry in fs::read_dir(&libraries)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if let Some(plain) = without_version(&name) {
            link(Path::new(&name), &libraries.join(plain))?;
        }
    }
    link(Path::new("lib"), &home.join("lib64"))?;
    stand_in(&home.join("include/cuda.h"), &libraries.join("stubs"))
}

fn link_tree(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| to.display().to_string())?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            link_tree(&entry.path(), &target)?;
        } else {
            link(&entry.path(), &target)?;
        }
    }
    Ok(())
}

/// A link, unless there is something already.
fn link(to: &Path, at: &Path) -> Result<()> {
    if fs::symlink_metadata(at).is_err() {
        symlink(to, at).with_context(|| at.display().to_string())?;
    }
    Ok(())
}

/// `libx.so.13` is `libx.so` to the linker; variants such as `libx.alt.so.13` are not.
fn without_version(name: &str) -> Option<String> {
    let (stem, _) = name.split_once(".so.")?;
    (!stem.contains('.')).then(|| format!("{stem}.so"))
}

/// Compiles a `libcuda.so` whose functions all answer that they are a stub, to link against where there is no driver. It
/// also lets programs start there, and fall back to the processor.
fn stand_in(header: &Path, folder: &Path) -> Result<()> {
    let text = fs::read_to_string(header).with_context(|| header.display().to_string())?;
    let functions: String = function_names(&text)
        .into_iter()
        .map(|name| format!("int {name}(void) {{ return {STUB_ANSWER}; }}\n"))
        .collect();
    fs::create_dir_all(folder)?;
    let source = folder.join("libcuda.c");
    fs::write(&source, functions).with_context(|| source.display().to_string())?;
    succeed(
        Command::new("cc")
            .args(["-shared", "-fPIC", "-w", "-Wl,-soname,libcuda.so.1", "-o"])
            .arg(folder.join("libcuda.so"))
            .arg(&source),
    )?;
    link(Path::new("libcuda.so"), &folder.join("libcuda.so.1"))
}

/// Names of the driver's functions in `cuda.h`, old versions included: words of `cu` and a capital.
fn function_names(header: &str) -> Vec<&str> {
    let of_a_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut names: Vec<&str> = header
        .split(|c| !of_a_name(c))
        .filter(|word| {
            let rest = word.strip_prefix("cu");
            rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// What the build scripts of candle and cudarc look at.
fn environment(home: &Path, capability: u32) -> Vec<(&'static str, String)> {
    let (home, lib) = (home.display(), home.join("lib"));
    let lib = lib.display();
    vec![
        ("CUDA_HOME", home.to_string()),
        ("CUDA_PATH", home.to_string()),
        ("CUDA_COMPUTE_CAP", capability.to_string()),
        ("LIBRARY_PATH", format!("{lib}:{lib}/stubs")),
    ]
}

fn shell(variables: &[(&str, String)]) -> String {
    let mut text = String::from("# The environment to build with the feature cuda.\n");
    for (name, value) in variables {
        text += &format!("export {name}='{value}'\n");
    }
    text + "export PATH=\"$CUDA_HOME/bin:$PATH\"\n"
        + "# To start what was built where there is no driver, append $CUDA_HOME/lib/stubs.\n"
        + "export LD_LIBRARY_PATH=\"$CUDA_HOME/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}\"\n"
}

/// Runs a command to its end.
///
/// # Errors
/// It cannot be started, or fails.
pub(crate) fn succeed(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command
        .status()
        .with_context(|| format!("cannot start {program}"))?;
    if !status.success() {
        bail!("{program} failed: {status}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_told_from_types_and_macros() {
        let header = "#define cuMemAlloc cuMemAlloc_v2\ntypedef cuuint64_t x; CUresult CUDAAPI cuInit(unsigned Flags);\n\
                      cudaError_t e; CUresult cuInit(unsigned);";
        assert_eq!(function_names(header), ["cuInit", "cuMemAlloc", "cuMemAlloc_v2"]);
    }

    #[test]
    fn the_linker_finds_libraries_without_their_version() {
        assert_eq!(without_version("libcudnn.so.9").as_deref(), Some("libcudnn.so"));
        assert_eq!(without_version("libnvrtc.alt.so.13"), None);
        assert_eq!(without_version("libcudart_static.a"), None);
    }

    #[test]
    fn trees_are_linked_file_by_file_so_that_two_can_be_merged() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b, merged) = (
            folder.path().join("a"),
            folder.path().join("b"),
            folder.path().join("m"),
        );
        for (root, file) in [(&a, "x/one.h"), (&b, "x/two.h")] {
            fs::create_dir_all(root.join("x")).unwrap();
            fs::write(root.join(file), file).unwrap();
        }
        link_tree(&a, &merged).unwrap();
        link_tree(&b, &merged).unwrap();
        assert_eq!(fs::read_to_string(merged.join("x/one.h")).unwrap(), "x/one.h");
        assert_eq!(fs::read_to_string(merged.join("x/two.h")).unwrap(), "x/two.h");
    }
}
