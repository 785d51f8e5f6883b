//! The door `mask`.
#![no_main]

flawforge_fuzz::target!(Mask);
