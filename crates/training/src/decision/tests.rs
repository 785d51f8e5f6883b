//! Thresholds from scores by hand.

use super::*;
use crate::fit::CalibrationScore;

fn calibrated(normal: usize, origin: Origin) -> Calibrated {
    let good = (0..normal).map(|i| CalibrationScore {
        image: i.to_string(),
        kind: None,
        share: None,
        score: i as f32,
        pixel: 2.0 * i as f32,
    });
    let flaw = |kind: &str, share, score| CalibrationScore {
        image: "0".to_owned(),
        kind: Some(kind.to_owned()),
        share: Some(share),
        score,
        pixel: score,
    };
    let flaws = [
        flaw("opaque", 0.0005, 3.0),
        flaw("opaque", 0.02, 1e6),
        flaw("transparent", 0.02, 1e6),
    ];
    Calibrated {
        origin,
        scores: good.chain(flaws).collect(),
    }
}

fn fixed() -> Rule {
    Rule {
        most_false_alarms: 0.0,
        ..Rule::default()
    }
}

#[test]
fn a_larger_rate_is_taken_where_simulated_anomalies_show_a_gain_and_promised_with_care() {
    // One odd image among the good ones hides most anomalies.
    let with = |flaws: f32| {
        let mut all = calibrated(60, Origin::LeftOut);
        all.scores.retain(|one| one.kind.is_none());
        all.scores[0].score = 1000.0;
        let flaw = CalibrationScore {
            kind: Some("opaque".to_owned()),
            score: flaws,
            ..all.scores[1].clone()
        };
        all.scores.extend(vec![flaw; 100]);
        all
    };
    let decision = with(500.0).decide(&Rule::default()).unwrap();
    assert!(decision.threshold < 60.0 && decision.found_by_kind[0].found == 100);
    let promise = decision.promise.unwrap();
    // scipy 1.17.1: beta.ppf(1 - 0.1 / 3, 3, 58)
    assert_eq!((promise.above, promise.confidence), (2, 0.9));
    assert!((promise.rate - SCIPY).abs() < 1e-9, "{promise:?}");
    assert!(
        decision.warnings[0].starts_with("a threshold for 1 % of false alarms finds 0 of 100"),
        "{:?}",
        decision.warnings
    );
    // Found at any rate, or at none: the first stays.
    for flaws in [2000.0, 0.0] {
        assert_eq!(
            with(flaws).decide(&Rule::default()).unwrap().threshold,
            1000f32.next_up()
        );
    }
    assert_eq!(with(500.0).decide(&fixed()).unwrap().threshold, 1000f32.next_up());
}

const SCIPY: f64 = 0.10954494959437398;

#[test]
fn a_threshold_promises_what_its_parts_allow() {
    let decision = calibrated(300, Origin::HeldOut).decide(&fixed()).unwrap();
    assert_eq!(decision.threshold, 299f32.next_up());
    assert!(decision.promise.unwrap().rate <= 0.01 && decision.warnings.is_empty());
    assert_eq!(decision.pixel_threshold, 598f32.next_up());
    let sort = |what: &str, found, of| Found {
        what: what.to_owned(),
        found,
        of,
    };
    assert_eq!(
        decision.found_by_kind,
        [sort("opaque", 1, 2), sort("transparent", 1, 1)]
    );
    assert_eq!(
        decision.found_by_size,
        [
            sort("below 0.1 % of the image", 0, 1),
            sort("1 to 5 % of the image", 2, 2)
        ]
    );
    // A band of one in ten.
    let rule = Rule {
        band: Some(0.1),
        ..fixed()
    };
    let banded = calibrated(300, Origin::HeldOut).decide(&rule).unwrap();
    let low = banded.look_from.unwrap();
    assert!(low > 270.0 && low < 299.0);
    let verdicts = [low.next_down(), low, 298.0, 1000.0, f32::NAN].map(|score| banded.verdict(score));
    use Verdict::*;
    assert_eq!(verdicts, [Normal, Look, Look, Anomalous, Look]);
    let (look, alarm) = (banded.look_promise.unwrap(), banded.promise.unwrap());
    assert!(look.rate <= 0.1 && look.above > alarm.above, "{look:?}");
    assert!(decision.look_promise.is_none());
}

#[test]
fn weak_grounds_are_said() {
    let few = calibrated(9, Origin::CrossFitted).decide(&fixed()).unwrap();
    assert_eq!(few.doubt.as_deref(), Some("threshold from 9 good parts"));
    assert!(few.warnings[0].starts_with("the threshold rests on 9 good parts; 20"));
    assert_eq!(
        few.warnings[1],
        "1 % of false alarms cannot be promised with 9 good parts, 22.6 % at best; 230 would do"
    );
    assert_eq!(
        few.in_short,
        [
            "threshold from 9 good parts",
            "22.6 % of false alarms promised, not 1 %"
        ]
    );
    // Where three rates are weighed, it says why more parts are wanted.
    let weighed = calibrated(300, Origin::HeldOut).decide(&Rule::default()).unwrap();
    assert!(
        weighed.warnings[0].ends_with(
            "339 would do (several rates were weighed, so that each has to be 96.7 % sure; for --false-alarms 1% alone 230 would do)"
        ),
        "{:?}",
        weighed.warnings
    );
    let trained = calibrated(300, Origin::Trained).decide(&fixed()).unwrap();
    assert!(trained.promise.is_none() && trained.doubt.is_some());
    let rule = Rule {
        band: Some(0.02),
        ..fixed()
    };
    let narrow = calibrated(30, Origin::LeftOut).decide(&rule).unwrap();
    assert!(narrow.look_from.is_none() && narrow.warnings[0].starts_with("the band to look at is empty: 30"));
}

#[test]
fn a_threshold_of_ones_own_is_judged_by_the_same_scores() {
    let rule = Rule {
        threshold: Some(290.0),
        ..fixed()
    };
    let decision = calibrated(300, Origin::HeldOut).decide(&rule).unwrap();
    assert_eq!((decision.threshold, decision.promise.unwrap().above), (290.0, 10));
    // Below all scores: what would be "100 in 100" is no promise.
    let low = Rule {
        threshold: Some(-3.0),
        ..fixed()
    };
    let decision = calibrated(300, Origin::HeldOut).decide(&low).unwrap();
    assert_eq!(decision.promise, None);
    assert_eq!(
        decision.warnings,
        ["300 of 300 good parts reach the threshold -3, so that nothing is promised"]
    );
    let nan = Rule {
        threshold: Some(f32::NAN),
        ..fixed()
    };
    assert!(calibrated(300, Origin::HeldOut).decide(&nan).is_err());
    let rate = Rule {
        false_alarms: 0.0,
        ..fixed()
    };
    assert!(calibrated(300, Origin::HeldOut).decide(&rate).is_err());
}

#[test]
fn what_is_assumed_of_imported_weights_is_said() {
    let warned = |origin, rule: Rule| {
        let decision = calibrated(200, origin).decide(&rule).unwrap();
        assert_eq!(decision.warnings.len(), decision.in_short.len());
        assert!(decision.promise.is_some());
        decision.warnings.iter().any(|one| one.contains("assumed"))
    };
    assert!(warned(Origin::Assumed, fixed()));
    assert!(!warned(Origin::HeldOut, fixed()));
    // Whoever gives a threshold answers for it.
    let given = Rule {
        threshold: Some(150.0),
        ..fixed()
    };
    assert!(!warned(Origin::Assumed, given));
}
