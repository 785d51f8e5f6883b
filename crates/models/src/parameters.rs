//! Named parameters of a network.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use candle_core::{DType, Device, Tensor, Var};
use rand::Rng;

use crate::{ModelError, init};

/// What a tensor of a network is for, which decides how it begins and whether it is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Weight of a 3×3 convolution, (out, in, 3, 3).
    ConvWeight,
    /// Weight of a convolution in a residual network, (out, in, height, width).
    FanOutWeight,
    /// Weight of a convolution with a filter for each channel, (channels, 1, height, width).
    DepthwiseWeight,
    /// Weight of a transposed convolution, (in, out, height, width).
    TransposedWeight,
    /// Bias of a convolution, (out), and how many channels the convolution reads.
    ConvBias {
        /// Input channels.
        inputs: usize,
    },
    /// Scale of a batch normalisation, (channels).
    NormWeight,
    /// Scale of a batch normalisation in a residual network, (channels).
    UnitNormWeight,
    /// Shift of a batch normalisation, (channels).
    NormBias,
    /// Running mean of a batch normalisation, (channels).
    RunningMean,
    /// Running unbiased variance of a batch normalisation, (channels).
    RunningVar,
    /// PyTorch's count of training batches that a batch normalisation has seen: one 64-bit integer of shape ().
    BatchCount,
}

impl Role {
    /// Whether the optimiser changes it.
    pub fn is_trainable(self) -> bool {
        matches!(
            self,
            Self::ConvWeight
                | Self::FanOutWeight
                | Self::DepthwiseWeight
                | Self::TransposedWeight
                | Self::ConvBias { .. }
                | Self::NormWeight
                | Self::UnitNormWeight
                | Self::NormBias
        )
    }
}

/// Name, shape and role of one tensor of a network.
///
/// ```
/// use flawforge_models::{ParameterSpec, Reconstructive};
///
/// // Counted from the shapes: nothing is allocated.
/// let specification = Reconstructive::specification(128);
/// assert_eq!(ParameterSpec::count_trainable(&specification), 69_048_579);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterSpec {
    /// DRAEM's state-dict name, e.g. `encoder.block1.0.weight`.
    pub name: String,
    /// Shape; convolution weights are (out, in, 3, 3).
    pub shape: Vec<usize>,
    /// What it is for.
    pub role: Role,
}

impl ParameterSpec {
    /// Numbers that the optimiser changes in a network of these tensors.
    pub fn count_trainable(specification: &[Self]) -> usize {
        specification
            .iter()
            .filter(|spec| spec.role.is_trainable())
            .map(|spec| spec.shape.iter().product::<usize>())
            .sum()
    }
}

/// The tensors of a network by name, in the network's order.
///
/// A handle: clones share the numbers. The names are DRAEM's state-dict names, `num_batches_tracked` included,
/// so that its files can be read and written.
#[derive(Debug, Clone)]
pub struct Parameters {
    specification: Arc<[ParameterSpec]>,
    vars: HashMap<String, Var>,
    /// One count for all batch normalisations: each of them sees every batch.
    batches: Arc<AtomicU64>,
    dtype: DType,
    device: Device,
}

impl Parameters {
    /// Fresh f32 parameters, drawn in the order of the specification (see [`crate::init`]).
    ///
    /// # Errors
    /// A failed allocation on the device.
    pub fn initialize(
        specification: Vec<ParameterSpec>,
        rng: &mut impl Rng,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let mut vars = HashMap::with_capacity(specification.len());
        for spec in &specification {
            if spec.role == Role::BatchCount {
                continue;
            }
            let values = init::draw(spec, rng);
            let var = Var::from_vec(values, spec.shape.as_slice(), device)?;
            vars.insert(spec.name.clone(), var);
        }
        Ok(Self {
            specification: specification.into(),
            vars,
            batches: Arc::default(),
            dtype: DType::F32,
            device: device.clone(),
        })
    }

    /// f32 parameters with the given values; rules as in [`load`](Self::load).
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn from_tensors(
        specification: Vec<ParameterSpec>,
        tensors: &HashMap<String, Tensor>,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let (values, batches) = check(&specification, tensors, DType::F32, device)?;
        let mut vars = HashMap::with_capacity(values.len());
        for (name, value) in values {
            vars.insert(name.to_owned(), Var::from_tensor(&value)?);
        }
        Ok(Self {
            specification: specification.into(),
            vars,
            batches: Arc::new(AtomicU64::new(batches)),
            dtype: DType::F32,
            device: device.clone(),
        })
    }

    /// Replaces all values. Nothing changes when it fails.
    ///
    /// Every tensor of the network must be there with its shape and finite values, except the batch counts, which
    /// some exporters leave out (then they begin at 0); other names must not be there. Floating-point types are converted.
    ///
    /// # Errors
    /// An error that names the first tensor that breaks these rules.
    pub fn load(&self, tensors: &HashMap<String, Tensor>) -> Result<(), ModelError> {
        let (values, batches) = check(&self.specification, tensors, self.dtype, &self.device)?;
        for (name, value) in values {
            self.var(name)?.set(&value)?;
        }
        self.batches.store(batches, Ordering::Relaxed);
        Ok(())
    }

