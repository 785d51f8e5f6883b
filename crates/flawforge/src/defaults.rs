//! What is taken where nobody names a method, a profile or a view.

use flawforge_training::{Experiment, Method, gpu_available};

use crate::weights;

/// The network of forge in the profiles.
pub const FORGE_NETWORK: &str = "efficientnet-lite0";

/// Forge where its weights are at hand; elsewhere the paper's method, which needs none.
pub fn method() -> Method {
    match weights::find(FORGE_NETWORK) {
        Some(_) => Method::Forge,
        None => Method::LinYan,
    }
}

/// What the machine can do in minutes. Forge takes seconds under any profile, and `paper` scores at the size of the papers.
pub fn profile(method: Method) -> &'static str {
    match method {
        Method::Forge => "paper",
        _ if gpu_available() => "gpu",
        _ => "quick",
    }
}

/// Gives an experiment the [default view](Experiment::default_view) of images with files of these sizes, which are asked for
/// where it depends on them, and says where that is no square.
///
/// # Errors
/// What asking for the sizes gives.
pub fn view<E>(
    experiment: &mut Experiment,
    sizes: impl FnOnce() -> Result<Vec<(u32, u32)>, E>,
) -> Result<(), E> {
    if experiment.keeps_long_shape() {
        experiment.view = experiment.default_view(&sizes()?);
        if !experiment.view.is_stretch() {
            log::info!(
                "nearly all images are long and of one shape, which they keep: view {} (`--view stretch` squeezes them into a square)",
                experiment.view
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use flawforge_training::Profile;

    use super::*;

    #[test]
    fn every_method_has_a_profile_that_exists() {
        for &known in Method::ALL {
            assert!(Profile::builtin(profile(known)).is_ok(), "{known}");
        }
        assert_eq!(profile(Method::Forge), "paper");
        assert!([Method::Forge, Method::LinYan].contains(&method()));
    }
}
