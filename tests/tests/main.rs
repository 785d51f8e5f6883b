//! The rules of the repository and its documents: one program, which reads files and runs nothing.

mod documents;
mod features;
mod layers;
mod licences;
mod packages;
mod repository;
mod tidy;
