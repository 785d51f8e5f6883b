//! Values and gradients of PyTorch; `golden/make.py` made them.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Result, Tensor, Var, safetensors};
use flawforge_ops::{self as ops, BatchNorm, FocalSettings, Mode, SsimRange, reference};

use crate::numbers::assert_close;

pub(crate) struct Golden(HashMap<String, Tensor>);

impl Golden {
    pub(crate) fn load() -> Result<Self> {
        Self::read("golden.safetensors")
    }

    /// Those of `golden/make_residual.py`.
    pub(crate) fn residual() -> Result<Self> {
        Self::read("residual.safetensors")
    }

    fn read(name: &str) -> Result<Self> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/golden")
            .join(name);
        Ok(Self(safetensors::load(path, &Device::Cpu)?))
    }

    pub(crate) fn get(&self, name: &str) -> &Tensor {
        match self.0.get(name) {
            Some(tensor) => tensor,
            None => panic!("the golden values lack {name}"),
        }
    }

    fn var(&self, name: &str, dtype: DType) -> Result<Var> {
        Var::from_tensor(&self.get(name).to_dtype(dtype)?)
    }
}

/// Runs an operator in f32 (kernels) and in f64 (reference) on golden variables; compares output and gradients.
pub(crate) fn check(
    golden: &Golden,
    prefix: &str,
    arguments: &[(&str, &str)],
    tolerance: f64,
    f: &dyn Fn(&[Tensor]) -> Result<Tensor>,
) -> Result<()> {
    for dtype in [DType::F32, DType::F64] {
        let name = |part: &str| format!("{prefix}.{part}");
        let vars: Vec<Var> = arguments
            .iter()
            .map(|(argument, _)| golden.var(&name(argument), dtype))
            .collect::<Result<_>>()?;
        let tracked: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
        let output = f(&tracked)?;
        let gradients = if output.rank() == 0 {
            assert_close(
                &format!("{prefix} {dtype:?} loss"),
                &output,
                golden.get(&name("loss")),
                tolerance,
            );
            output.backward()?
        } else {
            assert_close(
                &format!("{prefix} {dtype:?} y"),
                &output,
                golden.get(&name("y")),
                tolerance,
            );
            let upstream = golden.get(&name("up")).to_dtype(dtype)?;
            (&output * upstream)?.sum_all()?.backward()?
        };
        for ((_, expected), var) in arguments.iter().zip(&vars) {
            let Some(gradient) = gradients.get(var) else {
                panic!("{prefix}: no gradient for {expected}");
            };
            let what = format!("{prefix} {dtype:?} {expected}");
            assert_close(&what, gradient, golden.get(&name(expected)), tolerance);
        }
    }
    Ok(())
}

#[test]
fn conv3x3() -> Result<()> {
    let golden = Golden::load()?;
    let arguments = [("x", "dx"), ("weight", "dweight"), ("bias", "dbias")];
    for case in ["conv.small", "conv.wide"] {
        check(&golden, case, &arguments, 2e-6, &|t| {
            ops::conv3x3(&t[0], &t[1], &t[2])
        })?;
    }
    Ok(())
}

#[test]
fn batch_norm_with_running_statistics() -> Result<()> {
    let golden = Golden::load()?;
    for (case, relu) in [("bn", false), ("bn_relu", true)] {
        for dtype in [DType::F32, DType::F64] {
            let weight = golden.var(&format!("{case}.weight"), dtype)?;
            let bias = golden.var(&format!("{case}.bias"), dtype)?;
            let norm = BatchNorm::new(weight.as_tensor().clone(), bias.as_tensor().clone())?;
            for (step, mode) in [
                ("train0", Mode::Train),
                ("train1", Mode::Train),
                ("eval", Mode::Eval),
            ] {
                let part = |name: &str| format!("{case}.{step}.{name}");
                let x = golden.var(&part("x"), dtype)?;
                let y = if relu {
                    ops::batch_norm_relu(&x, &norm, mode)?
                } else {
                    ops::batch_norm(&x, &norm, mode)?
                };
                let upstream = golden.get(&part("up")).to_dtype(dtype)?;
                let gradients = (&y * upstream)?.sum_all()?.backward()?;
                assert_close(&part("y"), &y, golden.get(&part("y")), 1e-5);
                for (var, name) in [(&x, "dx"), (&weight, "dweight"), (&bias, "dbias")] {
                    let Some(gradient) = gradients.get(var) else {
                        panic!("no gradient for {name}");
                    };
                    assert_close(&part(name), gradient, golden.get(&part(name)), 2e-5);
                }
                assert_close(&part("mean"), &norm.running_mean, golden.get(&part("mean")), 1e-6);
                assert_close(&part("var"), &norm.running_var, golden.get(&part("var")), 1e-6);
            }
        }
    }
    Ok(())
}

#[test]
fn relu_pool_with_ties_upsample_softmax_concat() -> Result<()> {
    let golden = Golden::load()?;
    let x = [("x", "dx")];
    check(&golden, "relu", &x, 0.0, &|t| ops::relu(&t[0]))?;
    check(&golden, "pool", &x, 0.0, &|t| ops::max_pool2(&t[0]))?;
    check(&golden, "upsample", &x, 1e-6, &|t| ops::upsample2(&t[0]))?;
    check(&golden, "softmax", &x, 2e-6, &|t| ops::softmax(&t[0]))?;
    let arguments = [("a", "da"), ("b", "db")];
    check(&golden, "concat", &arguments, 0.0, &|t| ops::concat(&t[0], &t[1]))
}

