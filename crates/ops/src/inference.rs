//! Operators without a graph: weights are prepared once, memory is used again.
//!
//! A network that is only evaluated needs no tensors: it is a chain of these functions on [`Activations`], whose
//! memory returns to the process's pool as soon as they are dropped. [`prepare_conv3x3`] folds the batch norm that follows
//! a convolution into it, and the ReLU after it costs nothing.
//!
//! Images do not meet: each gives the same numbers, bit for bit, alone and in any batch.

use candle_core::{Result, Tensor, bail};

use crate::cpu::conv3x3::Algorithm;
pub use crate::cpu::conv3x3::PreparedConv;
use crate::cpu::scratch::Scratch;
use crate::cpu::{self, Isa, activation};
use crate::definitions::batch_norm::BatchNorm;
use crate::definitions::conv3x3::ConvShape;
use crate::elements::with_elements;
use crate::precision::Precision;

/// A batch of feature maps in NHWC order, in memory from a pool.
#[derive(Debug)]
pub struct Activations {
    values: Scratch,
    n: usize,
    h: usize,
    w: usize,
    c: usize,
}

impl Activations {
    /// A copy of `values`, `[n, h, w, c]`.
    ///
    /// # Errors
    /// When there are not n·h·w·c values.
    pub fn from_slice(values: &[f32], (n, h, w, c): (usize, usize, usize, usize)) -> Result<Self> {
        if values.len() != n * h * w * c {
            bail!("activations: {} values for {n}x{h}x{w}x{c}", values.len());
        }
        let mut copy = Self::empty(n, h, w, c);
        copy.values.copy_from_slice(values);
        Ok(copy)
    }

    /// Images, height, width and channels.
    pub fn dims(&self) -> (usize, usize, usize, usize) {
        (self.n, self.h, self.w, self.c)
    }

    /// The numbers, in order.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Memory with whatever is in it.
    fn empty(n: usize, h: usize, w: usize, c: usize) -> Self {
        let values = Scratch::take(n * h * w * c);
        Self { values, n, h, w, c }
    }
}

/// Prepares the convolution of `weight` (Co,Ci,3,3) and `bias` (Co), and `norm` behind it if there is one, for images of
/// this height and width. It multiplies in this thread's [precision](Precision).
///
/// # Errors
/// Shapes that do not fit together, or a tensor that is not f32 in main memory.
pub fn prepare_conv3x3(
    weight: &Tensor,
    bias: &Tensor,
    norm: Option<&BatchNorm>,
    (h, w): (usize, usize),
) -> Result<PreparedConv> {
    let (co, ci, kh, kw) = weight.dims4()?;
    if (kh, kw) != (3, 3) || bias.dims() != [co] {
        bail!(
            "prepare_conv3x3: weight {:?} (Co,Ci,3,3) and bias {:?} (Co) do not fit together",
            weight.dims(),
            bias.dims()
        );
    }
    let read = |tensor| with_elements("prepare_conv3x3", tensor, |values| Ok(values.to_vec()));
    let (mut weight, mut bias) = (read(weight)?, read(bias)?);
    if let Some(norm) = norm {
        (weight, bias) = norm.fold(&weight, &bias)?;
    }
    let shape = ConvShape { n: 1, h, w, ci, co };
    let arithmetic = Precision::current().arithmetic();
    Ok(PreparedConv::new(
        &weight,
        &bias,
        shape,
        Algorithm::Auto,
        arithmetic,
    ))
}

/// The convolution of `x`, followed by a ReLU when `relu`.
///
/// # Errors
/// When `x` has other channels than the convolution reads.
pub fn conv3x3(x: &Activations, conv: &PreparedConv, relu: bool) -> Result<Activations> {
    let (inputs, outputs) = conv.channels();
    if x.c != inputs {
        bail!(
            "conv3x3: input has {} channels, the convolution reads {inputs}",
            x.c
        );
    }
    let mut y = Activations::empty(x.n, x.h, x.w, outputs);
    conv.forward(&x.values, (x.n, x.h, x.w), relu, y.values.output());
    Ok(y)
}

