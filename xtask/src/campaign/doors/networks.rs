//! Doors for weights: checkpoints, and PyTorch's pickles.

use candle_core::Device;
use flawforge::models::pytorch;
use flawforge::training::Run;

use super::{Finding, Seen, refused, scratch};

pub(super) fn checkpoint(bytes: &[u8]) -> Result<Seen, Finding> {
    let path = scratch::file("given.safetensors", bytes)?;
    let run = match Run::open_on(&path, &Device::Cpu) {
        Ok(run) => run,
        Err(fault) => return refused(&fault.to_string(), ""),
    };
    // What opened either detects, or says in a line why it does not.
    if let Err(fault) = run.decision(&run.rule()) {
        refused(&fault.to_string(), "")?;
    }
    match run.detector() {
        Ok(_) => Ok(Seen::Taken),
        Err(fault) => refused(&fault.to_string(), ""),
    }
}

pub(super) fn pickle(bytes: &[u8]) -> Result<Seen, Finding> {
    let path = scratch::file("given.pth", bytes)?;
    match pytorch::read(&path) {
        Ok(tensors) if tensors.is_empty() => Err("no tensors came through".to_owned()),
        Ok(_) => Ok(Seen::Taken),
        Err(fault) => refused(&fault.to_string(), "given.pth"),
    }
}
