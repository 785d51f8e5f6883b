//! The kernels compile, with or without a GPU.

use flawforge_ops::cuda::{ARCHITECTURES, compile_all};

#[test]
fn every_kernel_file_compiles_for_every_architecture() {
    for capability in ARCHITECTURES {
        let compiled = compile_all(capability).unwrap();
        let mut names: Vec<&str> = compiled.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), compiled.len(), "{names:?}");
        assert!(names.contains(&"flawforge_adam_f32x1"), "{names:?}");
        assert!(names.contains(&"flawforge_batch_norm_bf16x8"), "{names:?}");
        for (name, ptx) in compiled {
            assert!(ptx.contains(&format!(".target sm_{capability}")), "{name}");
            assert!(ptx.contains(".visible .entry"), "{name} has no kernel");
        }
    }
}

#[test]
fn an_unknown_architecture_is_an_error_with_the_compilers_words() {
    let fault = compile_all(3).unwrap_err().to_string();
    assert!(fault.contains("compute capability 3"), "{fault}");
}
