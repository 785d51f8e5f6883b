//! A region of interest that an image tells itself: what lies outside has a colour of its own, which nothing inside has.
//!
//! So the region goes wherever the image goes: through windows, to simulators and detectors. What an image shows outside can
//! disturb nobody, since it is not there (proposal).

use image::{Rgb, RgbImage};

use crate::Mask;

/// The colour of pixels outside of a region of interest: a grey that no grey image has.
pub const OUTSIDE: Rgb<u8> = Rgb([127, 128, 127]);

/// What a pixel inside becomes that has this colour by chance.
pub const NEAR_OUTSIDE: Rgb<u8> = Rgb([128, 128, 128]);

/// Gives all pixels [`OUTSIDE`] of a region that colour. The region is brought to the size of the image.
pub fn paint_outside(image: &mut RgbImage, region: &Mask) {
    let region = region.scaled(image.width(), image.height());
    for (pixel, &inside) in image.pixels_mut().zip(region.pixels()) {
        if inside == 0 {
            *pixel = OUTSIDE;
        } else {
            *pixel = as_inside(*pixel);
        }
    }
}

/// The colour of a pixel inside of a region: its own, unless that is [`OUTSIDE`] by chance.
pub fn as_inside(colour: Rgb<u8>) -> Rgb<u8> {
    match colour == OUTSIDE {
        true => NEAR_OUTSIDE,
        false => colour,
    }
}

/// The region of an image whose outside was [painted](paint_outside); `None` where that is all of it.
pub fn inside(image: &RgbImage) -> Option<Mask> {
    if !image.pixels().any(|&pixel| pixel == OUTSIDE) {
        return None;
    }
    Some(Mask::from_fn(image.width(), image.height(), |x, y| {
        *image.get_pixel(x, y) != OUTSIDE
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_tells_its_region() {
        let mut image = RgbImage::from_fn(6, 4, |x, y| Rgb([x as u8, y as u8, 9]));
        image.put_pixel(1, 1, OUTSIDE);
        image.put_pixel(5, 3, OUTSIDE);
        let region = Mask::from_fn(3, 2, |x, _| x < 2);
        paint_outside(&mut image, &region);
        let found = inside(&image).unwrap();
        assert_eq!(found, Mask::from_fn(6, 4, |x, _| x < 4));
        assert_eq!(
            image.get_pixel(1, 1),
            &NEAR_OUTSIDE,
            "a pixel inside is none outside"
        );
        // Once more changes nothing.
        let before = image.clone();
        paint_outside(&mut image, &region);
        assert_eq!(image, before);
    }

    #[test]
    fn an_image_without_an_outside_has_no_region() {
        let mut image = RgbImage::from_pixel(3, 3, OUTSIDE);
        paint_outside(&mut image, &Mask::from_fn(1, 1, |_, _| true));
        assert_eq!(inside(&image), None);
    }
}
