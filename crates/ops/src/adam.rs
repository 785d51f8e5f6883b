//! The optimiser Adam.

use std::collections::HashMap;

use candle_core::{CpuStorage, InplaceOp2, Layout, Result, Tensor, Var, bail};
use rayon::prelude::*;

use crate::cpu::Isa;
use crate::cpu::multiversion::multiversioned;
use crate::dispatch::{elements, on_cpu_f32, on_gpu};
use crate::tape::GradientSource;

/// Elements that one task updates.
const CHUNK: usize = 1 << 15;

/// Constants of Adam; the default is PyTorch's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamSettings {
    /// Learning rate that [`Adam::learning_rate`] reports; every step is told its own.
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

/// Adam without weight decay, number for number PyTorch's:
/// `p -= lr/(1-β1ᵗ) · m / (√v/√(1-β2ᵗ) + eps)`.
///
/// The moments of every variable have names, `NAME.m` and `NAME.v`, so that a checkpoint can hold them.
/// f32 variables in main memory are updated in place in one pass, those on a GPU all by a few launches of one kernel in
/// builds for it; others through candle's tensor operations.
#[derive(Debug)]
pub struct Adam {
    settings: AdamSettings,
    steps: u64,
    slots: Vec<Slot>,
}

#[derive(Debug)]
struct Slot {
    name: String,
    var: Var,
    moments: Moments,
}

#[derive(Debug)]
enum Moments {
    Memory { m: Vec<f32>, v: Vec<f32> },
    Tensors { m: Tensor, v: Tensor },
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

impl Adam {
    /// An optimiser of the named variables, with zero moments.
    ///
    /// # Errors
    /// A name that occurs twice, or a failed allocation.
    pub fn new(vars: Vec<(String, Var)>, settings: AdamSettings) -> Result<Self> {
        let mut slots: Vec<Slot> = Vec::with_capacity(vars.len());
        let mut seen = std::collections::HashSet::new();
        for (name, var) in vars {
            if !seen.insert(name.clone()) {
                bail!("Adam: two variables are named {name:?}");
            }
            let moments = if on_cpu_f32(&[&var]) {
                let zeros = vec![0f32; var.elem_count()];
                Moments::Memory {
                    m: zeros.clone(),
                    v: zeros,
                }
            } else {
                // Apart from each other in memory: a GPU moves them in place.
                let zeros = || var.as_detached_tensor().zeros_like();
                Moments::Tensors {
                    m: zeros()?,
                    v: zeros()?,
                }
            };
            slots.push(Slot { name, var, moments });
        }
        Ok(Self {
            settings,
            steps: 0,
            slots,
        })
    }

    /// Steps taken so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The learning rate of the settings.
    pub fn learning_rate(&self) -> f64 {
        self.settings.lr
    }

    /// Moves every variable that has a gradient by one step at learning rate `lr`; the others stay.
    ///
    /// # Errors
    /// A gradient whose shape, type or device is not its variable's.
    pub fn step(&mut self, gradients: &impl GradientSource, lr: f64) -> Result<()> {
        let steps = self.steps + 1;
        let settings = self.settings;
        let factors = Factors {
            beta1: settings.beta1,
            beta2: settings.beta2,
            eps: settings.eps,
            step_size: lr / (1.0 - settings.beta1.powf(steps as f64)),
            root_correction: (1.0 - settings.beta2.powf(steps as f64)).sqrt(),
        };
        for slot in &self.slots {
            if let Some(gradient) = gradients.gradient(&slot.var)
                && (gradient.dims() != slot.var.dims() || gradient.dtype() != slot.var.dtype())
            {
                bail!(
                    "Adam: {:?} is {:?} {:?}, its gradient {:?} {:?}",
                    slot.name,
                    slot.var.dtype(),
                    slot.var.dims(),
                    gradient.dtype(),
                    gradient.dims()
                );
            }
        }
        #[cfg(feature = "cuda")]
        self.step_on_gpu(gradients, factors)?;
        for slot in self.slots.iter_mut().filter(|slot| !on_gpu(&[&slot.var])) {
            if let Some(gradient) = gradients.gradient(&slot.var) {
                slot.step(&gradient.contiguous()?, factors)?;
            }
        }
        self.steps = steps;
        Ok(())
    }

    /// Moves the variables that lie on a GPU, all together.
    #[cfg(feature = "cuda")]
    fn step_on_gpu(&self, gradients: &impl GradientSource, factors: Factors) -> Result<()> {
        let mut tensors = Vec::new();
        for slot in self.slots.iter().filter(|slot| on_gpu(&[&slot.var])) {
            if let (Some(gradient), Moments::Tensors { m, v }) =
                (gradients.gradient(&slot.var), &slot.moments)
            {
                if !slot.var.is_contiguous() {
                    bail!("Adam: the variable {:?} is not contiguous", slot.name);
                }
                tensors.push([
                    slot.var.as_detached_tensor(),
                    m.clone(),
                    v.clone(),
                    gradient.contiguous()?,
                ]);
            }
        }
        crate::cuda::adam_step(&tensors, factors)
    }

