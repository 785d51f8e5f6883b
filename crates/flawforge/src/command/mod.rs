//! The subcommands, one a file, and what they share.

pub(crate) mod check;
pub(crate) mod download;
pub(crate) mod evaluate;
pub(crate) mod export;
pub(crate) mod export_run;
pub(crate) mod facts;
pub(crate) mod html;
pub(crate) mod import;
pub(crate) mod inventory;
mod numbers;
pub(crate) mod output;
pub(crate) mod predict;
mod region;
pub(crate) mod report;
pub(crate) mod select;
pub(crate) mod serve;
pub(crate) mod signals;
pub(crate) mod simulate;
pub(crate) mod source;
pub(crate) mod train;
mod verdicts;
pub(crate) mod view;
