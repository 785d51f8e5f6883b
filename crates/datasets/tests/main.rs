//! The library from outside: layouts, folders and what they say. One program, since each takes seconds to link.

mod antialiased;
mod check;
mod decode_robust;
mod deep;
mod folders;
mod held;
mod layouts;
mod masks;
mod published;
mod resize_real;
mod support;
mod whole;
