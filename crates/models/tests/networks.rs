//! Shapes, names, beginnings, graphs, and weights that come and go.

use std::collections::{BTreeSet, HashMap};

use candle_core::{DType, Device, IndexOp, Tensor};
use flawforge_models::import::{ColorOrder, read_discriminative, read_reconstructive, write};
use flawforge_models::{
    Detector, Discriminative, Draem, ModelError, ParameterSpec, Parameters, Reconstructive, Role,
    bytes_to_tensor,
};
use flawforge_ops::{Mode, concat, softmax};
use image::{Rgb, RgbImage};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const CPU: Device = Device::Cpu;

#[test]
fn the_paper_widths_have_the_published_sizes() {
    let (r, s) = (
        Reconstructive::specification(128),
        Discriminative::specification(64),
    );
    assert_eq!(ParameterSpec::count_trainable(&r), 69_048_579);
    assert_eq!(ParameterSpec::count_trainable(&s), 28_374_146);
    assert_eq!((r.len(), s.len()), (156, 191));
    let convolutions = |specification: &[ParameterSpec]| -> usize {
        let of_conv = |spec: &&ParameterSpec| matches!(spec.role, Role::ConvWeight | Role::ConvBias { .. });
        specification
            .iter()
            .filter(of_conv)
            .map(|spec| spec.shape.iter().product::<usize>())
            .sum()
    };
    assert_eq!(convolutions(&r), 69_027_075);
}

#[test]
fn names_are_those_of_draem() {
    let names = |specification: Vec<ParameterSpec>| -> BTreeSet<String> {
        specification.into_iter().map(|spec| spec.name).collect()
    };
    let norm = [
        "weight",
        "bias",
        "running_mean",
        "running_var",
        "num_batches_tracked",
    ];
    let mut expected = BTreeSet::new();
    let mut add = |prefix: String, conv: &[usize]| {
        for i in conv {
            expected.extend(["weight", "bias"].map(|t| format!("{prefix}.{i}.{t}")));
            expected.extend(norm.map(|t| format!("{prefix}.{}.{t}", i + 1)));
        }
    };
    (1..=5).for_each(|i| add(format!("encoder.block{i}"), &[0, 3]));
    (1..=4).for_each(|i| add(format!("decoder.up{i}"), &[1]));
    (1..=4).for_each(|i| add(format!("decoder.db{i}"), &[0, 3]));
    expected.extend(["decoder.fin_out.0.weight".into(), "decoder.fin_out.0.bias".into()]);
    assert_eq!(names(Reconstructive::specification(2)), expected);

    let mut expected = BTreeSet::new();
    let mut add = |prefix: String, conv: &[usize]| {
        for i in conv {
            expected.extend(["weight", "bias"].map(|t| format!("{prefix}.{i}.{t}")));
            expected.extend(norm.map(|t| format!("{prefix}.{}.{t}", i + 1)));
        }
    };
    (1..=6).for_each(|i| add(format!("encoder_segment.block{i}"), &[0, 3]));
    for stage in ["_b", "1", "2", "3", "4"] {
        add(format!("decoder_segment.up{stage}"), &[1]);
        add(format!("decoder_segment.db{stage}"), &[0, 3]);
    }
    expected.extend([
        "decoder_segment.fin_out.0.weight".into(),
        "decoder_segment.fin_out.0.bias".into(),
    ]);
    assert_eq!(names(Discriminative::specification(2)), expected);
}

