//! The library from outside: how runs are trained, kept and judged. One program, since each takes seconds to link.

mod additions;
mod calibration;
mod details;
mod draem_options;
mod evaluate_streamed;
mod faults;
mod forge;
mod going_on;
mod held;
mod light;
mod patchcore;
mod position;
mod precision;
mod regions;
mod resume;
mod split;
mod support;
mod views;
mod warm_start;
