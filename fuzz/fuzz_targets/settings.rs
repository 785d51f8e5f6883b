//! The door `settings`.
#![no_main]

flawforge_fuzz::target!(Settings);
