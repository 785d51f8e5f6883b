//! Convolutions of networks, as graphs, with their batch norms folded into them.

use candle_core::{DType, Device, Tensor};
use flawforge_onnx::{Graph, Value, Window};
use flawforge_ops::BatchNorm;

use crate::ModelError;

/// A convolution's numbers.
#[derive(Debug, Clone)]
pub(crate) struct Convolution {
    shape: Vec<usize>,
    weight: Vec<f32>,
    bias: Option<Vec<f32>>,
}

impl Convolution {
    /// A weight (out, in, side, side), or (in, out, side, side) of a transposed one, the bias behind it and the batch norm behind that,
    /// where there are any.
    pub(crate) fn new(
        weight: &Tensor,
        bias: Option<&Tensor>,
        norm: Option<&BatchNorm>,
        transposed: bool,
    ) -> Result<Self, ModelError> {
        let shape = weight.dims().to_vec();
        let weight = numbers(weight)?;
        let bias = bias.map(numbers).transpose()?;
        let Some(norm) = norm else {
            return Ok(Self { shape, weight, bias });
        };
        let [scale, shift, mean, variance] = [
            &norm.weight,
            &norm.bias,
            norm.running_mean.as_tensor(),
            norm.running_var.as_tensor(),
        ]
        .map(numbers);
        let (scale, shift, mean, variance) = (scale?, shift?, mean?, variance?);
        // In double precision, so that each number is rounded once.
        let factors: Vec<f64> = scale
            .iter()
            .zip(&variance)
            .map(|(&scale, &variance)| f64::from(scale) / (f64::from(variance) + norm.eps).sqrt())
            .collect();
        let channels = factors.len().max(1);
        let taps: usize = shape.iter().skip(2).product::<usize>().max(1);
        // What the numbers of one output channel are away from each other.
        let of_channel = |index: usize| match transposed {
            true => index / taps % channels,
            false => index / (weight.len() / channels).max(1),
        };
        let folded = weight
            .iter()
            .enumerate()
            .map(|(index, &tap)| (f64::from(tap) * factors[of_channel(index)]) as f32)
            .collect();
        let shifted = (0..factors.len())
            .map(|channel| {
                let bias = bias.as_ref().map_or(0.0, |bias| f64::from(bias[channel]));
                ((bias - f64::from(mean[channel])) * factors[channel] + f64::from(shift[channel])) as f32
            })
            .collect();
        Ok(Self {
            shape,
            weight: folded,
            bias: Some(shifted),
        })
    }

    /// The convolution of `x` (N, in, height, width).
    pub(crate) fn of(&self, graph: &mut Graph, x: Value, window: Window, groups: usize) -> Value {
        let (weight, bias) = self.constants(graph);
        graph.conv(x, weight, bias, window, groups)
    }

    /// The transposed convolution, which doubles height and width.
    pub(crate) fn doubling(&self, graph: &mut Graph, x: Value, side: usize) -> Value {
        let (weight, bias) = self.constants(graph);
        graph.conv_transpose(x, weight, bias, Window::centered(side, 2))
    }

    fn constants(&self, graph: &mut Graph) -> (Value, Option<Value>) {
        let weight = graph.weight(&self.shape, &self.weight);
        let bias = self.bias.as_ref();
        (weight, bias.map(|bias| graph.weight(&[bias.len()], bias)))
    }
}

/// A tensor's numbers as f32.
fn numbers(tensor: &Tensor) -> Result<Vec<f32>, ModelError> {
    let tensor = tensor.detach().to_device(&Device::Cpu)?.to_dtype(DType::F32)?;
    Ok(tensor.flatten_all()?.to_vec1()?)
}
