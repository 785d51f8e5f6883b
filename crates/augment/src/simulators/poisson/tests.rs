//! Blending against OpenCV, and what must not change.

use image::Rgb;

use super::*;

const SIZE: (u32, u32) = (48, 40);

fn destination() -> RgbImage {
    RgbImage::from_fn(SIZE.0, SIZE.1, |x, y| {
        let lift = if (x / 6 + y / 5) % 3 == 0 { 25 } else { 0 };
        Rgb([60 + 3 * x, 200 - 2 * y - x, 90 + x * y / 12].map(|v| (v + lift) as u8))
    })
}

fn source() -> RgbImage {
    RgbImage::from_fn(SIZE.0, SIZE.1, |x, y| {
        let dark = x.abs_diff(20).pow(2) + y.abs_diff(18).pow(2) < 60;
        let pixel = [230 - 4 * y, 40 + 3 * x + x * x / 30, 128 + (x * 7 + y * 11) % 23];
        Rgb(pixel.map(|v| if dark { v as u8 / 3 } else { v as u8 }))
    })
}

fn mask(name: &str) -> Mask {
    Mask::from_fn(SIZE.0, SIZE.1, |x, y| match name {
        "full" => true,
        "rectangle" => (8..33).contains(&x) && (5..30).contains(&y),
        "disk" => x.abs_diff(22).pow(2) + y.abs_diff(19).pow(2) < 170,
        _ => {
            ((4..16).contains(&x) && (4..18).contains(&y)) || ((14..30).contains(&x) && (15..27).contains(&y))
        }
    })
}

#[test]
fn results_are_those_of_opencv() {
    let golden = image::load_from_memory(include_bytes!("../../../tests/golden/poisson.png")).unwrap();
    let golden = golden.into_rgb8();
    let cases = [
        ("full", (24, 20)),
        ("rectangle", (30, 22)),
        ("disk", (20, 19)),
        ("two", (25, 20)),
    ];
    let guidances = [Guidance::Normal, Guidance::Mixed];
    let cases = cases
        .into_iter()
        .flat_map(|case| guidances.map(|guidance| (case, guidance)));
    let results = golden.chunks_exact((SIZE.0 * SIZE.1 * 3) as usize);
    assert_eq!(results.len(), 8);
    for (((name, center), guidance), expected) in cases.zip(results) {
        let found = seamless_clone(&source(), &destination(), &mask(name), center, guidance).unwrap();
        let worst = found
            .iter()
            .zip(expected)
            .map(|(a, b)| a.abs_diff(*b))
            .max()
            .unwrap();
        let equal = found.iter().zip(expected).filter(|(a, b)| a == b).count();
        assert!(worst <= 1, "{name}, {guidance:?}: {worst}");
        // Truncation of values next to a whole level goes either way.
        assert!(
            equal as f64 >= 0.99 * expected.len() as f64,
            "{name}, {guidance:?}: {equal}"
        );
        let changed = found
            .iter()
            .zip(destination().iter())
            .filter(|(a, b)| a != b)
            .count();
        assert!(changed > 500, "{name}, {guidance:?}: {changed}");
    }
}

#[test]
fn an_offset_of_the_source_vanishes() {
    // The source is the destination made brighter: its gradients are the same, and so is the result.
    let ground = destination();
    let brighter = RgbImage::from_fn(SIZE.0, SIZE.1, |x, y| {
        Rgb(ground.get_pixel(x, y).0.map(|v| v.saturating_add(9)))
    });
    let full = Mask::from_fn(SIZE.0, SIZE.1, |_, _| true);
    for guidance in [Guidance::Normal, Guidance::Mixed] {
        let found = seamless_clone(&brighter, &ground, &full, (24, 20), guidance).unwrap();
        let worst = found.iter().zip(ground.iter()).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(worst <= Some(1), "{guidance:?}: {worst:?}");
    }
}

#[test]
fn small_and_empty_masks_change_nothing() {
    let rows = |from: u32, to: u32| Mask::from_fn(SIZE.0, SIZE.1, move |_, y| (from..to).contains(&y));
    // The last one holds the outermost ring only.
    let ring = Mask::from_fn(SIZE.0, SIZE.1, |x, y| {
        x == 0 || y == 0 || x == SIZE.0 - 1 || y == SIZE.1 - 1
    });
    for mask in [Mask::empty(SIZE.0, SIZE.1), rows(10, 12), ring] {
        let found = seamless_clone(&source(), &destination(), &mask, (24, 20), Guidance::Normal).unwrap();
        assert_eq!(found, destination());
    }
    let nothing = RgbImage::new(0, 0);
    let found = seamless_clone(&nothing, &nothing, &Mask::empty(0, 0), (0, 0), Guidance::Normal);
    assert_eq!(found, Ok(nothing));
}

#[test]
fn what_does_not_fit_is_an_error() {
    let error = seamless_clone(
        &source(),
        &destination(),
        &Mask::empty(3, 4),
        (9, 9),
        Guidance::Normal,
    );
    assert_eq!(
        error.unwrap_err().to_string(),
        "the mask has 3x4 pixels, the source 48x40"
    );
    for center in [(11, 22), (30, 11), (37, 22), (30, 29)] {
        let error = seamless_clone(
            &source(),
            &destination(),
            &mask("rectangle"),
            center,
            Guidance::Normal,
        );
        assert!(matches!(error, Err(PoissonError::Outside { .. })), "{center:?}");
    }
    let error = seamless_clone(
        &source(),
        &destination(),
        &mask("rectangle"),
        (11, 22),
        Guidance::Normal,
    );
    assert_eq!(
        error.unwrap_err().to_string(),
        "a patch of 25x25 pixels at (-1, 10) reaches beyond the image of 48x40"
    );
}
