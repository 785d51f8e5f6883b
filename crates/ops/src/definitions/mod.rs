//! What the operators are, before anything computes them: the shapes that fit, settings and constants.
//!
//! Below all rooms (the functions at the root, `reference`, `cpu`, `cuda`): each of them reads this, and it reads none
//! of them. A file per operator, named as everywhere.

pub(crate) mod adam;
pub(crate) mod add;
pub(crate) mod batch_norm;
pub(crate) mod concat;
pub(crate) mod conv2d;
pub(crate) mod conv3x3;
pub(crate) mod inverted_residual;
pub(crate) mod loss;
pub(crate) mod max_pool;
pub(crate) mod upsample;
