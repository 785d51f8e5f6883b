//! Residual networks and NSA's network against torchvision and PyTorch, on weights that both sides make by formula
//! (`golden/residual_networks.py`, where the rule is written down).

use std::collections::HashMap;

use candle_core::{Device, Tensor};
use flawforge_models::{ModelError, NsaNetwork, ParameterSpec, ResNet, ResNetKind, Role, STAGES, import};
use flawforge_ops::{Mode, Tape, bce_loss};
use rand::SeedableRng;
use serde_json::Value;

const SIZE: usize = 64;
const SAMPLES: usize = 16;

fn golden() -> Value {
    serde_json::from_str(include_str!("golden/residual_networks.json")).unwrap()
}

/// Splitmix64 of (stream, element), in [0, 1).
fn uniform(stream: u64, count: usize) -> Vec<f64> {
    (1..=count as u64)
        .map(|index| {
            let mut z = index
                .wrapping_mul(0x9E37_79B9_7F4A_7C15)
                .wrapping_add(stream.wrapping_mul(0xD134_2543_DE82_EF95));
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^= z >> 31;
            (z >> 11) as f64 / (1u64 << 53) as f64
        })
        .collect()
}

/// The last norm of a residual branch: the one after which no other of its block comes.
fn ends_branch(specification: &[ParameterSpec], name: &str) -> bool {
    let Some((block, norm)) = name
        .strip_suffix(".weight")
        .and_then(|name| name.rsplit_once(".bn"))
    else {
        return false;
    };
    let Ok(number) = norm.parse::<usize>() else {
        return false;
    };
    let next = format!("{block}.bn{}.weight", number + 1);
    block.contains("layer") && !specification.iter().any(|spec| spec.name == next)
}

fn weights(specification: &[ParameterSpec]) -> HashMap<String, Tensor> {
    let counted = specification.iter().filter(|spec| spec.role != Role::BatchCount);
    counted
        .enumerate()
        .map(|(stream, spec)| {
            let count = spec.shape.iter().product();
            let area = || spec.shape[2..].iter().product::<usize>() as f64;
            let scale = match spec.role {
                Role::FanOutWeight => (6.0 / (spec.shape[1] as f64 * area())).sqrt(),
                Role::TransposedWeight => (6.0 / (spec.shape[0] as f64 * area() / 4.0)).sqrt(),
                Role::RunningVar => 0.5,
                _ => 0.2,
            };
            let center = match spec.role {
                Role::RunningVar | Role::UnitNormWeight => 1.0,
                _ => 0.0,
            };
            let factor = if ends_branch(specification, &spec.name) {
                0.25
            } else {
                1.0
            };
            let values: Vec<f32> = uniform(stream as u64, count)
                .into_iter()
                .map(|u| (factor * (center + scale * (2.0 * u - 1.0))) as f32)
                .collect();
            let tensor = Tensor::from_vec(values, spec.shape.as_slice(), &Device::Cpu).unwrap();
            (spec.name.clone(), tensor)
        })
        .collect()
}

fn images(stream: u64, count: usize) -> Tensor {
    let values: Vec<f32> = uniform(stream, count * SIZE * SIZE * 3)
        .into_iter()
        .map(|u| (4.0 * u - 2.0) as f32)
        .collect();
    Tensor::from_vec(values, (count, SIZE, SIZE, 3), &Device::Cpu).unwrap()
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    let values: Vec<f32> = tensor.flatten_all().unwrap().to_vec1().unwrap();
    values.into_iter().map(f64::from).collect()
}

/// Compares an output with its summary, relative to its root mean square.
fn assert_summary(what: &str, output: &Tensor, expected: &Value, tolerance: f64) {
    let values = numbers(output);
    assert_eq!(values.len() as u64, expected["count"].as_u64().unwrap(), "{what}");
    let rms = expected["rms"].as_f64().unwrap();
    let near = |name: &str, actual: f64, expected: &Value| {
        let expected = expected.as_f64().unwrap();
        let error = (actual - expected).abs() / rms;
        assert!(error <= tolerance, "{what} {name}: {actual}, not {expected}");
    };
    let count = values.len() as f64;
    near("mean", values.iter().sum::<f64>() / count, &expected["mean"]);
    near(
        "rms",
        (values.iter().map(|v| v * v).sum::<f64>() / count).sqrt(),
        &expected["rms"],
    );
    let step = values.len() / SAMPLES;
    for (index, sample) in expected["samples"].as_array().unwrap().iter().enumerate() {
        near(&format!("sample {index}"), values[index * step], sample);
    }
}

#[test]
fn features_are_torchvisions() {
    let golden = golden();
    for kind in ResNetKind::ALL {
        let expected = &golden["networks"][kind.name()];
        let specification = ResNet::specification(kind, STAGES);
        assert_eq!(specification.len() as u64, expected["tensors"].as_u64().unwrap());
        // The last two of torchvision's names are a running variance and its count.
        assert_eq!(
            specification[specification.len() - 2].name,
            expected["last"].as_str().unwrap()
        );
        let network = ResNet::from_tensors(kind, STAGES, &weights(&specification), &Device::Cpu).unwrap();
        let outputs = network.stages(&images(1000, 1), STAGES).unwrap();
        for (stage, (output, expected)) in
            (1..).zip(outputs.iter().zip(expected["stages"].as_array().unwrap()))
        {
            assert_eq!(output.dim(3).unwrap(), kind.channels(stage));
            assert_summary(&format!("{} stage {stage}", kind.name()), output, expected, 1e-5);
        }
    }
}