#[test]
fn weights_begin_as_draem_begins_and_a_seed_repeats_them() {
    let (a, b) = (reconstructive(8, 1), reconstructive(8, 1));
    let other = reconstructive(8, 2);
    for ((name, a), (_, b)) in tensors(a.parameters()).into_iter().zip(tensors(b.parameters())) {
        assert_eq!(values(&a), values(&b), "{name}");
    }
    let weight = |net: &Reconstructive, name: &str| values(net.parameters().var(name).unwrap().as_tensor());
    assert_ne!(
        weight(&a, "encoder.block1.0.weight"),
        weight(&other, "encoder.block1.0.weight")
    );

    let w = weight(&a, "encoder.block5.0.weight"); // 36,864 numbers
    let (mean, deviation) = moments(&w);
    assert!(
        mean.abs() < 4.0 * 0.02 / 192.0 && (deviation / 0.02 - 1.0).abs() < 0.02,
        "{mean} {deviation}"
    );
    let bias = weight(&a, "encoder.block5.0.bias"); // 64 numbers
    let bound = 1.0 / 24.0; // √(9·64)
    assert!(bias.iter().all(|b| b.abs() <= bound) && bias.iter().any(|b| b.abs() > 0.8 * bound));
    let scales: Vec<f32> = (1..=5)
        .flat_map(|i| weight(&a, &format!("encoder.block{i}.1.weight")))
        .collect();
    let (mean, deviation) = moments(&scales);
    assert!(
        (mean - 1.0).abs() < 0.006 && (0.015..0.025).contains(&deviation),
        "{mean} {deviation}"
    );
    assert!(weight(&a, "encoder.block1.1.bias").iter().all(|&v| v == 0.0));
    assert!(
        weight(&a, "encoder.block1.1.running_var")
            .iter()
            .all(|&v| v == 1.0)
    );
    // Pinned: the meaning of a seed must not change between versions.
    let first = &weight(&a, "encoder.block1.0.weight")[..3];
    assert_eq!(first, PINNED, "{first:?}");
}

const PINNED: [f32; 3] = [-0.004696941, -0.028216355, 0.0066605727];

#[test]
fn training_moves_the_statistics_and_evaluation_does_not() {
    let net = reconstructive(2, 3);
    let x = noise((2, 32, 48, 3), 4);
    let before = tensors(net.parameters());
    let a = net.forward(&x, Mode::Eval).unwrap();
    assert_eq!(a.dims(), [2, 32, 48, 3]);
    for ((name, old), (_, new)) in before.iter().zip(tensors(net.parameters())) {
        assert_eq!(values(old), values(&new), "{name}");
    }
    assert_eq!(net.parameters().batches_seen(), 0);
    net.forward(&x, Mode::Train).unwrap();
    assert_eq!(net.parameters().batches_seen(), 1);
    for ((name, old), (_, new)) in before.iter().zip(tensors(net.parameters())) {
        let statistic = name.contains("running") || name.contains("num_batches");
        assert_eq!(values(old) != values(&new), statistic, "{name}");
    }
    let counts = tensors(net.parameters());
    let (_, count) = counts
        .iter()
        .find(|(name, _)| name.ends_with("num_batches_tracked"))
        .unwrap();
    assert_eq!((count.dtype(), count.dims()), (DType::I64, &[][..]));
    assert_eq!(count.to_scalar::<i64>().unwrap(), 1);
}

#[test]
fn frozen_views_share_weights_and_stop_gradients() {
    let (r, s) = (reconstructive(2, 5), discriminative(2, 6));
    let frozen = r.frozen().unwrap();
    let x = noise((2, 32, 32, 3), 7);
    for mode in [Mode::Eval, Mode::Train] {
        let y = frozen.forward(&x, mode).unwrap();
        assert!(!y.track_op(), "{mode:?}");
        let y = r.forward(&x, mode).unwrap();
        let gradients = y.sqr().unwrap().mean_all().unwrap().backward().unwrap();
        for (name, var) in r.parameters().trainable() {
            assert!(gradients.get(&var).is_some(), "{mode:?} {name}");
        }
    }
    // Through a frozen R nothing reaches R, and everything of S.
    let y = frozen.forward(&x, Mode::Eval).unwrap();
    let logits = s.forward(&concat(&y, &x).unwrap(), Mode::Train).unwrap();
    assert_eq!(logits.dims(), [2, 32, 32, 2]);
    let gradients = logits.sqr().unwrap().mean_all().unwrap().backward().unwrap();
    assert!(
        r.parameters()
            .trainable()
            .iter()
            .all(|(_, var)| gradients.get(var).is_none())
    );
    assert!(
        s.parameters()
            .trainable()
            .iter()
            .all(|(_, var)| gradients.get(var).is_some())
    );
    // A frozen view follows the training of its network.
    let before = values(&frozen.forward(&x, Mode::Eval).unwrap());
    let bias = r.parameters().var("decoder.fin_out.0.bias").unwrap();
    bias.set(&(bias.as_detached_tensor() + 1.0).unwrap()).unwrap();
    let after = values(&frozen.forward(&x, Mode::Eval).unwrap());
    assert!(before.iter().zip(&after).all(|(b, a)| (a - b - 1.0).abs() < 1e-5));
}

