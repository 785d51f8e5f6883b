//! Poisson blending against OpenCV on real pairs of images, made by `tests/golden/poisson_pairs.py`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use flawforge_augment::Mask;
use flawforge_augment::poisson::{Guidance, seamless_clone};
use flawforge_testing::{Need, skip};

#[test]
fn real_pairs_agree_with_opencv() {
    let Some(folder) = std::env::var_os("FLAWFORGE_POISSON_PAIRS").map(PathBuf::from) else {
        return skip(Need::Peer, "FLAWFORGE_POISSON_PAIRS names no folder");
    };
    let read = |pair: usize, name: &str| image::open(folder.join(format!("{pair:03}_{name}.png"))).unwrap();
    let pairs = (0..)
        .take_while(|pair| folder.join(format!("{pair:03}_source.png")).exists())
        .count();
    assert!(pairs > 0, "no pairs in {}", folder.display());
    for (name, guidance) in [("normal", Guidance::Normal), ("mixed", Guidance::Mixed)] {
        let (mut spent, mut all, mut equal, mut far, mut worst) = (Duration::ZERO, 0, 0, 0, 0);
        for pair in 0..pairs {
            let [source, destination, expected] =
                ["source", "destination", name].map(|name| read(pair, name).into_rgb8());
            let mask = read(pair, "mask").into_luma8();
            let mask = Mask::from_bytes(mask.width(), mask.height(), mask.into_raw()).unwrap();
            let center = (source.width() / 2, source.height() / 2);
            let start = Instant::now();
            let found = seamless_clone(&source, &destination, &mask, center, guidance).unwrap();
            spent += start.elapsed();
            for (found, (expected, before)) in found.pixels().zip(expected.pixels().zip(destination.pixels()))
            {
                let difference = (0..3).map(|c| found.0[c].abs_diff(expected.0[c])).max();
                // Pixels that neither changed say nothing.
                if expected != before || found != before {
                    let difference = difference.unwrap_or(0);
                    all += 1;
                    equal += usize::from(difference == 0);
                    far += usize::from(difference > 2);
                    worst = worst.max(difference);
                }
            }
        }
        println!(
            "{name}: {pairs} pairs, {all} changed pixels, {:.4} % equal, {far} more than two levels off, at most \
             {worst}; {:.2} ms per blend",
            100.0 * equal as f64 / all as f64,
            1000.0 * spent.as_secs_f64() / pairs as f64
        );
        assert!(
            all > 0 && far as f64 <= 0.001 * all as f64,
            "{name}: {far} of {all}"
        );
    }
}
