//! Under construction.
pub use flawforge_augment as augment;
pub use flawforge_datasets as datasets;
pub use flawforge_masks as masks;
pub use flawforge_metrics as metrics;
pub use flawforge_models as models;
pub use flawforge_ops as ops;
pub use flawforge_training as training;