#[test]
fn published_weights_see_the_colours_they_were_trained_with() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let (r, s) = (reconstructive(3, 8), discriminative(2, 9));
    // Statistics that are not 0 and 1, so that they are carried over too.
    r.forward(&noise((2, 32, 32, 3), 10), Mode::Train).unwrap();
    s.forward(&noise((2, 32, 32, 6), 11), Mode::Train).unwrap();

    // As if written by DRAEM: plain names and values, meant for BGR.
    write(r.parameters(), &path("r"), ColorOrder::Rgb).unwrap();
    write(s.parameters(), &path("s"), ColorOrder::Rgb).unwrap();
    let ours_r = read_reconstructive(&path("r"), ColorOrder::Bgr, &CPU).unwrap();
    let ours_s = read_discriminative(&path("s"), ColorOrder::Bgr, &CPU).unwrap();
    assert_eq!((ours_r.width(), ours_s.width()), (3, 2));
    assert_eq!(ours_r.parameters().batches_seen(), 1);
    let rgb = noise((1, 32, 32, 3), 12);
    let bgr = swap(&rgb);
    let theirs = r.forward(&bgr, Mode::Eval).unwrap();
    let ours = ours_r.forward(&rgb, Mode::Eval).unwrap();
    near(&swap(&theirs), &ours);
    assert!(
        values(&theirs)
            .iter()
            .zip(values(&ours))
            .any(|(a, b)| (a - b).abs() > 1e-3)
    );
    let joined = concat(&theirs, &bgr).unwrap();
    let ours_joined = concat(&ours, &rgb).unwrap();
    near(
        &s.forward(&joined, Mode::Eval).unwrap(),
        &ours_s.forward(&ours_joined, Mode::Eval).unwrap(),
    );

    // Exporting in DRAEM's order gives DRAEM's numbers back, exactly.
    write(ours_r.parameters(), &path("back"), ColorOrder::Bgr).unwrap();
    let back = candle_core::safetensors::load(path("back"), &CPU).unwrap();
    assert_eq!(back.len(), 156);
    for (name, tensor) in tensors(r.parameters()) {
        assert_eq!(back[&name].dims(), tensor.dims(), "{name}");
        assert_eq!(values(&back[&name]), values(&tensor), "{name}");
    }
}

