//! Under construction.
pub mod sheet;
