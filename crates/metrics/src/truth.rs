//! What scores are compared with.

/// A truth about an image or a pixel: `bool` (true is anomalous), or a byte of a mask (non-zero is anomalous).
///
/// Every metric takes slices of either, so that labels and masks are handed over as they lie in memory.
pub trait Truth: Copy + Send + Sync {
    /// Whether the image or pixel is anomalous.
    fn is_anomalous(self) -> bool;
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
    use crate::{MapWithTruth, PixelScores, aupro, auroc, average_precision, best_f1};

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
