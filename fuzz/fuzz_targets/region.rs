//! The door `region`.
#![no_main]

flawforge_fuzz::target!(Region);
