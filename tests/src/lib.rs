//! Tests of the whole repository: its rules (`tests/tidy.rs`) and the pipeline from image file to table.
