//! The convolutions of one shape, as cuDNN is told of them.

use std::ffi::{c_int, c_void};
use std::ptr;

use candle_core::cuda_backend::cudarc::cudnn::{result, sys};
use candle_core::{Error, Result};

use super::descriptors::{Activation, Convolution, Filters, Tensor};
use super::size::ConvSize;
use crate::Precision;

/// The descriptors of a shape.
pub(super) struct Shape {
    pub(super) x: Tensor,
    pub(super) y: Tensor,
    pub(super) bias: Tensor,
    pub(super) filters: Filters,
    pub(super) convolution: Convolution,
}

/// Scale of the result, and of what lay in its place before.
const ONE: f32 = 1.0;
const ZERO: f32 = 0.0;

fn scale(value: &'static f32) -> *const c_void {
    ptr::from_ref(value).cast()
}

fn data(address: u64) -> *mut c_void {
    address as *mut c_void
}

type Enqueued = std::result::Result<(), result::CudnnError>;

impl Shape {
    pub(super) fn new(size: ConvSize, precision: Precision) -> Result<Self> {
        let number = match precision {
            Precision::F32 | Precision::Tf32 => sys::cudnnDataType_t::CUDNN_DATA_FLOAT,
            Precision::Bf16 => sys::cudnnDataType_t::CUDNN_DATA_BFLOAT16,
        };
        let math = match precision {
            Precision::F32 => sys::cudnnMathType_t::CUDNN_FMA_MATH,
            // cuDNN's default lets f32 go through tensor cores as TF32.
            Precision::Tf32 => sys::cudnnMathType_t::CUDNN_DEFAULT_MATH,
            Precision::Bf16 => sys::cudnnMathType_t::CUDNN_TENSOR_OP_MATH,
        };
        let int = |value: usize| c_int::try_from(value).map_err(Error::wrap);
        let (h, w) = size.output();
        let (n, ci, co, kernel) = (int(size.n)?, int(size.ci)?, int(size.co)?, int(size.kernel)?);
        let convolution = Convolution::new(int(size.padding)?, int(size.stride)?)?;
        convolution.set_math(math)?;
        Ok(Self {
            x: Tensor::new(number, [n, ci, int(size.h)?, int(size.w)?])?,
            y: Tensor::new(number, [n, co, int(h)?, int(w)?])?,
            bias: Tensor::new(sys::cudnnDataType_t::CUDNN_DATA_FLOAT, [1, co, 1, 1])?,
            filters: Filters::new(number, [co, ci, kernel, kernel])?,
            convolution,
        })
    }

    /// Takes the arithmetic of a proposal, except that nothing replaces plain f32.
    pub(super) fn adopt(&self, math: sys::cudnnMathType_t, precision: Precision) -> Result<()> {
        if precision == Precision::F32 {
            return Ok(());
        }
        self.convolution.set_math(math)
    }

    pub(super) fn forward(
        &self,
        handle: sys::cudnnHandle_t,
        algorithm: sys::cudnnConvolutionFwdAlgo_t,
        (x, filters, y): (u64, u64, u64),
        (space, bytes): (u64, usize),
    ) -> Enqueued {
        // SAFETY: the descriptors are alive and describe what lies at the addresses, by the caller's word.
        unsafe {
            result::convolution_forward(
                handle,
                scale(&ONE),
                self.x.0,
                data(x),
                self.filters.0,
                data(filters),
                self.convolution.0,
                algorithm,
                data(space),
                bytes,
                scale(&ZERO),
                self.y.0,
                data(y),
            )
        }
    }

    pub(super) fn forward_with_bias(
        &self,
        handle: sys::cudnnHandle_t,
        identity: &Activation,
        (x, filters, bias, y): (u64, u64, u64, u64),
        (space, bytes): (u64, usize),
    ) -> Enqueued {
        use sys::cudnnConvolutionFwdAlgo_t::CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM;
        // SAFETY: the descriptors are alive and describe what lies at the addresses, by the caller's word. The third
        // tensor, which the result could be added to, has scale 0 and is not read.
        unsafe {
            result::convolution_bias_activation_forward(
                handle,
                scale(&ONE),
                self.x.0,
                data(x),
                self.filters.0,
                data(filters),
                self.convolution.0,
                CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM,
                data(space),
                bytes,
                scale(&ZERO),
                self.y.0,
                data(y),
                self.bias.0,
                data(bias),
                identity.0,
                self.y.0,
                data(y),
            )
        }
    }

    pub(super) fn input(
        &self,
        handle: sys::cudnnHandle_t,
        algorithm: sys::cudnnConvolutionBwdDataAlgo_t,
        (dy, filters, dx): (u64, u64, u64),
        (space, bytes): (u64, usize),
    ) -> Enqueued {
        // SAFETY: the descriptors are alive and describe what lies at the addresses, by the caller's word.
        unsafe {
            result::convolution_backward_data(
                handle,
                scale(&ONE),
                self.filters.0,
                data(filters),
                self.y.0,
                data(dy),
                self.convolution.0,
                algorithm,
                data(space),
                bytes,
                scale(&ZERO),
                self.x.0,
                data(dx),
            )
        }
    }

    pub(super) fn filters(
        &self,
        handle: sys::cudnnHandle_t,
        algorithm: sys::cudnnConvolutionBwdFilterAlgo_t,
        (x, dy, d_filters): (u64, u64, u64),
        (space, bytes): (u64, usize),
    ) -> Enqueued {
        // SAFETY: the descriptors are alive and describe what lies at the addresses, by the caller's word.
        unsafe {
            result::convolution_backward_filter(
                handle,
                scale(&ONE),
                self.x.0,
                data(x),
                self.y.0,
                data(dy),
                self.convolution.0,
                algorithm,
                data(space),
                bytes,
                scale(&ZERO),
                self.filters.0,
                data(d_filters),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::size::tests::SIZE;
    use super::*;

    #[test]
    fn descriptors_are_made_without_a_gpu() {
        for precision in [Precision::F32, Precision::Tf32, Precision::Bf16] {
            Shape::new(SIZE, precision).unwrap();
        }
    }
}
