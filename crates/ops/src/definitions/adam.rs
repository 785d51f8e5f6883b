//! Adam: its constants, and what a single step multiplies by.

/// Constants of Adam; the default is PyTorch's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamSettings {
    /// Learning rate that [`Adam::learning_rate`](crate::Adam::learning_rate) reports; every step is told its own.
    pub lr: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the corrected second moment.
    pub eps: f64,
}

impl Default for AdamSettings {
    fn default() -> Self {
        Self {
            lr: 1e-3,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
        }
    }
}

/// What a single step multiplies by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Factors {
    pub(crate) beta1: f64,
    pub(crate) beta2: f64,
    pub(crate) eps: f64,
    /// `lr/(1-β1ᵗ)`.
    pub(crate) step_size: f64,
    /// `√(1-β2ᵗ)`.
    pub(crate) root_correction: f64,
}

impl AdamSettings {
    /// The factors of step `step`, counted from 1, at learning rate `lr`.
    pub(crate) fn factors(&self, step: u64, lr: f64) -> Factors {
        Factors {
            beta1: self.beta1,
            beta2: self.beta2,
            eps: self.eps,
            step_size: lr / (1.0 - self.beta1.powf(step as f64)),
            root_correction: (1.0 - self.beta2.powf(step as f64)).sqrt(),
        }
    }
}
