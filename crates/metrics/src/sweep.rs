//! One walk down the thresholds, from which all metrics are read.

use crate::error::{MetricError, both_classes};

/// Fixed-point unit of [`Group::share`]. Integers add up to the same sum in any order, so that merged
/// accumulators agree to the last bit; 2^60 leaves an error of about 1e-12 for a component of a megapixel.
pub(crate) const SHARE_UNIT: u64 = 1 << 60;

/// The fixed-point part `1 / size` that one pixel is of its component.
pub(crate) fn share(component_size: u32) -> u128 {
    u128::from(SHARE_UNIT / u64::from(component_size.max(1)))
}

/// All truths at one threshold.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Group {
    /// Normal truths above this threshold and below the previous group.
    pub(crate) normal_above: u64,
    /// Normal truths at this threshold.
    pub(crate) normal: u64,
    /// Anomalous truths at this threshold.
    pub(crate) anomalous: u64,
    /// Sum of [`share`] over the anomalous truths at this threshold. Zero where AUPRO is not wanted.
    pub(crate) share: u128,
}

/// How many truths there are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Totals {
    pub(crate) anomalous: u64,
    pub(crate) normal: u64,
    pub(crate) components: u64,
}

/// The metrics, as fractions, with the largest possible errors should the members of a group differ in score.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome {
    pub(crate) auroc: f64,
    pub(crate) average_precision: f64,
    pub(crate) aupro: f64,
    pub(crate) auroc_error: f64,
    pub(crate) average_precision_error: f64,
    pub(crate) aupro_error: f64,
}

/// Walks down the groups (descending thresholds; only groups with an anomalous truth need be given).
///
/// With `binned`, the members of a group may in truth have different scores, and the errors say how far
/// the metrics of the true scores can be from those of the groups; otherwise they are zero.
pub(crate) fn sweep(
    groups: impl Iterator<Item = Group>,
    totals: Totals,
    limit: f64,
    binned: bool,
) -> Result<Outcome, MetricError> {
    both_classes(totals.anomalous, totals.normal)?;
    let (positives, negatives) = (totals.anomalous as f64, totals.normal as f64);
    let pro_unit = SHARE_UNIT as f64 * totals.components.max(1) as f64;
    let stop = limit * negatives;

    let (mut above_normal, mut above_anomalous, mut above_share) = (0u64, 0u64, 0u128);
    let mut twice_wins = 0u128; // pairs won, twice, so that a tie counts as a whole number
    let mut tied_pairs = 0u128;
    let (mut precision, mut precision_low, mut precision_high) = (0f64, 0f64, 0f64);
    let (mut area, mut area_error) = (0f64, 0f64); // under PRO, over the number of false positives
    let mut area_end = 0f64;

    for group in groups {
        let before = above_normal + group.normal_above;
        let after = before + group.normal;
        let tied = u128::from(group.anomalous) * u128::from(group.normal);
        twice_wins += 2 * u128::from(group.anomalous) * u128::from(totals.normal - after) + tied;
        tied_pairs += tied;

        let hits = (above_anomalous + group.anomalous) as f64;
        precision += group.anomalous as f64 * hits / (hits + after as f64);
        if binned {
            precision_low += lowest_precision(above_anomalous as f64, after as f64, group.anomalous);
            precision_high += group.anomalous as f64 * hits / (hits + before as f64);
        }

        // PRO stays level up to `before`, and rises in a straight line from there to `after`.
        let pro = above_share as f64 / pro_unit;
        let rise = group.share as f64 / pro_unit;
        area += pro * ((before as f64).min(stop) - area_end).max(0.0);
        let span = group.normal as f64;
        let inside = ((after as f64).min(stop) - before as f64).max(0.0);
        if inside > 0.0 {
            area += inside * (pro + 0.5 * rise * inside / span);
            // The true curve rises somewhere in this box, at the earliest at its left edge.
            area_error += inside * rise * (1.0 - 0.5 * inside / span);
        }
        area_end = (after as f64).min(stop);

        above_normal = after;
        above_anomalous += group.anomalous;
        above_share += group.share;
    }
    area += above_share as f64 / pro_unit * (stop - area_end);

    let pairs = positives * negatives;
    let average_precision = precision / positives;
    let worst = |low: f64, high: f64| (average_precision - low).max(high - average_precision);
    Ok(Outcome {
        auroc: twice_wins as f64 / (2.0 * pairs),
        average_precision,
        aupro: area / stop,
        auroc_error: if binned {
            0.5 * tied_pairs as f64 / pairs
        } else {
            0.0
        },
        average_precision_error: if binned {
            worst(precision_low / positives, precision_high / positives)
        } else {
            0.0
        },
        aupro_error: if binned { area_error / stop } else { 0.0 },
    })
}

/// Groups with an anomalous truth, from groups that each stand for themselves: those without one are counted into the next.
pub(crate) fn with_anomalous(groups: impl Iterator<Item = Group>) -> impl Iterator<Item = Group> {
    let mut normal_above = 0;
    groups.filter_map(move |group| {
        if group.anomalous == 0 {
            normal_above += group.normal;
            return None;
        }
        Some(Group {
            normal_above: std::mem::take(&mut normal_above),
            ..group
        })
    })
}

/// The least sum of precisions that `count` anomalous truths of one bin can have: all normal truths of the
/// bin come first (`after` of them in all), then the anomalous ones with a threshold each.
fn lowest_precision(hits_before: f64, after: f64, count: u64) -> f64 {
    if count <= 64 {
        return (1..=count)
            .map(|i| (hits_before + i as f64) / (hits_before + i as f64 + after))
            .sum();
    }
    // The terms grow with i, so that the integral from 0 to count lies below their sum.
    let count = count as f64;
    count - after * ((hits_before + count + after) / (hits_before + after).max(f64::MIN_POSITIVE)).ln()
}
