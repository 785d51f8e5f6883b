//! Convolutions as graphs of cuDNN's operations.

use candle_core::cuda_backend::cudarc::cudnn::sys::{
    self, cudnnBackendAttributeName_t as Attribute, cudnnBackendDescriptorType_t as Kind,
    cudnnDataType_t as DataType,
};
use candle_core::{Error, Result};

use super::descriptor::{Address, Descriptor};
use super::size::ConvSize;
use crate::Precision;

/// What is computed, with the addresses of contiguous numbers of the [`Precision`]'s storage: activations NHWC,
/// filters (out, taps, in).
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pass {
    /// `y` from `x` and `filters`.
    Forward { x: u64, filters: u64, y: u64 },
    /// The same by an engine that is chosen for any number of images.
    Inference { x: u64, filters: u64, y: u64 },
    /// The same with a bias (f32) and, if asked for, a ReLU.
    Fused {
        x: u64,
        filters: u64,
        bias: u64,
        y: u64,
        relu: bool,
    },
    /// `dx` from `dy` and `filters`.
    Input { dy: u64, filters: u64, dx: u64 },
    /// `d_filters` from `x` and `dy`.
    Filters { x: u64, dy: u64, d_filters: u64 },
}

/// A [`Pass`] without its addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum PassKind {
    Forward,
    Inference,
    Fused { relu: bool },
    Input,
    Filters,
}

impl PassKind {
    /// Whether one engine serves any number of images.
    pub(super) fn is_inference(self) -> bool {
        matches!(self, Self::Inference | Self::Fused { .. })
    }
}

/// Names of the tensors in every graph.
const X: i64 = 1;
const FILTERS: i64 = 2;
const Y: i64 = 3;
const BIAS: i64 = 4;
/// What stays within a graph.
const SUMS: i64 = 5;
const SHIFTED: i64 = 6;

impl Pass {
    pub(super) fn kind(self) -> PassKind {
        match self {
            Self::Forward { .. } => PassKind::Forward,
            Self::Inference { .. } => PassKind::Inference,
            Self::Fused { relu, .. } => PassKind::Fused { relu },
            Self::Input { .. } => PassKind::Input,
            Self::Filters { .. } => PassKind::Filters,
        }
    }

    /// The addresses under the names of the graph.
    pub(super) fn addresses(self, workspace: u64) -> Result<Descriptor> {
        let (x, filters, y, bias) = match self {
            Self::Forward { x, filters, y } | Self::Inference { x, filters, y } => (x, filters, y, None),
            Self::Fused {
                x, filters, bias, y, ..
            } => (x, filters, y, Some(bias)),
            Self::Input { dy, filters, dx } => (dx, filters, dy, None),
            Self::Filters { x, dy, d_filters } => (x, d_filters, dy, None),
        };
        let (mut names, mut addresses) = (vec![X, FILTERS, Y], vec![x, filters, y]);
        if let Some(bias) = bias {
            names.push(BIAS);
            addresses.push(bias);
        }
        let addresses: Vec<Address> = addresses.into_iter().map(Address).collect();
        let pack = Descriptor::new(Kind::CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR)?;
        pack.set(Attribute::CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, &names)?;
        pack.set(Attribute::CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, &addresses)?;
        pack.set(
            Attribute::CUDNN_ATTR_VARIANT_PACK_WORKSPACE,
            &[Address(workspace)],
        )?;
        pack.finalize()
    }
}

/// A graph with the descriptors that it refers to.
pub(super) struct OperationGraph {
    pub(super) graph: Descriptor,
    _operations: Vec<Descriptor>,
    _tensors: Vec<Descriptor>,
    _convolution: Descriptor,
    _pointwise: Vec<Descriptor>,
}

impl OperationGraph {
    pub(super) fn new(
        handle: sys::cudnnHandle_t,
        size: ConvSize,
        precision: Precision,
        pass: PassKind,
    ) -> Result<Self> {
        let Parts {
            operations,
            tensors,
            convolution,
            pointwise,
        } = Parts::new(size, precision, pass)?;
        let graph = Descriptor::new(Kind::CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR)?;
        graph.set(Attribute::CUDNN_ATTR_OPERATIONGRAPH_HANDLE, &[handle])?;
        let all: Vec<&Descriptor> = operations.iter().collect();
        graph.refer(Attribute::CUDNN_ATTR_OPERATIONGRAPH_OPS, &all)?;
        Ok(Self {
            graph: graph.finalize()?,
            _operations: operations,
            _tensors: tensors,
            _convolution: convolution,
            _pointwise: pointwise,
        })
    }
}

