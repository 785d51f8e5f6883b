//! The flawforge command.
fn main() {}
