//! The door `result`.
#![no_main]

flawforge_fuzz::target!(Result);
