//! Whether distances of details count, and from where on (proposal).

use flawforge_models::forge::Details;

use super::settings::{DetailSettings, Group};

/// Shares of normal images whose reach tells whether they differ.
const HALF: f64 = 0.5;
const NEARLY_ALL: f64 = 0.9;
/// Fewer images do not tell it: details stay out.
const FEWEST: usize = 12;

/// How details are to count, if they are measured.
pub(super) fn details(settings: &Group) -> Option<DetailSettings> {
    settings.details.filter(|details| details.weight > 0.0)
}

impl DetailSettings {
    /// How they count, where `usual` is the mean distance of normal patches, and `maxima` are the largest of images, in usual
    /// distances. `None` where images differ too much, so that the highest detail of one says little of it, and of fewer than twelve.
    pub(super) fn of(&self, usual: f32, mut maxima: Vec<f32>) -> Option<Details> {
        if maxima.len() < FEWEST {
            log::debug!("forge: fewer than {FEWEST} normal images are left out: details stay out");
            return None;
        }
        maxima.sort_by(f32::total_cmp);
        let reached = |share: f64| {
            let last = maxima.len().saturating_sub(1);
            maxima.get((share * last as f64).round() as usize).copied()
        };
        let beyond = (reached(NEARLY_ALL)? - 1.0) / (reached(HALF)? - 1.0);
        // Not of numbers that are no numbers: where half of the images reach no farther than usual.
        let are_calm = beyond <= self.restless;
        log::debug!(
            "forge: nine in ten normal images reach {beyond:.2} times as far as half of them in details{}",
            if are_calm { "" } else { ", which stay out" }
        );
        are_calm.then_some(Details {
            usual,
            reached: reached(self.below)?,
            weight: self.weight,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: DetailSettings = DetailSettings {
        weight: 2.0,
        vectors: 50,
        below: 0.9,
        restless: 1.5,
    };

    #[test]
    fn details_count_from_what_nine_in_ten_images_reach() {
        let maxima = vec![1.5, 1.4, 1.6, 1.5, 1.45, 1.55, 1.5, 1.48, 1.7, 1.9, 1.5, 1.42];
        assert_eq!(SETTINGS.of(0.25, maxima[..11].to_vec()), None, "too few");
        let details = SETTINGS.of(0.25, maxima).expect("images that are alike");
        assert_eq!((details.usual, details.reached, details.weight), (0.25, 1.7, 2.0));
    }

    #[test]
    fn restless_details_stay_out() {
        // Half reach 1.5, nine in ten 2.0: twice as far above what is usual.
        let maxima = vec![1.5, 1.4, 1.6, 1.5, 1.45, 1.95, 1.5, 1.48, 2.0, 2.5, 1.5, 1.42];
        assert_eq!(SETTINGS.of(0.25, maxima), None);
        assert_eq!(SETTINGS.of(0.25, vec![1.0; 12]), None, "nothing differs");
        assert_eq!(SETTINGS.of(0.25, vec![]), None);
    }
}
