//! Candle's own gradients of the primitives that the reference is composed of.

use candle_core::{D, Result, Tensor};

use crate::finite_differences::check;
use crate::numbers::random;

#[test]
fn shape_changes() -> Result<()> {
    let x = [random(&[2, 3, 4, 2], 1)?, random(&[2, 3, 4, 1], 2)?];
    let first = &x[..1];
    check("pad", first, &|t| t[0].pad_with_zeros(1, 1, 2))?;
    check("narrow", first, &|t| {
        t[0].narrow(1, 1, 2)?.narrow(2, 0, 3)?.contiguous()
    })?;
    check("permute", first, &|t| {
        t[0].permute((2, 3, 1, 0))?.contiguous()?.reshape((8, 6))
    })?;
    check("transpose", first, &|t| t[0].transpose(1, 2)?.contiguous())?;
    check("squeeze", first, &|t| {
        t[0].narrow(0, 1, 1)?.squeeze(0)?.unsqueeze(1)
    })?;
    check("cat", &x, &|t| Tensor::cat(&[&t[0], &t[1]], 3))?;
    // One tensor used twice: the gradients add up.
    check("cat twice", first, &|t| Tensor::cat(&[&t[0], &t[0]], 3))
}

#[test]
fn products() -> Result<()> {
    let x = [random(&[2, 3, 4], 3)?, random(&[2, 4, 5], 4)?];
    check("matmul", &x, &|t| t[0].matmul(&t[1]))?;
    let x = [random(&[3, 4], 5)?, random(&[5, 4], 6)?];
    check("matmul of transposed", &x, &|t| {
        t[0].matmul(&t[1].t()?.contiguous()?)
    })
}

#[test]
fn broadcasts_and_reductions() -> Result<()> {
    let x = [random(&[5, 3], 7)?, (random(&[3], 8)? + 2.0)?];
    check("broadcast_add", &x, &|t| t[0].broadcast_add(&t[1]))?;
    check("broadcast_sub", &x, &|t| t[0].broadcast_sub(&t[1]))?;
    check("broadcast_mul", &x, &|t| t[0].broadcast_mul(&t[1]))?;
    check("broadcast_div", &x, &|t| t[0].broadcast_div(&t[1]))?;
    let first = &x[..1];
    check("mean_keepdim", first, &|t| t[0].mean_keepdim(0))?;
    check("sum_keepdim", first, &|t| t[0].sum_keepdim(D::Minus1))?;
    check("mean_all", first, &|t| t[0].mean_all())?;
    check("sum", first, &|t| t[0].sum(1))
}

#[test]
fn elementwise() -> Result<()> {
    let x = [random(&[6], 9)?, (random(&[6], 10)? + 2.0)?];
    check("add", &x, &|t| &t[0] + &t[1])?;
    check("sub", &x, &|t| &t[0] - &t[1])?;
    check("mul", &x, &|t| &t[0] * &t[1])?;
    check("div", &x, &|t| &t[0] / &t[1])?;
    check("affine", &x[..1], &|t| 1.0 - (&t[0] * 3.0)?)?;
    check("neg", &x[..1], &|t| t[0].neg())?;
    check("sqr", &x[..1], &|t| t[0].sqr())?;
    check("exp", &x[..1], &|t| t[0].exp())?;
    check("sqrt", &x[1..], &|t| t[0].sqrt())?;
    check("log", &x[1..], &|t| t[0].log())?;
    check("powf", &x[1..], &|t| t[0].powf(1.5))
}
