//! cuDNN's descriptors, destroyed when they are dropped.

use std::ffi::c_int;

use candle_core::Result;
use candle_core::cuda_backend::cudarc::cudnn::{result, sys};

use super::fault;

const NHWC: sys::cudnnTensorFormat_t = sys::cudnnTensorFormat_t::CUDNN_TENSOR_NHWC;

pub(super) struct Tensor(pub(super) sys::cudnnTensorDescriptor_t);

impl Tensor {
    /// `dims` in the order N, C, H, W, whatever the order in memory.
    pub(super) fn new(number: sys::cudnnDataType_t, dims: [c_int; 4]) -> Result<Self> {
        let tensor = Self(result::create_tensor_descriptor().map_err(fault("describes no tensor"))?);
        // SAFETY: the descriptor was just made.
        unsafe { result::set_tensor4d_descriptor(tensor.0, NHWC, number, dims) }
            .map_err(fault("refuses a tensor"))?;
        Ok(tensor)
    }
}

impl Drop for Tensor {
    fn drop(&mut self) {
        // SAFETY: made by `new`, destroyed once. Nothing can be done about a failure.
        let _ = unsafe { result::destroy_tensor_descriptor(self.0) };
    }
}

pub(super) struct Filters(pub(super) sys::cudnnFilterDescriptor_t);

impl Filters {
    /// `dims` in the order out, in, height, width.
    pub(super) fn new(number: sys::cudnnDataType_t, dims: [c_int; 4]) -> Result<Self> {
        let filters = Self(result::create_filter_descriptor().map_err(fault("describes no filters"))?);
        // SAFETY: the descriptor was just made.
        unsafe { result::set_filter4d_descriptor(filters.0, number, NHWC, dims) }
            .map_err(fault("refuses filters"))?;
        Ok(filters)
    }
}

impl Drop for Filters {
    fn drop(&mut self) {
        // SAFETY: as for `Tensor`.
        let _ = unsafe { result::destroy_filter_descriptor(self.0) };
    }
}

pub(super) struct Convolution(pub(super) sys::cudnnConvolutionDescriptor_t);

impl Convolution {
    pub(super) fn new(padding: c_int, stride: c_int) -> Result<Self> {
        let made = result::create_convolution_descriptor().map_err(fault("describes no convolution"))?;
        let convolution = Self(made);
        // SAFETY: the descriptor was just made.
        unsafe {
            result::set_convolution2d_descriptor(
                convolution.0,
                padding,
                padding,
                stride,
                stride,
                1,
                1,
                sys::cudnnConvolutionMode_t::CUDNN_CROSS_CORRELATION,
                sys::cudnnDataType_t::CUDNN_DATA_FLOAT,
            )
        }
        .map_err(fault("refuses a convolution"))?;
        Ok(convolution)
    }

    pub(super) fn set_math(&self, math: sys::cudnnMathType_t) -> Result<()> {
        // SAFETY: the descriptor is alive.
        unsafe { result::set_convolution_math_type(self.0, math) }.map_err(fault("refuses a precision"))
    }
}

impl Drop for Convolution {
    fn drop(&mut self) {
        // SAFETY: as for `Tensor`.
        let _ = unsafe { result::destroy_convolution_descriptor(self.0) };
    }
}

/// Lives as long as the library, which is never dropped.
pub(super) struct Activation(pub(super) sys::cudnnActivationDescriptor_t);

impl Activation {
    pub(super) fn identity() -> Result<Self> {
        let activation =
            Self(result::create_activation_descriptor().map_err(fault("describes no activation"))?);
        // SAFETY: the descriptor was just made.
        unsafe {
            result::set_activation_descriptor(
                activation.0,
                sys::cudnnActivationMode_t::CUDNN_ACTIVATION_IDENTITY,
                sys::cudnnNanPropagation_t::CUDNN_PROPAGATE_NAN,
                0.0,
            )
        }
        .map_err(fault("refuses an activation"))?;
        Ok(activation)
    }
}
