//! The door `pickle`.
#![no_main]

flawforge_fuzz::target!(Pickle);
