//! Every entry point, algorithm and instruction set against plain loops in double precision.

use super::*;

const SHAPES: [ConvShape; 19] = [
    shape(1, 1, 1, 1, 1),
    shape(2, 1, 5, 3, 2),
    shape(1, 5, 1, 2, 3),
    shape(1, 2, 2, 17, 5),
    shape(2, 4, 4, 8, 8),
    shape(1, 7, 9, 3, 16),
    shape(2, 8, 8, 16, 3),
    shape(1, 6, 13, 6, 33),
    shape(3, 5, 6, 32, 32),
    shape(1, 16, 16, 48, 24),
    shape(1, 12, 15, 31, 48),
    shape(1, 9, 4, 96, 16),
    shape(1, 33, 30, 5, 7),
    shape(1, 17, 40, 16, 19),
    shape(1, 3, 300, 4, 4),
    shape(1, 20, 20, 32, 64),
    shape(1, 4, 8, 129, 130),
    shape(1, 4, 5, 480, 33),
    shape(2, 32, 32, 20, 40),
];

const fn shape(n: usize, h: usize, w: usize, ci: usize, co: usize) -> ConvShape {
    ConvShape { n, h, w, ci, co }
}

/// Numbers in -1..1 from a small generator, with all 24 bits of a mantissa in use.
fn noise(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

/// Visits every pair of output and input pixel that a tap joins: (output pixel, input pixel, tap).
fn for_each_tap(s: ConvShape, mut visit: impl FnMut(usize, usize, usize)) {
    for image in 0..s.n {
        for (row, column) in (0..s.h).flat_map(|row| (0..s.w).map(move |column| (row, column))) {
            for tap in 0..9 {
                let (from_row, from_column) = (row + tap / 3, column + tap % 3);
                if (1..=s.h).contains(&from_row) && (1..=s.w).contains(&from_column) {
                    let pixel = |row, column| (image * s.h + row) * s.w + column;
                    visit(pixel(row, column), pixel(from_row - 1, from_column - 1), tap);
                }
            }
        }
    }
}

struct Truth {
    x: Vec<f32>,
    weight: Vec<f32>,
    bias: Vec<f32>,
    dy: Vec<f32>,
    y: Vec<f64>,
    dx: Vec<f64>,
    dw: Vec<f64>,
    db: Vec<f64>,
}

impl Truth {
    fn new(s: ConvShape) -> Self {
        let (x, weight) = (noise(s.input_len(), 1), noise(s.weight_len(), 2));
        let (bias, dy) = (noise(s.co, 3), noise(s.output_len(), 4));
        let mut y: Vec<f64> = (0..s.output_len())
            .map(|index| f64::from(bias[index % s.co]))
            .collect();
        let (mut dx, mut dw, mut db) = (
            vec![0.0; s.input_len()],
            vec![0.0; s.weight_len()],
            vec![0.0; s.co],
        );
        for_each_tap(s, |to, from, tap| {
            for o in 0..s.co {
                let gradient = f64::from(dy[to * s.co + o]);
                let mut sum = 0.0;
                for i in 0..s.ci {
                    let index = (o * s.ci + i) * 9 + tap;
                    let (value, factor) = (f64::from(x[from * s.ci + i]), f64::from(weight[index]));
                    sum += value * factor;
                    dx[from * s.ci + i] += gradient * factor;
                    dw[index] += gradient * value;
                }
                y[to * s.co + o] += sum;
            }
        });
        for (index, &gradient) in dy.iter().enumerate() {
            db[index % s.co] += f64::from(gradient);
        }
        Self {
            x,
            weight,
            bias,
            dy,
            y,
            dx,
            dw,
            db,
        }
    }
}

fn relative_error(found: &[f32], truth: &[f64]) -> f64 {
    assert_eq!(found.len(), truth.len());
    let error: f64 = found
        .iter()
        .zip(truth)
        .map(|(&f, t)| (f64::from(f) - t).powi(2))
        .sum();
    let size: f64 = truth.iter().map(|t| t * t).sum();
    (error / size.max(1e-30)).sqrt()
}

/// Runs a kernel on an output full of NaN.
fn poisoned(len: usize, fill: impl FnOnce(&mut [MaybeUninit<f32>])) -> Vec<f32> {
    let mut values = vec![MaybeUninit::new(f32::NAN); len];
    fill(&mut values);
    // SAFETY: initialised above.
    values
        .into_iter()
        .map(|value| unsafe { value.assume_init() })
        .collect()
}

fn available() -> impl Iterator<Item = Arithmetic> {
    let bf16 = [Isa::Portable, Isa::Avx512].map(Arithmetic::bf16);
    let all = Isa::ALL.into_iter().map(Arithmetic::from).chain(bf16);
    all.filter(|arithmetic| arithmetic.is_available())
}

/// The largest relative error (root mean square) that rounding may make.
fn limit(algorithm: Algorithm, arithmetic: Arithmetic) -> f64 {
    match (algorithm, arithmetic.is_bf16()) {
        (Algorithm::Direct, false) => 1e-5,
        (_, false) => 5e-5,
        (Algorithm::Direct, true) => 5e-3,
        (_, true) => 2.5e-2,
    }
}

#[test]
fn all_passes_match_plain_loops() {
    for s in SHAPES {
        let t = Truth::new(s);
        for arithmetic in available() {
            for algorithm in [Algorithm::Direct, Algorithm::Winograd, Algorithm::Auto] {
                let limit = limit(algorithm, arithmetic);
                let check = |name: &str, found: Vec<f32>, truth: &[f64], limit: f64| {
                    let error = relative_error(&found, truth);
                    assert!(
                        error <= limit,
                        "{name} {s:?} {algorithm:?} {arithmetic}: {error:e}"
                    );
                };
                let filter = Filter {
                    weight: &t.weight,
                    ci: s.ci,
                    co: s.co,
                    backward: false,
                };
                let y = poisoned(s.output_len(), |y| {
                    convolve(&t.x, s, filter, Some(&t.bias), algorithm, arithmetic, y);
                });
                check("forward", y, &t.y, limit);
                let filter = Filter {
                    weight: &t.weight,
                    ci: s.co,
                    co: s.ci,
                    backward: true,
                };
                let dx = poisoned(s.input_len(), |dx| {
                    convolve(&t.dy, s.reversed(), filter, None, algorithm, arithmetic, dx);
                });
                check("backward_input", dx, &t.dx, limit);
                let dw = poisoned(s.weight_len(), |dw| {
                    gradient(&t.x, &t.dy, s, algorithm, arithmetic, dw, None)
                });
                check("backward_weight", dw, &t.dw, limit);
                let db = backward_bias(&t.dy, s, arithmetic.isa());
                check("backward_bias", db, &t.db, 5e-5);
                let (dw_too, db) = backward_parameters(&t.x, &t.dy, s, algorithm, arithmetic);
                check("backward_parameters, weight", dw_too, &t.dw, limit);
                check("backward_parameters, bias", db, &t.db, 5e-5);
            }
        }
    }
}

#[test]
fn direct_products_in_bfloat16_are_those_of_rounded_operands() {
    let rounded = |values: &[f32]| -> Vec<f32> {
        let round = |&value| half::bf16::from_f32(value).to_f32();
        values.iter().map(round).collect()
    };
    for s in SHAPES.into_iter().filter(|&s| serves_bf16(s, false)) {
        let mut t = Truth::new(s);
        let (x, weight) = (rounded(&t.x), rounded(&t.weight));
        t.bias.fill(0.0);
        let expected = forward(&x, s, &weight, Some(&t.bias), Algorithm::Direct, Isa::Portable);
        let expected: Vec<f64> = expected.into_iter().map(f64::from).collect();
        for arithmetic in available().filter(|arithmetic| arithmetic.is_bf16()) {
            let y = forward(&t.x, s, &t.weight, Some(&t.bias), Algorithm::Direct, arithmetic);
            let error = relative_error(&y, &expected);
            assert!(error <= 1e-5, "{s:?} {arithmetic}: {error:e}");
        }
    }
}

#[test]
fn bias_is_optional() {
    let s = shape(1, 6, 6, 3, 5);
    let t = Truth::new(s);
    for algorithm in [Algorithm::Direct, Algorithm::Winograd] {
        let plain = forward(&t.x, s, &t.weight, None, algorithm, Isa::detect());
        let zero = forward(&t.x, s, &t.weight, Some(&[0.0; 5]), algorithm, Isa::detect());
        assert_eq!(plain, zero);
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let pool = |threads| {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap()
    };
    let pools = [pool(1), pool(2), pool(5)];
    for s in [
        shape(2, 33, 31, 12, 20),
        shape(1, 16, 16, 64, 130),
        shape(4, 64, 64, 3, 16),
    ] {
        let (x, dy, weight) = (
            noise(s.input_len(), 5),
            noise(s.output_len(), 6),
            noise(s.weight_len(), 7),
        );
        for arithmetic in available() {
            for algorithm in [Algorithm::Direct, Algorithm::Winograd] {
                let run = || {
                    let y = forward(&x, s, &weight, None, algorithm, arithmetic);
                    let dx = backward_input(&dy, s, &weight, algorithm, arithmetic);
                    let dw = backward_weight(&x, &dy, s, algorithm, arithmetic);
                    let (_, db) = backward_parameters(&x, &dy, s, algorithm, arithmetic);
                    let bits = |v: Vec<f32>| v.into_iter().map(f32::to_bits).collect::<Vec<_>>();
                    [y, dx, dw, db, backward_bias(&dy, s, arithmetic.isa())].map(bits)
                };
                let [one, two, five] = pools.each_ref().map(|pool| pool.install(run));
                assert!(one == two && one == five, "{s:?} {algorithm:?} {arithmetic}");
            }
        }
    }
}

#[test]
fn an_empty_batch_has_no_output_and_zero_gradients() {
    let s = shape(0, 4, 4, 2, 3);
    let isa = Isa::detect();
    assert!(forward(&[], s, &[1.0; 54], None, Algorithm::Auto, isa).is_empty());
    assert_eq!(backward_weight(&[], &[], s, Algorithm::Auto, isa), [0.0; 54]);
    assert_eq!(backward_bias(&[], s, isa), [0.0; 3]);
}

#[test]
#[should_panic(expected = "length of x")]
fn wrong_lengths_are_refused() {
    forward(
        &[0.0; 3],
        shape(1, 2, 2, 1, 1),
        &[0.0; 9],
        None,
        Algorithm::Auto,
        Isa::Portable,
    );
}
