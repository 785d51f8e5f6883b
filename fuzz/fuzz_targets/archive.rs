//! The door `archive`.
#![no_main]

flawforge_fuzz::target!(Archive);
