//! What is taken where nobody names a method or a profile.

use flawforge_training::{Method, gpu_available};

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
