//! The library from outside: metrics against scikit-learn, and their accumulators. One program, since each takes seconds to link.

mod accumulators;
mod golden;
