//! The door `image`.
#![no_main]

flawforge_fuzz::target!(Image);
