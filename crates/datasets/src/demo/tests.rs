//! Tests of the generated data set as a whole.

use super::*;
