//! A generated data set that needs no files.