/// The descriptors of a graph, which can be made without a GPU.
struct Parts {
    operations: Vec<Descriptor>,
    tensors: Vec<Descriptor>,
    convolution: Descriptor,
    pointwise: Vec<Descriptor>,
}

impl Parts {
    fn new(size: ConvSize, precision: Precision, pass: PassKind) -> Result<Self> {
        let number = match precision {
            Precision::F32 | Precision::Tf32 => DataType::CUDNN_DATA_FLOAT,
            Precision::Bf16 => DataType::CUDNN_DATA_BFLOAT16,
        };
        let int = |value: usize| i64::try_from(value).map_err(Error::wrap);
        let (h, w) = size.output();
        let [n, ci, co, kernel] = [int(size.n)?, int(size.ci)?, int(size.co)?, int(size.kernel)?];
        let of_y = [n, co, int(h)?, int(w)?];
        let x = Tensor::new(X, number, [n, ci, int(size.h)?, int(size.w)?]).describe()?;
        let filters = Tensor::new(FILTERS, number, [co, ci, kernel, kernel]).describe()?;
        let y = Tensor::new(Y, number, of_y).describe()?;
        let convolution = convolution(int(size.stride)?, int(size.padding)?)?;
        let mut parts = Self {
            operations: Vec::new(),
            tensors: Vec::new(),
            convolution,
            pointwise: Vec::new(),
        };
        match pass {
            PassKind::Forward | PassKind::Inference => parts.convolve(&FORWARD, [&x, &filters, &y])?,
            PassKind::Input => parts.convolve(&INPUT, [&x, &filters, &y])?,
            PassKind::Filters => parts.convolve(&GRADIENT, [&x, &filters, &y])?,
            PassKind::Fused { relu } => {
                let float = DataType::CUDNN_DATA_FLOAT;
                let bias = Tensor::new(BIAS, float, [1, co, 1, 1]).describe()?;
                let sums = Tensor::new(SUMS, float, of_y).within().describe()?;
                parts.convolve(&FORWARD, [&x, &filters, &sums])?;
                let add = sys::cudnnPointwiseMode_t::CUDNN_POINTWISE_ADD;
                if relu {
                    let shifted = Tensor::new(SHIFTED, float, of_y).within().describe()?;
                    parts.pointwise(add, &sums, Some(&bias), &shifted)?;
                    let relu = sys::cudnnPointwiseMode_t::CUDNN_POINTWISE_RELU_FWD;
                    parts.pointwise(relu, &shifted, None, &y)?;
                    parts.tensors.push(shifted);
                } else {
                    parts.pointwise(add, &sums, Some(&bias), &y)?;
                }
                parts.tensors.extend([bias, sums]);
            }
        }
        parts.tensors.extend([x, filters, y]);
        Ok(parts)
    }

    /// Adds a convolution or a gradient of one: of `x`, filters and `y`, whichever of them is the result.
    fn convolve(&mut self, names: &Names, [x, filters, y]: [&Descriptor; 3]) -> Result<()> {
        let operation = Descriptor::new(names.kind)?;
        operation.refer(names.convolution, &[&self.convolution])?;
        operation.refer(names.x, &[x])?;
        operation.refer(names.filters, &[filters])?;
        operation.refer(names.y, &[y])?;
        operation.set(names.alpha, &[1f32])?;
        operation.set(names.beta, &[0f32])?;
        self.operations.push(operation.finalize()?);
        Ok(())
    }

    fn pointwise(
        &mut self,
        mode: sys::cudnnPointwiseMode_t,
        x: &Descriptor,
        other: Option<&Descriptor>,
        y: &Descriptor,
    ) -> Result<()> {
        let how = Descriptor::new(Kind::CUDNN_BACKEND_POINTWISE_DESCRIPTOR)?;
        how.set(Attribute::CUDNN_ATTR_POINTWISE_MODE, &[mode])?;
        how.set(
            Attribute::CUDNN_ATTR_POINTWISE_MATH_PREC,
            &[DataType::CUDNN_DATA_FLOAT],
        )?;
        let how = how.finalize()?;
        let operation = Descriptor::new(Kind::CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR)?;
        operation.refer(Attribute::CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, &[&how])?;
        operation.refer(Attribute::CUDNN_ATTR_OPERATION_POINTWISE_XDESC, &[x])?;
        if let Some(other) = other {
            operation.refer(Attribute::CUDNN_ATTR_OPERATION_POINTWISE_BDESC, &[other])?;
        }
        operation.refer(Attribute::CUDNN_ATTR_OPERATION_POINTWISE_YDESC, &[y])?;
        self.operations.push(operation.finalize()?);
        self.pointwise.push(how);
        Ok(())
    }
}