#[test]
fn unfit_weights_are_named_and_change_nothing() {
    let net = reconstructive(2, 13);
    let good: HashMap<String, Tensor> = tensors(reconstructive(2, 14).parameters()).into_iter().collect();
    let before = tensors(net.parameters());
    let name = "decoder.db2.3.weight".to_owned();
    let fails = |change: &dyn Fn(&mut HashMap<String, Tensor>)| -> String {
        let mut tensors = good.clone();
        change(&mut tensors);
        let error = net.parameters().load(&tensors).unwrap_err();
        assert_eq!(
            Reconstructive::from_tensors(&tensors, &CPU)
                .unwrap_err()
                .to_string(),
            error.to_string()
        );
        error.to_string()
    };
    assert_eq!(
        fails(&|t| drop(t.remove(&name))),
        "tensor \"decoder.db2.3.weight\" is missing"
    );
    assert_eq!(
        fails(&|t| drop(t.insert(
            name.clone(),
            Tensor::zeros((4, 8, 3, 2), DType::F32, &CPU).unwrap()
        ))),
        "tensor \"decoder.db2.3.weight\" has shape [4, 8, 3, 2], the network needs [4, 8, 3, 3]"
    );
    assert_eq!(
        fails(&|t| drop(t.insert(
            name.clone(),
            Tensor::zeros((4, 8, 3, 3), DType::U8, &CPU).unwrap()
        ))),
        "tensor \"decoder.db2.3.weight\" holds U8, not floating-point numbers"
    );
    for value in [f32::NAN, f32::INFINITY] {
        let bad = Tensor::full(value, (4, 8, 3, 3), &CPU).unwrap();
        assert_eq!(
            fails(&|t| drop(t.insert(name.clone(), bad.clone()))),
            "tensor \"decoder.db2.3.weight\" holds a value that is not finite"
        );
    }
    assert_eq!(
        fails(&|t| drop(t.insert("head.weight".into(), Tensor::zeros(1, DType::F32, &CPU).unwrap()))),
        "tensor \"head.weight\" does not belong to this network"
    );
    for ((name, old), (_, new)) in before.iter().zip(tensors(net.parameters())) {
        assert_eq!(values(old), values(&new), "{name}");
    }
    // Counts may be absent, and types are converted.
    let mut lean = good.clone();
    lean.retain(|name, _| !name.ends_with("num_batches_tracked"));
    for tensor in lean.values_mut() {
        *tensor = tensor.to_dtype(DType::F64).unwrap();
    }
    net.parameters().load(&lean).unwrap();
    for (name, tensor) in tensors(net.parameters()) {
        assert_eq!(values(&tensor), values(&good[&name]), "{name}");
    }
}

#[test]
fn unfit_weight_files_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("weights.safetensors");
    let read = || read_reconstructive(&path, ColorOrder::Rgb, &CPU).unwrap_err();
    assert!(matches!(read(), ModelError::File { .. }));
    let whole = directory.path().join("whole");
    write(reconstructive(1, 15).parameters(), &whole, ColorOrder::Rgb).unwrap();
    let whole = std::fs::read(whole).unwrap();
    for cut in [0, 1, 8, 100, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let message = read().to_string();
        assert!(
            message.contains("weights.safetensors: not a whole safetensors file: ")
                && !message.contains('\n'),
            "{message}"
        );
    }
    std::fs::write(&path, &whole).unwrap();
    let other = read_discriminative(&path, ColorOrder::Bgr, &CPU)
        .unwrap_err()
        .to_string();
    assert!(
        other.contains("weights.safetensors") && other.contains("encoder_segment.block1.0.weight"),
        "{other}"
    );
}

