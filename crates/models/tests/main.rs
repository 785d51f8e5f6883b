//! The library from outside: networks against PyTorch, and their files. One program, since each takes seconds to link.

mod efficientnet_lite;
mod five_steps;
mod flips_and_averages;
mod inspect;
mod networks;
mod residual_networks;
