//! What surrounds the operators while a program runs: memory and threads of its process, and how busy its device is.

mod busy;
mod process;

pub use busy::BusyClock;
pub use process::{keep_freed_memory, one_thread_pool};
