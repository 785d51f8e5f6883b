//! cuDNN's backend descriptors: made, given attributes, finalized, destroyed when they are dropped.

use std::ffi::c_void;
use std::ptr;

use candle_core::cuda_backend::cudarc::cudnn::sys::{
    self, cudnnBackendAttributeName_t as Attribute, cudnnBackendAttributeType_t as Type,
    cudnnBackendDescriptorType_t as Kind,
};
use candle_core::{Error, Result};

/// A descriptor of cuDNN's graph interface.
pub(super) struct Descriptor(sys::cudnnBackendDescriptor_t);

/// A number, or an array of them, that attributes are made of.
pub(super) trait Value: Copy {
    const TYPE: Type;
}

/// Implements [`Value`] for a type.
macro_rules! values {
    ($($rust:ty => $cudnn:ident),* $(,)?) => { $(impl Value for $rust { const TYPE: Type = Type::$cudnn; })* };
}

values! {
    i64 => CUDNN_TYPE_INT64,
    f32 => CUDNN_TYPE_FLOAT,
    bool => CUDNN_TYPE_BOOLEAN,
    sys::cudnnHandle_t => CUDNN_TYPE_HANDLE,
    sys::cudnnDataType_t => CUDNN_TYPE_DATA_TYPE,
    sys::cudnnConvolutionMode_t => CUDNN_TYPE_CONVOLUTION_MODE,
    sys::cudnnPointwiseMode_t => CUDNN_TYPE_POINTWISE_MODE,
    sys::cudnnBackendHeurMode_t => CUDNN_TYPE_HEUR_MODE,
    Address => CUDNN_TYPE_VOID_PTR,
    Knob => CUDNN_TYPE_KNOB_TYPE,
    NumericalNote => CUDNN_TYPE_NUMERICAL_NOTE,
    BehaviorNote => CUDNN_TYPE_BEHAVIOR_NOTE,
}

/// An address in the device's memory, as the attribute of a variant pack.
#[derive(Debug, Clone, Copy)]
#[repr(transparent)]
pub(super) struct Address(pub(super) u64);

// cuDNN may be newer than its binding and name what no Rust enumeration knows. So what it answers is read as numbers.

/// What can be turned in an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(super) struct Knob(pub(super) u32);

/// How an engine computes: a `cudnnBackendNumericalNote_t`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(super) struct NumericalNote(pub(super) u32);

/// What an engine needs: a `cudnnBackendBehaviorNote_t`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(super) struct BehaviorNote(pub(super) u32);

impl Descriptor {
    pub(super) fn new(kind: Kind) -> Result<Self> {
        let mut made = ptr::null_mut();
        // SAFETY: cuDNN writes a descriptor to the address.
        check("makes no descriptor", unsafe {
            sys::cudnnBackendCreateDescriptor(kind, &raw mut made)
        })?;
        Ok(Self(made))
    }

    /// Sets an attribute to one or several values.
    pub(super) fn set<T: Value>(&self, attribute: Attribute, values: &[T]) -> Result<()> {
        self.set_raw(attribute, T::TYPE, values.len(), values.as_ptr().cast())
    }

    /// The same for an attribute that names other descriptors.
    pub(super) fn refer(&self, attribute: Attribute, others: &[&Self]) -> Result<()> {
        let others: Vec<_> = others.iter().map(|other| other.0).collect();
        let kind = Type::CUDNN_TYPE_BACKEND_DESCRIPTOR;
        self.set_raw(attribute, kind, others.len(), others.as_ptr().cast())
    }

    fn set_raw(&self, attribute: Attribute, kind: Type, count: usize, values: *const c_void) -> Result<()> {
        let count = i64::try_from(count).map_err(Error::wrap)?;
        // SAFETY: the descriptor is alive, and `values` are as many of this type.
        check("refuses an attribute", unsafe {
            sys::cudnnBackendSetAttribute(self.0, attribute, kind, count, values)
        })
    }

    /// No attribute can be set after this.
    pub(super) fn finalize(self) -> Result<Self> {
        // SAFETY: the descriptor is alive.
        check("refuses a descriptor", unsafe {
            sys::cudnnBackendFinalize(self.0)
        })?;
        Ok(self)
    }

    /// Up to `most` values of an attribute.
    pub(super) fn get<T: Value>(&self, attribute: Attribute, most: usize, blank: T) -> Result<Vec<T>> {
        let mut values = vec![blank; most];
        let found = self.get_raw(attribute, T::TYPE, most, values.as_mut_ptr().cast())?;
        values.truncate(found);
        Ok(values)
    }

    /// Up to `most` descriptors of an attribute, which are copied into fresh ones.
    pub(super) fn get_descriptors(&self, attribute: Attribute, kind: Kind, most: usize) -> Result<Vec<Self>> {
        let mut copies = (0..most).map(|_| Self::new(kind)).collect::<Result<Vec<_>>>()?;
        let mut addresses: Vec<_> = copies.iter().map(|copy| copy.0).collect();
        let kind = Type::CUDNN_TYPE_BACKEND_DESCRIPTOR;
        let found = self.get_raw(attribute, kind, most, addresses.as_mut_ptr().cast())?;
        copies.truncate(found);
        Ok(copies)
    }

    /// How many values an attribute has.
    pub(super) fn count(&self, attribute: Attribute, kind: Type) -> Result<usize> {
        self.get_raw(attribute, kind, 0, ptr::null_mut())
    }

    fn get_raw(&self, attribute: Attribute, kind: Type, most: usize, values: *mut c_void) -> Result<usize> {
        let room = i64::try_from(most).map_err(Error::wrap)?;
        let mut found = 0;
        // SAFETY: the descriptor is alive, and there is room for as many values as are asked for.
        check("hides an attribute", unsafe {
            sys::cudnnBackendGetAttribute(self.0, attribute, kind, room, &raw mut found, values)
        })?;
        let found = usize::try_from(found).unwrap_or(0);
        Ok(if most == 0 { found } else { found.min(most) })
    }

    /// Enqueues a plan with its addresses.
    pub(super) fn execute(&self, handle: sys::cudnnHandle_t, addresses: &Self) -> Result<()> {
        // SAFETY: handle and descriptors are alive; the addresses lie in memory that outlives the enqueued work, by the
        // caller's word.
        check("fails in a convolution", unsafe {
            sys::cudnnBackendExecute(handle, self.0, addresses.0)
        })
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        // SAFETY: made by `new`, destroyed once. Nothing can be done about a failure.
        let _ = unsafe { sys::cudnnBackendDestroyDescriptor(self.0) };
    }
}

fn check(what: &'static str, status: sys::cudnnStatus_t) -> Result<()> {
    status.result().map_err(super::fault(what))
}