    /// A copy of all values with their names, in order, as PyTorch's `state_dict` would hold them.
    ///
    /// # Errors
    /// A failed allocation.
    pub fn tensors(&self) -> Result<Vec<(String, Tensor)>, ModelError> {
        let batches = self.batches_seen() as i64;
        self.specification
            .iter()
            .map(|spec| {
                let value = match spec.role {
                    Role::BatchCount => Tensor::new(batches, &self.device)?,
                    _ => self.var(&spec.name)?.as_detached_tensor().copy()?,
                };
                Ok((spec.name.clone(), value))
            })
            .collect()
    }

    /// An independent copy with another floating-point type; f64 runs through the reference operators.
    ///
    /// # Errors
    /// A type that is not floating-point, or a failed allocation.
    pub fn to_dtype(&self, dtype: DType) -> Result<Self, ModelError> {
        let mut vars = HashMap::with_capacity(self.vars.len());
        for (name, var) in &self.vars {
            let value = var.as_detached_tensor().to_dtype(dtype)?.copy()?;
            vars.insert(name.clone(), Var::from_tensor(&value)?);
        }
        Ok(Self {
            specification: self.specification.clone(),
            vars,
            batches: Arc::new(AtomicU64::new(self.batches_seen())),
            dtype,
            device: self.device.clone(),
        })
    }

    /// Moves every weight and every running statistic by a share of the way to those of `other`; with share 1 they become
    /// equal, bit for bit. The count of batches becomes that of `other`.
    ///
    /// # Errors
    /// [`ModelError::MissingTensor`] or candle's error if `other` is another network.
    pub fn approach(&self, other: &Self, share: f64) -> Result<(), ModelError> {
        for (name, var) in &self.vars {
            let target = other.var(name)?.as_detached_tensor();
            let own = var.as_detached_tensor();
            let moved = if share == 1.0 {
                target.copy()?
            } else {
                (&own + ((target - &own)? * share)?)?
            };
            var.set(&moved)?;
        }
        self.batches.store(other.batches_seen(), Ordering::Relaxed);
        Ok(())
    }

    /// Names, shapes and roles, in order.
    pub fn specification(&self) -> &[ParameterSpec] {
        &self.specification
    }

    /// The variables that the optimiser changes, in order.
    pub fn trainable(&self) -> Vec<(String, Var)> {
        self.specification
            .iter()
            .filter(|spec| spec.role.is_trainable())
            .filter_map(|spec| Some((spec.name.clone(), self.vars.get(&spec.name)?.clone())))
            .collect()
    }

    /// Numbers that the optimiser changes.
    pub fn count_trainable(&self) -> usize {
        ParameterSpec::count_trainable(&self.specification)
    }

    /// The variable of a weight or running statistic.
    ///
    /// # Errors
    /// [`ModelError::MissingTensor`] for a name that the network does not have, or a batch count.
    pub fn var(&self, name: &str) -> Result<&Var, ModelError> {
        self.vars
            .get(name)
            .ok_or_else(|| ModelError::MissingTensor { name: name.into() })
    }

    /// Training batches that the network has seen, PyTorch's `num_batches_tracked`.
    pub fn batches_seen(&self) -> u64 {
        self.batches.load(Ordering::Relaxed)
    }

    /// Type of the weights.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Where the weights lie.
    pub fn device(&self) -> &Device {
        &self.device
    }

    pub(crate) fn count_batch(&self) {
        self.batches.fetch_add(1, Ordering::Relaxed);
    }
}

/// The values of a specification's tensors, each checked and converted, and the largest batch count.
#[allow(clippy::type_complexity)]
fn check<'a>(
    specification: &'a [ParameterSpec],
    tensors: &HashMap<String, Tensor>,
    dtype: DType,
    device: &Device,
) -> Result<(Vec<(&'a str, Tensor)>, u64), ModelError> {
    let known: HashSet<&str> = specification.iter().map(|spec| &*spec.name).collect();
    let mut unexpected: Vec<&String> = tensors.keys().filter(|name| !known.contains(&***name)).collect();
    unexpected.sort();
    if let Some(&name) = unexpected.first() {
        return Err(ModelError::UnexpectedTensor { name: name.clone() });
    }
    let mut values = Vec::with_capacity(specification.len());
    let mut batches = 0u64;
    for spec in specification {
        let name = spec.name.clone();
        let Some(tensor) = tensors.get(&spec.name) else {
            if spec.role == Role::BatchCount {
                continue;
            }
            return Err(ModelError::MissingTensor { name });
        };
        if tensor.dims() != spec.shape {
            return Err(ModelError::WrongShape {
                name,
                expected: spec.shape.clone(),
                found: tensor.dims().to_vec(),
            });
        }
        if spec.role == Role::BatchCount {
            let count = tensor.to_dtype(DType::I64)?.to_scalar::<i64>()?;
            batches = batches.max(count.try_into().unwrap_or(0));
            continue;
        }
        if !tensor.dtype().is_float() {
            return Err(ModelError::WrongType {
                name,
                found: tensor.dtype(),
            });
        }
        let tensor = tensor.detach().to_device(device)?.to_dtype(dtype)?;
        // 0·x is 0 for finite x and not a number otherwise, so one sum tells.
        let zero = (&tensor * 0.0)?.sum_all()?.to_dtype(DType::F64)?;
        if zero.to_scalar::<f64>()? != 0.0 {
            return Err(ModelError::NotFinite { name });
        }
        values.push((&*spec.name, tensor.contiguous()?));
    }
    Ok((values, batches))
}
