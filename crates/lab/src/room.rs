//! How many cells have room on a GPU at the same time.
//!
//! What a cell takes is an [estimate](flawforge::training::estimate::gpu_memory) that nobody has measured on a GPU. So it decides
//! how many cells run beside each other, and never that a single one may not be tried.

use anyhow::{Result, bail};
use flawforge::ops::runtime::{DeviceMemory, in_words};
use flawforge::training::default_device;
use flawforge::training::estimate::{GpuMemory, gpu_memory};

use crate::sweep::Job;

/// What the program itself takes beside its cells: libraries and kernels that are loaded when they are first used (proposal).
const PROGRAM: u64 = 500_000_000;

/// A cell and what it would take.
type Need = (String, GpuMemory);

/// As many of the cells as run at a time, at most `wanted`; fewer where the GPU's memory has no room for so many. Says so in one
/// line.
///
/// # Errors
/// Several were wanted, and not one has room; the driver fails.
pub(crate) fn parallel(wanted: usize, jobs: &[Job<'_>]) -> Result<usize> {
    let device = default_device();
    let Some(memory) = DeviceMemory::of(&device)? else {
        return Ok(wanted);
    };
    // A cell whose settings fit no training fails by itself, and the others run.
    let needs: Vec<Need> = jobs
        .iter()
        .filter_map(|job| {
            let need = gpu_memory(&job.planned.experiment, job.category.train.len()).ok()?;
            Some((job.planned.key.name(), need))
        })
        .collect();
    let (parallel, said) = fitting(wanted, needs, memory)?;
    if let Some(said) = said {
        eprintln!("{said}");
    }
    Ok(parallel)
}

/// How many of these cells fit beside each other, whichever they are, and what is to be said of it.
fn fitting(wanted: usize, mut needs: Vec<Need>, memory: DeviceMemory) -> Result<(usize, Option<String>)> {
    needs.sort_by_key(|(_, need)| std::cmp::Reverse(need.bytes()));
    let Some((name, largest)) = needs.first() else {
        return Ok((wanted, None));
    };
    let room = memory.free.saturating_sub(PROGRAM);
    let mut taken = 0;
    let fitting = needs
        .iter()
        .take(wanted)
        .take_while(|(_, need)| {
            taken += need.bytes();
            taken <= room
        })
        .count();
    let numbers = format!(
        "{name} takes about {largest} of the GPU's memory, of which {} of {} are free",
        in_words(memory.free),
        in_words(memory.total)
    );
    let helps = "a smaller batch (`batch.size` of --config), --precision bf16, a smaller --profile or another --device helps";
    match (fitting, wanted) {
        (0, 1) => Ok((1, Some(format!("{numbers}; it is tried all the same: {helps}")))),
        (0, _) => {
            bail!("--jobs {wanted}: no cell has room: {numbers}; {helps}, --jobs 1 tries it all the same")
        }
        _ if fitting < wanted.min(needs.len()) => {
            let said = format!("--jobs {wanted}: only {fitting} at a time have room: {numbers}");
            Ok((fitting, Some(said)))
        }
        _ => Ok((wanted, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(name: &str, gigabytes: u64) -> Need {
        let need = GpuMemory {
            weights: 500_000_000,
            activations: gigabytes * 1_000_000_000 - 700_000_000,
            workspaces: 200_000_000,
        };
        (name.to_owned(), need)
    }

    fn card(free: u64) -> DeviceMemory {
        DeviceMemory {
            total: 24_000_000_000,
            free: free * 100_000_000,
            used: 0,
            peak: 0,
        }
    }

    fn needs() -> Vec<Need> {
        vec![
            need("nsa-a-s0", 2),
            need("draem-a-s0", 7),
            need("draem-b-s0", 7),
            need("nsa-b-s0", 2),
        ]
    }

    #[test]
    fn as_many_run_as_fit_whichever_come_together() {
        for (wanted, free, expected) in [
            (2, 240, 2),
            (4, 240, 4),
            (4, 184, 3),
            (4, 160, 2),
            (4, 146, 2),
            (4, 144, 1),
            (4, 75, 1),
        ] {
            let (parallel, said) = fitting(wanted, needs(), card(free)).unwrap();
            assert_eq!(parallel, expected, "{wanted} wanted, {free}");
            assert_eq!(said.is_some(), expected < wanted, "{said:?}");
        }
        let said = fitting(4, needs(), card(160)).unwrap().1.unwrap();
        assert_eq!(
            said,
            "--jobs 4: only 2 at a time have room: draem-a-s0 takes about 7.00 GB (weights 500 MB, activations 6.30 GB, \
             workspaces 200 MB) of the GPU's memory, of which 16.0 GB of 24.0 GB are free"
        );
        // More jobs than cells are no reason to speak.
        assert_eq!(fitting(8, needs(), card(240)).unwrap(), (8, None));
    }

    #[test]
    fn where_none_fits_several_are_refused_and_one_is_tried() {
        let said = fitting(3, needs(), card(70)).unwrap_err().to_string();
        assert!(
            said.starts_with("--jobs 3: no cell has room: draem-a-s0 takes about 7.00 GB"),
            "{said}"
        );
        assert!(
            said.contains("7.00 GB of 24.0 GB are free") && said.contains("--precision bf16"),
            "{said}"
        );
        assert!(
            said.ends_with("--jobs 1 tries it all the same") && !said.contains('\n'),
            "{said}"
        );
        let (parallel, said) = fitting(1, needs(), card(70)).unwrap();
        assert_eq!(parallel, 1);
        assert!(
            said.unwrap()
                .contains("; it is tried all the same: a smaller batch")
        );
        assert_eq!(fitting(3, Vec::new(), card(0)).unwrap(), (3, None));
    }
}
