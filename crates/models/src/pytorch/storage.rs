//! Numbers of a storage, and the tensor that is a view of them.

use candle_core::{Device, Tensor};

use super::Fault;
use super::pickle::{Number, StorageSpec, TensorSpec};

/// Most dimensions of a tensor; PyTorch's own bound.
const MOST_DIMENSIONS: usize = 64;

/// Where storages are kept.
pub(super) trait Storages {
    /// The bytes of a storage, exactly as many as its numbers need.
    fn bytes(&mut self, storage: &StorageSpec) -> Result<Vec<u8>, Fault>;
}

impl StorageSpec {
    /// Bytes that its numbers need.
    pub(super) fn length(&self) -> Result<usize, Fault> {
        let length = self.count.checked_mul(self.number.width() as u64);
        let length = length.and_then(|length| usize::try_from(length).ok());
        length.ok_or_else(|| format!("storage {:?} is larger than any memory", self.key))
    }
}

impl TensorSpec {
    /// Numbers in the tensor, after checking that all of them lie in the storage.
    pub(super) fn count(&self) -> Result<usize, Fault> {
        if self.shape.len() != self.strides.len() || self.shape.len() > MOST_DIMENSIONS {
            return Err(format!(
                "{} dimensions, {} strides",
                self.shape.len(),
                self.strides.len()
            ));
        }
        let count = self
            .shape
            .iter()
            .try_fold(1u64, |count, &side| count.checked_mul(side));
        // A view that repeats its numbers could be larger than all memory; weights are none.
        let count = count.filter(|&count| count <= self.storage.count);
        let count = count.ok_or_else(|| format!("shape {:?} is larger than its storage", self.shape))?;
        let last = self
            .shape
            .iter()
            .zip(&self.strides)
            .try_fold(self.offset, |last, (&side, &stride)| {
                last.checked_add(side.saturating_sub(1).checked_mul(stride)?)
            });
        if count > 0 && last.is_none_or(|last| last >= self.storage.count) {
            return Err("reaches beyond its storage".into());
        }
        usize::try_from(count).map_err(|_| "is larger than any memory".into())
    }
}

/// The tensor with its numbers taken from the bytes of its storage.
pub(super) fn tensor(spec: &TensorSpec, bytes: &[u8]) -> Result<Tensor, Fault> {
    let count = spec.count()?;
    if bytes.len() != spec.storage.length()? {
        return Err("its storage has another length than was said".into());
    }
    let shape: Vec<usize> = spec.shape.iter().map(|&side| side as usize).collect();
    let number = spec.storage.number;
    let places = Places::new(spec, count).map(|place| &bytes[place * number.width()..][..number.width()]);
    let tensor = match number {
        Number::F64 | Number::F32 | Number::F16 | Number::BF16 => {
            let values: Vec<f32> = places.map(|bytes| float(number, bytes)).collect();
            Tensor::from_vec(values, shape, &Device::Cpu)
        }
        Number::I64 | Number::I32 | Number::I16 | Number::I8 | Number::U8 => {
            let values: Vec<i64> = places.map(|bytes| whole(number, bytes)).collect();
            Tensor::from_vec(values, shape, &Device::Cpu)
        }
    };
    tensor.map_err(|fault| fault.to_string())
}

/// The bytes of a number, in an array; zeros where there are fewer.
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    let count = N.min(bytes.len());
    array[..count].copy_from_slice(&bytes[..count]);
    array
}

fn float(number: Number, bytes: &[u8]) -> f32 {
    match number {
        Number::F64 => f64::from_le_bytes(array(bytes)) as f32,
        Number::F16 => half::f16::from_le_bytes(array(bytes)).to_f32(),
        Number::BF16 => half::bf16::from_le_bytes(array(bytes)).to_f32(),
        _ => f32::from_le_bytes(array(bytes)),
    }
}

fn whole(number: Number, bytes: &[u8]) -> i64 {
    match number {
        Number::I32 => i32::from_le_bytes(array(bytes)).into(),
        Number::I16 => i16::from_le_bytes(array(bytes)).into(),
        Number::I8 => i8::from_le_bytes(array(bytes)).into(),
        Number::U8 => array::<1>(bytes)[0].into(),
        _ => i64::from_le_bytes(array(bytes)),
    }
}

/// Places of a tensor's numbers in its storage, the last dimension fastest.
struct Places<'a> {
    spec: &'a TensorSpec,
    index: Vec<u64>,
    place: u64,
    left: usize,
}

impl<'a> Places<'a> {
    fn new(spec: &'a TensorSpec, count: usize) -> Self {
        Self {
            spec,
            index: vec![0; spec.shape.len()],
            place: spec.offset,
            left: count,
        }
    }
}

impl Iterator for Places<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let place = self.place as usize;
        for dimension in (0..self.index.len()).rev() {
            let (side, stride) = (self.spec.shape[dimension], self.spec.strides[dimension]);
            self.index[dimension] += 1;
            if self.index[dimension] < side {
                self.place += stride;
                break;
            }
            self.place -= (side - 1) * stride;
            self.index[dimension] = 0;
        }
        Some(place)
    }
}