#[test]
fn a_detector_scores_an_image_the_same_alone_and_in_a_batch() {
    let (r, s) = (reconstructive(4, 16), discriminative(4, 17));
    let train = noise((2, 64, 96, 3), 18);
    let y = r.forward(&train, Mode::Train).unwrap();
    s.forward(&concat(&y, &train).unwrap(), Mode::Train).unwrap();
    let detector = Draem::new(&r, &s, 96, 64).unwrap().with_reconstructions();
    assert_eq!(detector.input_size(), (96, 64));
    let mut rng = ChaCha8Rng::seed_from_u64(19);
    let images: Vec<RgbImage> = (0..3)
        .map(|_| RgbImage::from_fn(96, 64, |_, _| Rgb(rng.random())))
        .collect();
    let all: Vec<&RgbImage> = images.iter().collect();
    let together = detector.detect(&all).unwrap();
    assert_eq!(together.len(), 3);
    // The networks as they were trained: batch norms of their own, a graph, a batch of three.
    let (r, s) = (r.frozen().unwrap(), s.frozen().unwrap());
    let input = bytes_to_tensor(&all, &CPU).unwrap();
    let redrawn = r.forward(&input, Mode::Eval).unwrap();
    let logits = s.forward(&concat(&redrawn, &input).unwrap(), Mode::Eval).unwrap();
    let unfolded = softmax(&logits).unwrap();
    let largest = values(&redrawn)
        .iter()
        .fold(0f32, |largest, value| largest.max(value.abs()));
    assert!(largest > 0.01, "a reconstruction of nothing would show nothing");
    for (i, image) in images.iter().enumerate() {
        let alone = detector.detect(&[image]).unwrap().remove(0);
        assert_eq!(alone.map, together[i].map);
        assert_eq!(alone.score.to_bits(), together[i].score.to_bits());
        assert_eq!(alone.reconstruction, together[i].reconstruction);
        assert_eq!((alone.map.width, alone.map.height), (96, 64));
        let best = alone.map.scores.iter().copied().fold(0.0, f32::max);
        assert!(alone.score > 0.0 && alone.score <= best && best <= 1.0);
        let reconstruction = alone.reconstruction.unwrap();
        assert_eq!(reconstruction.dimensions(), (96, 64));
        // Folding changes nothing but rounding, and the networks do not mix the images of a batch either.
        let map: Vec<f32> = values(&unfolded.i(i).unwrap())
            .into_iter()
            .skip(1)
            .step_by(2)
            .collect();
        let apart = map
            .iter()
            .zip(&alone.map.scores)
            .fold(0f32, |apart, (a, b)| apart.max((a - b).abs()));
        assert!(apart < 1e-5, "{apart:e}");
        let bytes = values(&redrawn.i(i).unwrap());
        let close =
            |(value, &byte): (&f32, &u8)| (value.clamp(0.0, 1.0) * 255.0 - f32::from(byte)).abs() <= 0.501;
        assert!(bytes.iter().zip(reconstruction.as_raw()).all(close));
    }
    assert!(together[0].map != together[1].map && together[1].map != together[2].map);
    assert!(detector.detect(&[]).unwrap().is_empty());
    let error = detector
        .detect(&[&images[0], &RgbImage::new(64, 96)])
        .unwrap_err();
    assert_eq!(error.to_string(), "image 1 is 64x96, not 96x64");
    assert!(Draem::new(&r, &s, 96, 48).is_err());
}

#[test]
fn sizes_that_cannot_be_halved_are_refused() {
    let net = reconstructive(1, 20);
    let error = net.forward(&noise((1, 32, 40, 3), 21), Mode::Eval).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the network needs a width and height divisible by 16, not 40x32"
    );
    assert!(net.forward(&noise((1, 32, 32, 6), 21), Mode::Eval).is_err());
    assert!(matches!(
        Reconstructive::new(0, &mut ChaCha8Rng::seed_from_u64(0), &CPU),
        Err(ModelError::NoWidth)
    ));
}

fn reconstructive(width: usize, seed: u64) -> Reconstructive {
    Reconstructive::new(width, &mut ChaCha8Rng::seed_from_u64(seed), &CPU).unwrap()
}

fn discriminative(width: usize, seed: u64) -> Discriminative {
    Discriminative::new(width, &mut ChaCha8Rng::seed_from_u64(seed), &CPU).unwrap()
}

fn noise(shape: (usize, usize, usize, usize), seed: u64) -> Tensor {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let values: Vec<f32> = (0..shape.0 * shape.1 * shape.2 * shape.3)
        .map(|_| rng.random())
        .collect();
    Tensor::from_vec(values, shape, &CPU).unwrap()
}

fn swap(images: &Tensor) -> Tensor {
    images
        .index_select(&Tensor::new(&[2u32, 1, 0], &CPU).unwrap(), 3)
        .unwrap()
}

fn tensors(parameters: &Parameters) -> Vec<(String, Tensor)> {
    parameters.tensors().unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor
        .to_dtype(DType::F32)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap()
}

/// Equal but for the order of a sum over channels.
#[track_caller]
fn near(a: &Tensor, b: &Tensor) {
    let (a, b) = (values(a), values(b));
    let largest = a.iter().fold(0f32, |m, v| m.max(v.abs()));
    assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() <= 1e-4 * largest));
}

fn moments(values: &[f32]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
    (
        mean,
        (values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n).sqrt(),
    )
}
