//! The door `selection`.
#![no_main]

flawforge_fuzz::target!(Selection);
