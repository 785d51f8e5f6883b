//! The `flawforge` command from outside. One program, since each takes seconds to link.

mod browser;
mod check;
mod command;
mod device;
mod files;
mod from;
mod import;
mod line;
mod odd_inputs;
mod own_folders;
mod regions;
mod report;
mod select;
mod support;
mod views;
#[cfg(unix)]
mod watch;