/// Maxima of 2×2 pixels.
///
/// # Errors
/// When height or width is odd.
pub fn max_pool2(x: &Activations) -> Result<Activations> {
    if !x.h.is_multiple_of(2) || !x.w.is_multiple_of(2) {
        bail!("max_pool2: height {} and width {} must be even", x.h, x.w);
    }
    let mut y = Activations::empty(x.n, x.h / 2, x.w / 2, x.c);
    cpu::max_pool::forward2_into(&x.values, x.w, x.c, Isa::detect(), y.values.output());
    Ok(y)
}

/// ×2 bilinear interpolation with aligned corners.
pub fn upsample2(x: &Activations) -> Activations {
    let mut y = Activations::empty(x.n, 2 * x.h, 2 * x.w, x.c);
    cpu::upsample::forward_into(&x.values, (x.h, x.w, x.c), Isa::detect(), y.values.output());
    y
}

/// The channels of `a`, then those of `b`.
///
/// # Errors
/// When images, heights or widths differ.
pub fn concat(a: &Activations, b: &Activations) -> Result<Activations> {
    if (a.n, a.h, a.w) != (b.n, b.h, b.w) {
        bail!("concat: {:?} and {:?} do not fit", a.dims(), b.dims());
    }
    let mut y = Activations::empty(a.n, a.h, a.w, a.c + b.c);
    cpu::concat::concat_into(&a.values, &b.values, a.c, b.c, y.values.output());
    Ok(y)
}

/// Softmax over the channels: `[n, h, w, c]`.
pub fn softmax(x: &Activations) -> Vec<f32> {
    activation::softmax(&x.values, x.c)
}

impl BatchNorm {
    /// Weight `[co, ci, 3, 3]` and bias `[co]` of the convolution that does what a convolution of `weight` and `bias` and
    /// then this normalisation by its running statistics do.
    ///
    /// # Errors
    /// When the numbers of channels differ, or a tensor is not f32 in main memory.
    pub(crate) fn fold(&self, weight: &[f32], bias: &[f32]) -> Result<(Vec<f32>, Vec<f32>)> {
        let read = |tensor| with_elements("fold", tensor, |values| Ok(values.to_vec()));
        let (scale, shift) = (read(&self.weight)?, read(&self.bias)?);
        let (mean, variance) = (
            read(&self.running_mean.as_detached_tensor())?,
            read(&self.running_var.as_detached_tensor())?,
        );
        let channels = bias.len();
        if channels == 0 || scale.len() != channels || !weight.len().is_multiple_of(channels) {
            bail!(
                "fold: a convolution to {channels} channels, a batch norm of {}",
                scale.len()
            );
        }
        // In double precision, so that each number is rounded once.
        let factors: Vec<f64> = (scale.iter().zip(&variance))
            .map(|(&scale, &variance)| f64::from(scale) / (f64::from(variance) + self.eps).sqrt())
            .collect();
        let filters = weight.chunks_exact(weight.len() / channels);
        let folded_weight = filters
            .zip(&factors)
            .flat_map(|(filter, &factor)| filter.iter().map(move |&tap| (f64::from(tap) * factor) as f32))
            .collect();
        let folded_bias = (0..channels)
            .map(|c| ((f64::from(bias[c]) - f64::from(mean[c])) * factors[c] + f64::from(shift[c])) as f32)
            .collect();
        Ok((folded_weight, folded_bias))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor, Var};

    use super::*;
    use crate::cpu::Arithmetic;
    use crate::{Mode, batch_norm, batch_norm_relu};

