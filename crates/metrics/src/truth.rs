//! What scores are compared with.

/// A truth about an image or a pixel: `bool` (true is anomalous), or a byte of a mask (non-zero is anomalous).
///
/// Every metric takes slices of either, so that labels and masks are handed over as they lie in memory.
pub trait Truth: Copy + Send + Sync {
    /// Whether the image or pixel is anomalous.
    fn is_anomalous(self) -> bool;

    /// Whether the pixel has a part in metrics of pixels; it has one where nothing else is said.
    fn counts(self) -> bool {
        true
    }
}

/// The truth about a pixel of an image of which a part alone is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PixelTruth {
    /// Inside, and normal.
    Normal,
    /// Inside, and anomalous.
    Anomalous,
    /// Outside: it has no part in metrics.
    Outside,
}

impl Truth for PixelTruth {
    fn is_anomalous(self) -> bool {
        self == Self::Anomalous
    }

    fn counts(self) -> bool {
        self != Self::Outside
    }
}

impl Truth for bool {
    fn is_anomalous(self) -> bool {
        self
    }
}

impl Truth for u8 {
    fn is_anomalous(self) -> bool {
        self != 0
    }
}

#[cfg(test)]
mod tests {
    use super::PixelTruth::{Anomalous, Normal, Outside};
    use crate::{
        Bins, Bootstrap, MapWithTruth, PixelSamples, PixelScores, aupro, auroc, average_precision, best_f1,
    };

    #[test]
    fn pixels_outside_have_no_part() {
        // Two rows; the right half of each is outside.
        let scores = [0.9, 0.2, 0.99, 0.98, 0.8, 0.1, 0.97, 0.96];
        let truth = [
            Anomalous, Normal, Outside, Outside, Normal, Normal, Outside, Outside,
        ];
        for bins in [None, Some(Bins::FloatBits(22))] {
            let of = || bins.map_or_else(PixelScores::exact, |bins| PixelScores::bounded(bins).unwrap());
            let (mut all, mut part) = (of(), of());
            all.push(&scores, &truth, 4, 2).unwrap();
            part.push(&[0.9, 0.2, 0.8, 0.1], &[true, false, false, false], 2, 2)
                .unwrap();
            let (all, part) = (all.finish(0.3).unwrap(), part.finish(0.3).unwrap());
            assert_eq!(all, part);
            assert_eq!((all.normal, all.anomalous), (3, 1));
        }
        let mut samples = PixelSamples::new();
        samples.push(&scores, &truth, 4, 2, true).unwrap();
        samples.push(&scores, &[Normal; 8], 4, 2, false).unwrap();
        assert!(samples.intervals(&Bootstrap::default(), 0.3).is_ok());
    }

    #[test]
    fn labels_and_masks_give_the_same() {
        let scores = [0.9, 0.2, 0.8, 0.1, 0.4, 0.3];
        let (labels, mask) = ([true, false, true, false, false, true], [255u8, 0, 1, 0, 0, 7]);
        assert_eq!(auroc(&scores, &labels), auroc(&scores, &mask));
        assert_eq!(
            average_precision(&scores, &labels),
            average_precision(&scores, &mask)
        );
        assert_eq!(best_f1(&scores, &labels), best_f1(&scores, &mask));
        let of_labels = MapWithTruth {
            scores: &scores,
            mask: &labels,
            width: 3,
            height: 2,
        };
        let of_mask = MapWithTruth {
            scores: &scores,
            mask: &mask,
            width: 3,
            height: 2,
        };
        assert_eq!(aupro(&[of_labels], 0.3), aupro(&[of_mask], 0.3));
        let mut pixels = PixelScores::exact();
        pixels.push(&scores, &labels, 3, 2).unwrap();
        pixels.push(&scores, &mask, 3, 2).unwrap();
        assert_eq!(pixels.finish(0.3).unwrap().anomalous, 6);
    }
}
