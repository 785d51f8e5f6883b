//! Checkpoints are written by another thread, so that neither a GPU nor the next step waits for a disk.

use std::path::PathBuf;
use std::thread::{self, JoinHandle};

use candle_core::Tensor;

use super::checkpoint::{self, Header};
use crate::error::{Result, TrainingError};

/// Writes snapshots, at most one at a time.
///
/// A file appears whole, as [`checkpoint::write`] promises; until then the earlier one stays. What fails is said by the
/// next call.
#[derive(Debug, Default)]
pub(super) struct Saver(Option<JoinHandle<Result<()>>>);

impl Saver {
    /// Begins to write a snapshot, whose tensors nothing else changes, once the one before is written.
    pub(super) fn save(&mut self, path: PathBuf, header: Header, state: Vec<(String, Tensor)>) -> Result<()> {
        self.wait()?;
        let write = move || checkpoint::write(&path, &header, &state);
        let thread = thread::Builder::new().name("checkpoint".to_owned()).spawn(write);
        self.0 = Some(thread.map_err(|fault| TrainingError::Thread(fault.to_string()))?);
        Ok(())
    }

    /// Waits for the last snapshot.
    pub(super) fn wait(&mut self) -> Result<()> {
        match self.0.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(written)) => written,
            Some(Err(_)) => Err(TrainingError::Thread(
                "it failed while it wrote a checkpoint".to_owned(),
            )),
        }
    }
}

impl Drop for Saver {
    /// A checkpoint that is being written is finished, also when the training fails.
    fn drop(&mut self) {
        if let Err(fault) = self.wait() {
            log::warn!("the last checkpoint was not written: {fault}");
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::fit::{DataDigests, RunPlan};
    use crate::settings::Intervals;

    fn header(step: u64) -> Header {
        let plan = RunPlan {
            label: "own parts".to_owned(),
            settings: serde_json::Value::Null,
            data: DataDigests::default(),
            steps: 9,
            schedule: None,
            every: Intervals {
                log: 1,
                checkpoint: 1,
                panel: 0,
            },
        };
        let mut header = Header::new(&plan, None);
        header.step = step;
        header
    }

    #[test]
    fn snapshots_follow_each_other_and_a_fault_is_said_by_the_next_call() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint.safetensors");
        let state = |value: f32| {
            let tensor = Tensor::full(value, 10_000, &Device::Cpu).unwrap();
            vec![("weight".to_owned(), tensor)]
        };
        let mut saver = Saver::default();
        for step in 1..5 {
            saver
                .save(path.clone(), header(step), state(step as f32))
                .unwrap();
        }
        saver.wait().unwrap();
        let (saved, tensors) = checkpoint::read(&path, &Device::Cpu).unwrap();
        assert_eq!(saved.step, 4);
        assert_eq!(tensors["weight"].to_vec1::<f32>().unwrap()[9_999], 4.0);

        let nowhere = folder.path().join("absent").join("checkpoint.safetensors");
        saver.save(nowhere, header(5), state(5.0)).unwrap();
        assert!(saver.save(path.clone(), header(6), state(6.0)).is_err());
        saver.save(path.clone(), header(7), state(7.0)).unwrap();
        drop(saver);
        assert_eq!(checkpoint::read(&path, &Device::Cpu).unwrap().0.step, 7);
    }
}