    /// The moments by name, copied: `NAME.m` and `NAME.v` for every variable, in the variables' order.
    ///
    /// # Errors
    /// Those of candle.
    pub fn state(&self) -> Result<Vec<(String, Tensor)>> {
        let mut state = Vec::with_capacity(2 * self.slots.len());
        for slot in &self.slots {
            let (m, v) = match &slot.moments {
                Moments::Memory { m, v } => {
                    let device = slot.var.device();
                    (
                        Tensor::from_slice(m, slot.var.shape(), device)?,
                        Tensor::from_slice(v, slot.var.shape(), device)?,
                    )
                }
                Moments::Tensors { m, v } => (m.copy()?, v.copy()?),
            };
            state.push((format!("{}.m", slot.name), m));
            state.push((format!("{}.v", slot.name), v));
        }
        Ok(state)
    }

    /// Puts back what [`state`](Self::state) returned, and the step counter. Nothing changes when it fails.
    ///
    /// # Errors
    /// A moment that is absent or has another shape or type than its variable. Names that are not ours are ignored.
    pub fn restore(&mut self, state: &HashMap<String, Tensor>, steps: u64) -> Result<()> {
        let mut restored = Vec::with_capacity(self.slots.len());
        for slot in &self.slots {
            let fetch = |suffix: &str| -> Result<Tensor> {
                let name = format!("{}.{suffix}", slot.name);
                let Some(tensor) = state.get(&name) else {
                    bail!("Adam: the state lacks {name:?}");
                };
                if tensor.dims() != slot.var.dims() || tensor.dtype() != slot.var.dtype() {
                    bail!(
                        "Adam: {name:?} is {:?} {:?}, its variable {:?} {:?}",
                        tensor.dtype(),
                        tensor.dims(),
                        slot.var.dtype(),
                        slot.var.dims()
                    );
                }
                tensor.detach().to_device(slot.var.device())
            };
            let (m, v) = (fetch("m")?, fetch("v")?);
            restored.push(match slot.moments {
                Moments::Memory { .. } => Moments::Memory {
                    m: m.flatten_all()?.to_vec1()?,
                    v: v.flatten_all()?.to_vec1()?,
                },
                Moments::Tensors { .. } => Moments::Tensors {
                    m: m.copy()?,
                    v: v.copy()?,
                },
            });
        }
        for (slot, moments) in self.slots.iter_mut().zip(restored) {
            slot.moments = moments;
        }
        self.steps = steps;
        Ok(())
    }
}

impl Slot {
    fn step(&mut self, gradient: &Tensor, factors: Factors) -> Result<()> {
        match &mut self.moments {
            Moments::Memory { m, v } => {
                let update = Update {
                    moments: std::sync::Mutex::new((m, v)),
                    factors,
                };
                self.var.as_tensor().inplace_op2(gradient, &update)
            }
            Moments::Tensors { m, v } => {
                let difference = (gradient - &*m)?;
                *m = (&*m + (difference * (1.0 - factors.beta1))?)?;
                *v = ((&*v * factors.beta2)? + (gradient.sqr()? * (1.0 - factors.beta2))?)?;
                let denominator = ((v.sqrt()? / factors.root_correction)? + factors.eps)?;
                let change = ((&*m / denominator)? * factors.step_size)?;
                self.var.set(&(self.var.as_detached_tensor() - change)?)
            }
        }
    }
}

/// The in-place update of one variable. The lock only carries `&mut` through candle's `&self`.
struct Update<'a> {
    moments: std::sync::Mutex<(&'a mut Vec<f32>, &'a mut Vec<f32>)>,
    factors: Factors,
}

impl InplaceOp2 for Update<'_> {
    fn name(&self) -> &'static str {
        "adam"
    }

    fn cpu_fwd(
        &self,
        variable: &mut CpuStorage,
        layout: &Layout,
        gradient: &CpuStorage,
        gradient_layout: &Layout,
    ) -> Result<()> {
        let gradient = elements("adam", gradient, gradient_layout)?;
        let Some((start, end)) = layout.contiguous_offsets() else {
            bail!("Adam: the variable is not contiguous");
        };
        let CpuStorage::F32(variable) = variable else {
            bail!("Adam: the variable is not f32");
        };
        let Ok(mut moments) = self.moments.lock() else {
            bail!("Adam: a thread failed while it updated the moments");
        };
        let (m, v) = &mut *moments;
        let isa = Isa::detect();
        variable[start..end]
            .par_chunks_mut(CHUNK)
            .zip(m.par_chunks_mut(CHUNK))
            .zip(v.par_chunks_mut(CHUNK))
            .zip(gradient.par_chunks(CHUNK))
            .for_each(|(((p, m), v), g)| update(isa, p, m, v, g, self.factors));
        Ok(())
    }
}

multiversioned! {
    /// One Adam step of a slice, in the order of PyTorch's operations.
    fn update(p: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32], factors: Factors) {
        let weight1 = (1.0 - factors.beta1) as f32;
        let (beta2, weight2) = (factors.beta2 as f32, (1.0 - factors.beta2) as f32);
        let (eps, root) = (factors.eps as f32, factors.root_correction as f32);
        let change = -factors.step_size as f32;
        for (((p, m), v), &g) in p.iter_mut().zip(m).zip(v).zip(g) {
            *m += weight1 * (g - *m);
            *v = beta2 * *v + weight2 * g * g;
            *p += change * *m / (v.sqrt() / root + eps);
        }
    }
}
