//! The door `request`.
#![no_main]

flawforge_fuzz::target!(Request);
