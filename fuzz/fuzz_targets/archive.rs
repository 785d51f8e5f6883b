#![no_main]
flawforge_fuzz::target!(Archive);