    fn random(shape: &[usize], seed: u64) -> Tensor {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let values: Vec<f32> = (0..shape.iter().product())
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 40) as f32 / (1 << 23) as f32 - 1.0
            })
            .collect();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    }

    fn values(tensor: &Tensor) -> Vec<f32> {
        tensor.flatten_all().unwrap().to_vec1().unwrap()
    }

    fn activations(tensor: &Tensor) -> Activations {
        Activations::from_slice(&values(tensor), tensor.dims4().unwrap()).unwrap()
    }

    /// Scales of both signs, a mean and variances far from 0 and 1.
    fn norm(channels: usize) -> BatchNorm {
        let mut norm = BatchNorm::new(random(&[channels], 5), random(&[channels], 6)).unwrap();
        norm.running_mean = Var::from_tensor(&random(&[channels], 7)).unwrap();
        let variance = ((random(&[channels], 8) + 1.1).unwrap() * 3.0).unwrap();
        norm.running_var = Var::from_tensor(&variance).unwrap();
        norm
    }

    #[test]
    fn a_folded_convolution_is_the_convolution_and_its_norm() {
        for (n, h, w, ci, co) in [
            (1, 5, 7, 3, 2),
            (3, 16, 12, 24, 40),
            (2, 6, 6, 6, 17),
            (1, 3, 90, 130, 9),
            (2, 9, 8, 512, 33),
        ] {
            let (x, weight, bias) = (
                random(&[n, h, w, ci], 1),
                random(&[co, ci, 3, 3], 2),
                random(&[co], 3),
            );
            let norm = norm(co);
            let convolved = crate::conv3x3(&x, &weight, &bias).unwrap();
            let (weight, bias) = norm.fold(&values(&weight), &values(&bias)).unwrap();
            for relu in [false, true] {
                let expected = match relu {
                    false => batch_norm(&convolved, &norm, Mode::Eval).unwrap(),
                    true => batch_norm_relu(&convolved, &norm, Mode::Eval).unwrap(),
                };
                let expected = values(&expected);
                let scale = expected.iter().fold(0f32, |scale, value| scale.max(value.abs()));
                let arithmetics = (Isa::ALL.map(Arithmetic::from).into_iter())
                    .chain([Isa::Portable, Isa::Avx512].map(Arithmetic::bf16))
                    .filter(|arithmetic| arithmetic.is_available());
                for (algorithm, arithmetic) in arithmetics.flat_map(|arithmetic| {
                    [Algorithm::Direct, Algorithm::Winograd, Algorithm::Auto]
                        .map(|algorithm| (algorithm, arithmetic))
                }) {
                    let limit = if arithmetic.is_bf16() { 3e-2 } else { 2e-5 };
                    let shape = ConvShape { n: 1, h, w, ci, co };
                    let conv = PreparedConv::new(&weight, &bias, shape, algorithm, arithmetic);
                    let y = conv3x3(&activations(&x), &conv, relu).unwrap();
                    assert_eq!(y.dims(), (n, h, w, co));
                    for (found, expected) in y.values().iter().zip(&expected) {
                        assert!(
                            (found - expected).abs() <= limit * scale,
                            "{h}x{w} {ci} {co} {algorithm:?} {arithmetic}: {found} {expected}"
                        );
                    }
                    assert!(!relu || y.values().iter().all(|&value| value >= 0.0));
                    // Bit for bit the same alone as in the batch.
                    for image in 0..n {
                        let alone = activations(&x.narrow(0, image, 1).unwrap());
                        let alone = conv3x3(&alone, &conv, relu).unwrap();
                        let within = &y.values()[image * h * w * co..][..h * w * co];
                        assert!(
                            alone
                                .values()
                                .iter()
                                .zip(within)
                                .all(|(a, b)| a.to_bits() == b.to_bits())
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn the_other_operators_are_those_of_the_graph() {
        let (a, b) = (random(&[2, 6, 4, 19], 1), random(&[2, 6, 4, 3], 2));
        let pairs = [
            (
                max_pool2(&activations(&a)).unwrap(),
                crate::max_pool2(&a).unwrap(),
            ),
            (upsample2(&activations(&a)), crate::upsample2(&a).unwrap()),
            (
                concat(&activations(&a), &activations(&b)).unwrap(),
                crate::concat(&a, &b).unwrap(),
            ),
        ];
        for (found, expected) in pairs {
            assert_eq!(found.dims(), expected.dims4().unwrap());
            assert_eq!(found.values(), values(&expected));
        }
        assert_eq!(softmax(&activations(&b)), values(&crate::softmax(&b).unwrap()));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let x = activations(&random(&[1, 3, 4, 2], 1));
        assert!(max_pool2(&x).is_err());
        assert!(concat(&x, &activations(&random(&[1, 4, 3, 2], 1))).is_err());
        let shape = ConvShape {
            n: 1,
            h: 3,
            w: 4,
            ci: 3,
            co: 1,
        };
        let conv = PreparedConv::new(&[0.0; 27], &[0.0], shape, Algorithm::Auto, Isa::detect());
        assert!(conv3x3(&x, &conv, true).is_err());
        assert!(norm(3).fold(&[0.0; 18], &[0.0; 2]).is_err());
        assert!(Activations::from_slice(&[0.0; 5], (1, 2, 3, 1)).is_err());
    }
}