#[test]
fn losses() -> Result<()> {
    let golden = Golden::load()?;
    let target = |dtype| golden.get("mse.target").to_dtype(dtype);
    check(&golden, "mse", &[("x", "dx")], 1e-6, &|t| {
        ops::mse_loss(&t[0], &target(t[0].dtype())?)
    })?;
    let arguments = [("x", "dx"), ("target", "dtarget")];
    for (case, range) in [
        ("ssim.unit", SsimRange::Unit),
        ("ssim.signed", SsimRange::FromPrediction),
        ("ssim.bytes", SsimRange::FromPrediction),
    ] {
        check(&golden, case, &arguments, 5e-5, &|t| {
            ops::ssim_loss(&t[0], &t[1], range)
        })?;
    }
    let mask = |dtype| golden.get("focal.mask").to_dtype(dtype);
    check(&golden, "focal", &[("p", "dp")], 1e-5, &|t| {
        ops::focal_loss(&t[0], &mask(t[0].dtype())?, FocalSettings::default())
    })
}

/// Numbers computed independently of PyTorch, from DRAEM's definitions.
#[test]
fn ramp_image_and_single_pixels() -> Result<()> {
    let x: Vec<f64> = (0..256).map(|i| f64::from(i) / 255.0).collect();
    let y: Vec<f64> = x.iter().map(|x| (0.9 * x + 0.02).clamp(0.0, 1.0)).collect();
    let device = Device::Cpu;
    for dtype in [DType::F32, DType::F64] {
        let image = |values: &[f64]| Tensor::from_slice(values, (1, 16, 16, 1), &device)?.to_dtype(dtype);
        let (x, y) = (image(&x)?, image(&y)?);
        let scalar = |t: Tensor| t.to_dtype(DType::F64)?.to_scalar::<f64>();
        let near = |actual: f64, expected: f64| {
            assert!(
                (actual - expected).abs() < 1e-5,
                "{dtype:?}: {actual} is not {expected}"
            );
        };
        near(
            1.0 - scalar(ops::ssim_loss(&x, &y, SsimRange::Unit)?)?,
            0.993456879,
        );
        near(scalar(ops::mse_loss(&x, &y)?)?, 0.001739869);
        let map = reference::ssim_map(&x, &y, SsimRange::Unit)?
            .squeeze(3)?
            .squeeze(0)?;
        near(scalar(map.get(0)?.get(0)?)?, 0.969891276);
        near(scalar(map.get(8)?.get(8)?)?, 0.992700767);
        for (anomalous, label, expected) in [
            (0.1, 0.0, 0.001053541),
            (0.1, 1.0, 1.864873541),
            (0.5, 1.0, 0.173274864),
        ] {
            let p = Tensor::from_slice(&[1.0 - anomalous, anomalous], (1, 1, 1, 2), &device)?;
            let mask = Tensor::from_slice(&[label], (1, 1, 1), &device)?.to_dtype(dtype)?;
            near(
                scalar(ops::focal_loss(
                    &p.to_dtype(dtype)?,
                    &mask,
                    FocalSettings::default(),
                )?)?,
                expected,
            );
        }
        // Interpolation of the ramp [0, 1, 2, 3].
        let ramp = Tensor::from_slice(&[0f64, 1., 2., 3.], (1, 1, 4, 1), &device)?.to_dtype(dtype)?;
        let row = ops::upsample2(&ramp)?
            .get(0)?
            .get(1)?
            .flatten_all()?
            .to_dtype(DType::F64)?
            .to_vec1::<f64>()?;
        for (position, value) in row.into_iter().enumerate() {
            near(value, 3.0 * position as f64 / 7.0);
        }
    }
    Ok(())
}

#[test]
fn draems_range_rule() -> Result<()> {
    // The rule for a prediction below -0.5 is L = 2; the same images with the rule's L put in by scale.
    let x: Vec<f32> = (0..256).map(|i| i as f32 / 255.0).collect();
    let y: Vec<f32> = x.iter().map(|x| (0.9 * x + 0.02).clamp(0.0, 1.0)).collect();
    let image = |values: &[f32], factor: f32| {
        let values: Vec<f32> = values.iter().map(|value| value * factor).collect();
        Tensor::from_vec(values, (1, 16, 16, 1), &Device::Cpu)
    };
    // Halving both images is doubling L.
    let halved = ops::ssim_loss(&image(&x, 0.5)?, &image(&y, 0.5)?, SsimRange::Unit)?;
    let halved = 1.0 - halved.to_scalar::<f32>()?;
    assert!((halved - 0.993_967_24).abs() < 1e-5, "{halved}");
    // Images in 0..255 with L = 255 are images in 0..1 with L = 1.
    let bytes = ops::ssim_loss(&image(&x, 255.0)?, &image(&y, 255.0)?, SsimRange::FromPrediction)?;
    let bytes = 1.0 - bytes.to_scalar::<f32>()?;
    assert!((bytes - 0.993_456_9).abs() < 1e-5, "{bytes}");
    Ok(())
}
