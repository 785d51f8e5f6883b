//! The CUDA kernels of inverted residual blocks, without a GPU: their file is compiled as C, each of its threads is a call, and
//! what they compute is compared with the processor's block.
//!
//! This holds the kernels' arithmetic and indices, not how a GPU runs them.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use candle_core::{Device, Tensor};
use tempfile::TempDir;

use super::{Activations, InvertedResidual, SameConv, inverted_residual, prepare_inverted_residual};
use crate::Precision;
use crate::definitions::inverted_residual::{inputs_behind_taps, outputs_last, same_padding};

/// What CUDA has and C has not; a grid of 3 blocks of 32 threads, so that threads go over elements in strides.
const BEFORE: &str = "
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
struct dimension { unsigned x, y, z; };
static struct dimension threadIdx, blockIdx, blockDim = {32, 1, 1}, gridDim = {3, 1, 1};
#define __device__ static
#define __global__ static
#define __forceinline__
";

/// A program of the kernels: `NAME INPUTS OUTPUTS H W HO WO SIDE STRIDE TOP LEFT N`, with input, filters and bias on its
/// standard input, and the result on its standard output.
const BEHIND: &str = "
static float *take(size_t count)
{
    float *numbers = malloc(count * sizeof(float));
    if (fread(numbers, sizeof(float), count, stdin) != count)
        exit(3);
    return numbers;
}
int main(int words, char **word)
{
    unsigned a[11];
    for (int k = 0; k < 11; k++)
        a[k] = (unsigned)atoi(word[k + 2]);
    unsigned inputs = a[0], outputs = a[1], h = a[2], w = a[3], ho = a[4], wo = a[5], side = a[6];
    unsigned stride = a[7], top = a[8], left = a[9], n = a[10], count = n * ho * wo * outputs;
    int depthwise = !strcmp(word[1], \"depthwise_relu6\");
    const float *x = take(n * h * w * inputs), *filters = take(side * side * outputs * (depthwise ? 1 : inputs));
    const float *bias = take(outputs);
    float *y = malloc(count * sizeof(float));
    for (blockIdx.x = 0; blockIdx.x < gridDim.x; blockIdx.x++)
        for (threadIdx.x = 0; threadIdx.x < blockDim.x; threadIdx.x++)
            if (depthwise)
                depthwise_relu6(x, filters, bias, y, h, w, outputs, ho, wo, side, stride, top, left, count);
            else
                same_convolution(x, filters, bias, y, h, w, inputs, outputs, ho, wo, side, stride, top, left, count);
    return fwrite(y, sizeof(float), count, stdout) == count ? 0 : 4;
}
";

struct Kernels {
    _folder: TempDir,
    program: PathBuf,
}

impl Kernels {
    /// Compiled by the C compiler that building the workspace takes in any case.
    fn compiled() -> Self {
        let common = include_str!("../cuda/kernels/common.cuh");
        let (_, each) = common.split_once("#define FOR_EACH(").expect("defined there");
        let (each, _) = each.split_once("\n\n").expect("two lines");
        let kernels = include_str!("../cuda/kernels/inverted_residual.cu").replace("extern \"C\" ", "");
        let folder = tempfile::tempdir().expect("a folder");
        let (source, program) = (folder.path().join("kernels.c"), folder.path().join("kernels"));
        fs::write(
            &source,
            format!("{BEFORE}#define FOR_EACH({each}\n{kernels}{BEHIND}"),
        )
        .expect("written");
        let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
        let done = Command::new(compiler)
            .args(["-std=c99", "-O1", "-ffp-contract=off", "-o"])
            .args([&program, &source])
            .arg("-lm")
            .output()
            .expect("a C compiler");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        Self {
            _folder: folder,
            program,
        }
    }

    fn run(&self, name: &str, sizes: [usize; 11], arrays: [&[f32]; 3]) -> Vec<f32> {
        let mut running = Command::new(&self.program)
            .arg(name)
            .args(sizes.map(|size| size.to_string()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let bytes: Vec<u8> = arrays
            .concat()
            .iter()
            .flat_map(|value| value.to_ne_bytes())
            .collect();
        let mut input = running.stdin.take().expect("piped");
        input.write_all(&bytes).expect("taken");
        drop(input);
        let done = running.wait_with_output().expect("ended");
        assert!(done.status.success(), "{name} {sizes:?}: {}", done.status);
        let numbers = done.stdout.chunks_exact(4);
        numbers
            .map(|bytes| f32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
            .collect()
    }
}

/// Numbers from -8 to 8, so that ReLU6 cuts at both ends.
fn noise(seed: usize, count: usize) -> Vec<f32> {
    let mut state = (seed as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 20) as f32 - 8.0
    };
    (0..count).map(|_| next()).collect()
}

fn conv(values: &[f32], shape: (usize, usize, usize), bias: &[f32], stride: usize) -> SameConv {
    let (co, ci, side) = shape;
    SameConv {
        weight: Tensor::from_slice(values, (co, ci, side, side), &Device::Cpu).expect("a tensor"),
        bias: Tensor::from_slice(bias, co, &Device::Cpu).expect("a tensor"),
        stride,
    }
}

/// A convolution that changes nothing: 1×1 between all channels, or for each.
fn identity(channels: usize, side: usize) -> Vec<f32> {
    match side {
        1 => (0..channels * channels)
            .map(|k| f32::from(u8::from(k % (channels + 1) == 0)))
            .collect(),
        _ => (0..channels * side * side)
            .map(|k| f32::from(u8::from(k % (side * side) == side * side / 2)))
            .collect(),
    }
}

fn on_the_processor(block: &InvertedResidual, x: &[f32], dims: (usize, usize, usize, usize)) -> Vec<f32> {
    let _precision = Precision::F32.scope();
    let block = prepare_inverted_residual(block, &Device::Cpu).expect("a block");
    let x = Activations::from_slice(x, dims).expect("maps");
    inverted_residual(&x, &block)
        .expect("computed")
        .values()
        .expect("values")
        .into_owned()
}

fn close(what: &str, expected: &[f32], found: &[f32]) {
    assert_eq!(expected.len(), found.len(), "{what}");
    for (place, (expected, found)) in expected.iter().zip(found).enumerate() {
        assert!(
            (expected - found).abs() <= 1e-4,
            "{what}, number {place}: {found} instead of {expected}"
        );
    }
}

const SIZES: [(usize, usize); 5] = [(8, 8), (7, 10), (5, 6), (1, 4), (2, 1)];

#[test]
fn filters_of_single_channels_are_those_of_the_processor() {
    let kernels = Kernels::compiled();
    let (n, channels) = (2, 19);
    for (h, w) in SIZES {
        for (side, stride) in [(3, 1), (3, 2), (5, 1), (5, 2)] {
            let x = noise(h, n * h * w * channels);
            let filters: Vec<f32> = noise(w, channels * side * side)
                .iter()
                .map(|value| value / 20.0)
                .collect();
            let bias = noise(side, channels);
            let nothing = vec![0.0; channels];
            let block = InvertedResidual {
                expand: conv(&identity(channels, 1), (channels, channels, 1), &nothing, 1),
                depthwise: conv(&filters, (channels, 1, side), &bias, stride),
                project: conv(&identity(channels, 1), (channels, channels, 1), &nothing, 1),
                shortcut: false,
            };
            let expected = on_the_processor(&block, &x, (n, h, w, channels));
            let ((ho, top), (wo, left)) = (same_padding(h, side, stride), same_padding(w, side, stride));
            let turned = outputs_last(&filters, channels);
            let sizes = [channels, channels, h, w, ho, wo, side, stride, top, left, n];
            let found = kernels.run("depthwise_relu6", sizes, [&x, &turned, &bias]);
            close(
                &format!("{h}x{w}, side {side}, stride {stride}"),
                &expected,
                &found,
            );
            assert!(
                found.iter().any(|&value| value > 0.0 && value < 6.0),
                "not all is cut"
            );
        }
    }
}

#[test]
fn the_first_convolution_is_that_of_the_processor() {
    let kernels = Kernels::compiled();
    let (n, inputs, outputs, side, stride) = (2, 3, 8, 3, 2);
    for (h, w) in SIZES {
        let x = noise(h + 7, n * h * w * inputs);
        let filters: Vec<f32> = noise(w, outputs * inputs * 9)
            .iter()
            .map(|value| value / 20.0)
            .collect();
        let bias = noise(9, outputs);
        let nothing = vec![0.0; outputs];
        let block = InvertedResidual {
            expand: conv(&filters, (outputs, inputs, side), &bias, stride),
            depthwise: conv(&identity(outputs, 3), (outputs, 1, 3), &nothing, 1),
            project: conv(&identity(outputs, 1), (outputs, outputs, 1), &nothing, 1),
            shortcut: false,
        };
        let expected = on_the_processor(&block, &x, (n, h, w, inputs));
        let ((ho, top), (wo, left)) = (same_padding(h, side, stride), same_padding(w, side, stride));
        let turned = outputs_last(&inputs_behind_taps(&filters, inputs, 9), outputs);
        let sizes = [inputs, outputs, h, w, ho, wo, side, stride, top, left, n];
        let found = kernels.run("same_convolution", sizes, [&x, &turned, &bias]);
        // The kernel leaves ReLU6 to whoever reads.
        let found: Vec<f32> = found.iter().map(|value| value.clamp(0.0, 6.0)).collect();
        close(&format!("{h}x{w}"), &expected, &found);
    }
}
