//! A sweep through a real Slurm cluster of one node: the scenario is `tests/slurm/sweep.sh`, this only runs it.

use flawforge_testing::{Need, skip};
use std::path::Path;
use std::process::{Command, Stdio};

/// The script's exit code where there is no Slurm.
const SKIPPED: i32 = 77;

#[test]
fn a_job_array_with_faults_on_the_way_makes_the_tables_of_the_local_pool() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/slurm/sweep.sh");
    let outcome = Command::new("bash")
        .arg(script)
        .env("XTASK", env!("CARGO_BIN_EXE_xtask"))
        .stdin(Stdio::null())
        .output();
    let Ok(output) = outcome else {
        return skip(Need::Slurm, "there is no bash");
    };
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.code() == Some(SKIPPED) {
        return skip(Need::Slurm, said.trim());
    }
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{told}\n{said}");
    assert!(told.contains("are the same, byte for byte"), "{told}");
}