/// What a convolution's descriptors are called in each of its directions.
struct Names {
    kind: Kind,
    alpha: Attribute,
    beta: Attribute,
    convolution: Attribute,
    x: Attribute,
    filters: Attribute,
    y: Attribute,
}

const FORWARD: Names = Names {
    kind: Kind::CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
    alpha: Attribute::CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
    beta: Attribute::CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA,
    convolution: Attribute::CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
    x: Attribute::CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
    filters: Attribute::CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
    y: Attribute::CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
};
const INPUT: Names = Names {
    kind: Kind::CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
    alpha: Attribute::CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
    beta: Attribute::CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA,
    convolution: Attribute::CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
    x: Attribute::CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
    filters: Attribute::CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
    y: Attribute::CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
};
const GRADIENT: Names = Names {
    kind: Kind::CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
    alpha: Attribute::CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
    beta: Attribute::CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA,
    convolution: Attribute::CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
    x: Attribute::CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
    filters: Attribute::CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
    y: Attribute::CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
};

/// A tensor of a graph, `dims` in the order N, C, H, W, or out, in, height, width; in memory channels come last.
struct Tensor {
    name: i64,
    number: DataType,
    dims: [i64; 4],
    within: bool,
}

impl Tensor {
    fn new(name: i64, number: DataType, dims: [i64; 4]) -> Self {
        Self {
            name,
            number,
            dims,
            within: false,
        }
    }

    /// It stays within the graph and lies nowhere in memory.
    fn within(self) -> Self {
        Self { within: true, ..self }
    }

    fn describe(self) -> Result<Descriptor> {
        let [_, c, h, w] = self.dims;
        let strides = [c * h * w, 1, c * w, c];
        let tensor = Descriptor::new(Kind::CUDNN_BACKEND_TENSOR_DESCRIPTOR)?;
        tensor.set(Attribute::CUDNN_ATTR_TENSOR_DATA_TYPE, &[self.number])?;
        tensor.set(Attribute::CUDNN_ATTR_TENSOR_DIMENSIONS, &self.dims)?;
        tensor.set(Attribute::CUDNN_ATTR_TENSOR_STRIDES, &strides)?;
        tensor.set(Attribute::CUDNN_ATTR_TENSOR_UNIQUE_ID, &[self.name])?;
        tensor.set(Attribute::CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, &[16i64])?;
        tensor.set(Attribute::CUDNN_ATTR_TENSOR_IS_VIRTUAL, &[self.within])?;
        tensor.finalize()
    }
}

fn convolution(stride: i64, padding: i64) -> Result<Descriptor> {
    let convolution = Descriptor::new(Kind::CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR)?;
    convolution.set(
        Attribute::CUDNN_ATTR_CONVOLUTION_COMP_TYPE,
        &[DataType::CUDNN_DATA_FLOAT],
    )?;
    convolution.set(
        Attribute::CUDNN_ATTR_CONVOLUTION_CONV_MODE,
        &[sys::cudnnConvolutionMode_t::CUDNN_CROSS_CORRELATION],
    )?;
    convolution.set(Attribute::CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, &[2i64])?;
    convolution.set(Attribute::CUDNN_ATTR_CONVOLUTION_DILATIONS, &[1i64, 1])?;
    convolution.set(
        Attribute::CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES,
        &[stride, stride],
    )?;
    convolution.set(
        Attribute::CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS,
        &[padding, padding],
    )?;
    convolution.set(
        Attribute::CUDNN_ATTR_CONVOLUTION_POST_PADDINGS,
        &[padding, padding],
    )?;
    convolution.finalize()
}

#[cfg(test)]
mod tests {
    use super::super::size::tests::SIZE;
    use super::*;

    #[test]
    fn operations_are_described_without_a_gpu() {
        for precision in [Precision::F32, Precision::Tf32, Precision::Bf16] {
            for pass in [PassKind::Forward, PassKind::Input, PassKind::Filters] {
                assert_eq!(Parts::new(SIZE, precision, pass).unwrap().operations.len(), 1);
            }
            let fused = |relu| Parts::new(SIZE, precision, PassKind::Fused { relu }).unwrap();
            assert_eq!(fused(false).operations.len(), 2);
            assert_eq!(fused(true).operations.len(), 3);
        }
    }
}
