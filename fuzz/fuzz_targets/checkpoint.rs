//! The door `checkpoint`.
#![no_main]

flawforge_fuzz::target!(Checkpoint);
