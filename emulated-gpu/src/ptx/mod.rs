//! Kernels in NVIDIA's assembly (PTX): taken apart, translated to C, compiled by the machine's C compiler, loaded.

mod arithmetic;
mod parse;
mod program;
mod translate;
mod words;

pub(crate) use parse::{Module, module};
pub(crate) use program::{Grid, Program, Thread};
pub(crate) use translate::{AT_BARRIER, ENDED, EXCHANGING, kernel};
