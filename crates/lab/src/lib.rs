//! The laboratory: sweeps of many cells, and the tables of the paper made of them.
//!
//! ```text
//! SweepArgs ──plan──> cells (method, category, seed): an Experiment each ──sweep──> result.json a cell
//!                                                                                        │
//!                      published.toml: what the paper prints ──────────────> tables, figure 4
//! ```
//!
//! * [`plan`] says which cells there are and where everything comes from; [`sweep`] trains and scores what is missing.
//! * [`tables`] makes the paper's tables of finished cells, ours beside the published numbers ([`published`]).
//! * [`simulated`] is the data set of table 3, [`figure4`] the figure, [`export_maps`] hands maps to MVTec's own script.
//! * [`array`](mod@array) hands the cells to a scheduler, one an index: `cargo xtask sweep` plans, runs one, tells how far they are, gathers.
//! * [`reproduce`] does all of it, as `cargo xtask reproduce-table2` and its neighbours do.
//!
//! A method of another program gets a column of its own: [`cell::CellResult`] takes any [`Method`](flawforge::training::Method),
//! [`tables::build`] any list of them. The example `own_method` trains one and tabulates it beside the house's.

#![forbid(unsafe_code)]

pub mod array;
pub mod backbone;
pub mod cell;
mod columns;
mod differences;
mod earlier;
pub mod estimate;
pub mod export_maps;
pub mod figure4;
mod gather;
pub mod plan;
pub mod published;
pub mod reproduce;
mod room;
pub mod simulated;
pub mod stopping;
pub mod sweep;
pub mod tables;

/// The folder that `cargo xtask download` fills, unless another is named.
pub const DOWNLOADS: &str = "data/downloads";
