//! The enums of settings files, by name (feature `serde`).

use flawforge_ops::{Precision, SsimRange};

#[test]
fn names_are_written_and_read() {
    for (value, text) in [
        (SsimRange::Unit, r#""unit""#),
        (SsimRange::FromPrediction, r#""from-prediction""#),
    ] {
        assert_eq!(serde_json::to_string(&value).unwrap(), text);
        assert_eq!(serde_json::from_str::<SsimRange>(text).unwrap(), value);
    }
    for (value, text) in [
        (Precision::F32, r#""f32""#),
        (Precision::Tf32, r#""tf32""#),
        (Precision::Bf16, r#""bf16""#),
    ] {
        assert_eq!(serde_json::to_string(&value).unwrap(), text);
        assert_eq!(serde_json::from_str::<Precision>(text).unwrap(), value);
    }
}

#[test]
fn other_names_are_errors_that_list_the_right_ones() {
    let error = serde_json::from_str::<Precision>(r#""fp16""#)
        .unwrap_err()
        .to_string();
    assert!(error.contains("fp16") && error.contains("bf16"), "{error}");
    let error = serde_json::from_str::<SsimRange>(r#""bytes""#)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("bytes") && error.contains("from-prediction"),
        "{error}"
    );
}
