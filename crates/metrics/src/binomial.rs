//! What a count says of a share: tails of the binomial distribution, and the interval of Clopper and Pearson.

/// A range of a share, both ends in `[0, 1]`.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// The interval of a share of which `hits` of `of` draws were seen: it holds the true share in at least `confidence` of all
/// cases, whatever that share is (Clopper and Pearson 1934: exact, never too narrow). Without draws it is `[0, 1]`.
///
/// `hits` beyond `of` count as `of`; `confidence` is in `(0, 1)`.
pub fn proportion_interval(hits: u64, of: u64, confidence: f64) -> Interval {
    let tail = (1.0 - confidence) / 2.0;
    Interval {
        low: lower_bound(hits, of, tail),
        high: upper_bound(hits, of, tail),
    }
}

/// The largest share under which so few hits are no rarer than `tail`.
pub(crate) fn upper_bound(hits: u64, of: u64, tail: f64) -> f64 {
    match hits >= of {
        true => 1.0,
        false => crossing(|share| at_most(hits, of, share) > tail),
    }
}

/// The smallest share under which so many hits are no rarer than `tail`.
fn lower_bound(hits: u64, of: u64, tail: f64) -> f64 {
    match hits {
        0 => 0.0,
        // At least `hits` hits: at most `of - hits` misses.
        hits => crossing(|share| at_most(of.saturating_sub(hits), of, 1.0 - share) <= tail),
    }
}

/// The share where a test that holds at 0 stops holding.
fn crossing(holds: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    // Each round halves the range; 60 leave nothing that an f64 near 1 could tell.
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        match holds(middle) {
            true => low = middle,
            false => high = middle,
        }
    }
    (low + high) / 2.0
}

/// The probability of at most `hits` hits in `of` draws that each hit with probability `share`.
fn at_most(hits: u64, of: u64, share: f64) -> f64 {
    if hits >= of || share <= 0.0 {
        return 1.0;
    }
    if share >= 1.0 {
        return 0.0;
    }
    // Terms by logarithms: the first of them is 1e-400 and less where there are many draws.
    let odds = (share / (1.0 - share)).ln();
    let mut term = of as f64 * (-share).ln_1p();
    let mut sum = term.exp();
    for hit in 0..hits {
        term += ((of - hit) as f64 / (hit + 1) as f64).ln() + odds;
        sum += term.exp();
    }
    sum.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scipy 1.17.1: `scipy.stats.binomtest(hits, of).proportion_ci(confidence, "exact")`.
    #[test]
    fn intervals_are_those_of_scipy() {
        for (hits, of, confidence, low, high) in SCIPY {
            let found = proportion_interval(hits, of, confidence);
            assert!(
                (found.low - low).abs() < 1e-9 && (found.high - high).abs() < 1e-9,
                "{hits}/{of}: {found:?}, scipy {low} {high}"
            );
        }
    }

    #[test]
    fn no_draws_say_nothing_and_hits_beyond_the_draws_are_all() {
        assert_eq!(proportion_interval(0, 0, 0.9), Interval { low: 0.0, high: 1.0 });
        assert_eq!(proportion_interval(9, 5, 0.9), proportion_interval(5, 5, 0.9));
    }

    const SCIPY: [(u64, u64, f64, f64, f64); 7] = [
        (0, 47, 0.9, 0.0, 0.0617501347108245),
        (1, 20, 0.95, 0.0012650894979560339, 0.24873276277202772),
        (3, 22, 0.95, 0.02905585112874669, 0.34912209725740817),
        (10, 10, 0.9, 0.7411344491066528, 1.0),
        (5, 1000, 0.99, 0.0010795066097666216, 0.014085148175253668),
        (4000, 12345, 0.95, 0.3157638851430301, 0.3323548016705875),
        (12, 13, 0.9, 0.6836602352372754, 0.9960621357723556),
    ];
}
