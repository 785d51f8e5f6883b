//! Anomalies of any simulator, kept on the object.

use std::cell::RefCell;
use std::sync::Arc;

use flawforge_masks::Mask;
use image::RgbImage;
use rand::RngCore;

use crate::{AnomalySimulator, Background, Kind, Simulated};

/// Keeps what another simulator makes on the object in front of a background: pixels of the background become normal
/// again, in image and mask (proposal; after GLASS, which intersects masks with the foreground).
///
/// Simulators that draw a mask have the same as a setting of their own, which draws again when nothing is left;
/// this is for all others, and for those of other programs.
#[derive(Clone)]
pub struct OnObject {
    /// Tells object and ground apart.
    pub background: Background,
    /// What makes the anomaly.
    pub simulator: Arc<dyn AnomalySimulator>,
}

impl AnomalySimulator for OnObject {
    fn kind(&self) -> Kind {
        self.simulator.kind()
    }

    fn simulate_into(&self, normal: &RgbImage, made: &mut Simulated, rng: &mut dyn RngCore) -> bool {
        self.simulator.simulate_into(normal, made, rng)
            && OBJECTS.with_borrow_mut(|objects| {
                self.background.objects_into(normal, objects);
                let pairs = made.image.pixels_mut().zip(normal.pixels());
                for ((pixel, before), &object) in pairs.zip(objects.pixels()) {
                    if object == 0 {
                        pixel.0 = before.0.map(|level| f32::from(level) / 255.0);
                    }
                }
                made.mask.restrict(objects).is_ok() && !made.mask.is_empty()
            })
    }
}

thread_local! {
    static OBJECTS: RefCell<Mask> = RefCell::default();
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;
    use crate::{CutOut, CutPaste, Erased, Stream, to_float};

    /// The object is the right half.
    fn normal() -> RgbImage {
        RgbImage::from_fn(64, 48, |x, y| Rgb([if x < 32 { 200 } else { (x + y) as u8 }; 3]))
    }

    #[test]
    fn the_ground_stays_normal() {
        let (image, before) = (normal(), to_float(&normal()));
        let background = Background::new(200.0, 60.0);
        let simulators: [Arc<dyn AnomalySimulator>; 2] = [
            Arc::new(OnObject {
                background,
                simulator: Arc::new(CutPaste::default()),
            }),
            Arc::new(CutOut {
                erased: Erased::Black,
                background: Some(background),
                ..CutOut::default()
            }),
        ];
        for simulator in simulators {
            let mut made = 0;
            for index in 0..60 {
                let stream = Stream {
                    seed: 1,
                    step: 0,
                    index,
                };
                let Some(anomaly) = simulator.simulate(&image, &mut stream.rng("")) else {
                    continue;
                };
                made += 1;
                assert!(!anomaly.mask.is_empty());
                for (x, y, pixel) in anomaly.image.enumerate_pixels() {
                    if x < 32 {
                        assert!(!anomaly.mask.get(x, y) && pixel == before.get_pixel(x, y));
                    }
                }
            }
            assert!((20..60).contains(&made), "{made}: some lie beside the object");
        }
    }
}
