//! The downloader against a server on this machine that behaves, breaks off, lies and forgets; and against archives that mean
//! harm.

mod archives;
mod command;
mod fetching;
mod server;
mod unpacking;
mod weights;