#[test]
fn a_state_dict_may_hold_more_but_not_less() {
    let kind = ResNetKind::ResNet18;
    let whole = weights(&ResNet::specification(kind, STAGES));
    let mut tensors = whole.clone();
    tensors.insert("fc.weight".into(), whole["conv1.weight"].clone());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("resnet18.safetensors");
    candle_core::safetensors::save(&tensors, &path).unwrap();
    let network = import::read_resnet(&path, kind, 2, &Device::Cpu).unwrap();
    let whole = ResNet::from_tensors(kind, STAGES, &whole, &Device::Cpu).unwrap();
    let (partly, wholly) = (
        network.stages(&images(1000, 1), STAGES).unwrap(),
        whole.stages(&images(1000, 1), 2).unwrap(),
    );
    assert_eq!(partly.len(), 2);
    assert!(partly.iter().zip(&wholly).all(|(a, b)| numbers(a) == numbers(b)));

    tensors.remove("layer2.1.bn2.running_var");
    let fault = ResNet::from_tensors(kind, 2, &tensors, &Device::Cpu).unwrap_err();
    assert!(matches!(&fault, ModelError::MissingTensor { name } if name == "layer2.1.bn2.running_var"));
    assert!(ResNet::from_tensors(kind, 1, &tensors, &Device::Cpu).is_ok());
    let other = ResNet::from_tensors(ResNetKind::ResNet50, 1, &tensors, &Device::Cpu);
    assert!(other.is_err());
}

#[test]
fn random_networks_follow_their_seed_and_keep_the_scale() {
    let outputs = |seed| {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let network = ResNet::new(ResNetKind::ResNet18, 3, &mut rng, &Device::Cpu).unwrap();
        network
            .stages(&images(1000, 1), 3)
            .unwrap()
            .iter()
            .map(numbers)
            .collect::<Vec<_>>()
    };
    let first = outputs(1);
    assert_eq!(first, outputs(1));
    assert_ne!(first, outputs(2));
    let mean = first[2].iter().sum::<f64>() / first[2].len() as f64;
    assert!((0.05..100.0).contains(&mean), "{mean}");
}

#[test]
fn nsas_network_has_its_parameters() {
    let count = |width| ParameterSpec::count_trainable(&NsaNetwork::specification(width));
    assert_eq!(count(64), 11_497_712);
    assert_eq!(golden()["nsa_parameters"], 11_497_712);
    assert!(count(32) < count(64) / 3);
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
    for (width, part) in [(0, "at least 1"), (6, "multiple of 4")] {
        let fault = NsaNetwork::new(width, &mut rng, &Device::Cpu)
            .unwrap_err()
            .to_string();
        assert!(fault.contains(part), "{fault}");
    }
}

#[test]
fn nsas_network_computes_what_pytorchs_does() {
    let golden = golden();
    let network = NsaNetwork::from_tensors(&weights(&NsaNetwork::specification(64)), &Device::Cpu).unwrap();
    let map = network.forward(&images(1000, 1), Mode::Eval).unwrap();
    assert_eq!(map.dims(), [1, SIZE, SIZE, 1]);
    assert_summary("nsa", &map, &golden["nsa"], 2e-5);
    let folded = network
        .folded()
        .unwrap()
        .forward(&images(1000, 1), Mode::Eval)
        .unwrap();
    assert_summary("nsa folded", &folded, &golden["nsa"], 2e-5);

    let expected = &golden["nsa_step"];
    let target: Vec<f32> = uniform(1001, SIZE * SIZE * 2)
        .into_iter()
        .map(|u| u as f32)
        .collect();
    let target = Tensor::from_vec(target, (2, SIZE, SIZE, 1), &Device::Cpu).unwrap();
    let tape = Tape::record();
    let map = network.forward(&images(1002, 2), Mode::Train).unwrap();
    let loss = bce_loss(&map, &target).unwrap();
    let gradients = tape.backward(&[(&loss, 1.0)]).unwrap();
    let loss = f64::from(loss.to_scalar::<f32>().unwrap());
    assert!((loss - expected["loss"].as_f64().unwrap()).abs() < 1e-5, "{loss}");
    let mean = numbers(network.parameters().var("encoder.bn1.running_mean").unwrap());
    for (mean, expected) in mean.iter().zip(expected["running_mean"].as_array().unwrap()) {
        assert!((mean - expected.as_f64().unwrap()).abs() < 1e-6);
    }
    for (name, expected) in expected["gradients"].as_object().unwrap() {
        let gradient = numbers(gradients.get(network.parameters().var(name).unwrap()).unwrap());
        let norm = gradient.iter().map(|v| v * v).sum::<f64>().sqrt();
        let wanted = expected["norm"].as_f64().unwrap();
        // Rounding decides on some ReLUs near their kink, so that single precision itself is this far off.
        assert!(
            (norm / wanted - 1.0).abs() < 5e-3,
            "{name}: norm {norm}, not {wanted}"
        );
        for (value, expected) in gradient.iter().zip(expected["first"].as_array().unwrap()) {
            let error = (value - expected.as_f64().unwrap()).abs() / wanted;
            assert!(error < 2e-3, "{name}: {value}, not {expected}");
        }
    }
    assert_eq!(network.parameters().batches_seen(), 1);
}
