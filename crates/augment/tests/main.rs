//! The library from outside: what is simulated. One program, since each takes seconds to link.

mod every_image;
mod other_kinds;
mod pictures;
mod poisson_pairs;
mod simulation;
