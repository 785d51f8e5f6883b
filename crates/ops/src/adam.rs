//! The optimiser Adam.

use std::collections::HashMap;

use candle_core::{CpuStorage, InplaceOp2, Layout, Result, Tensor, Var, bail};

use crate::cpu;
pub use crate::definitions::adam::AdamSettings;
use crate::definitions::adam::Factors;
use crate::dispatch::on_gpu;
use crate::elements::{elements, on_cpu_f32};
use crate::tape::GradientSource;

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
        let factors = self.settings.factors(steps, lr);
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
        cpu::adam::step(&mut variable[start..end], m, v, gradient, self.factors);
        Ok(())
    }
}
