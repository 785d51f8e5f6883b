//! The pictures that the documentation embeds are those that lie beside them.

use std::path::Path;

use base64::prelude::*;

#[test]
fn embedded_pictures_are_the_png_files() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    for name in ["steps", "kinds", "others"] {
        let picture = std::fs::read(folder.join(name).with_extension("png")).unwrap();
        let text = std::fs::read_to_string(folder.join(name).with_extension("base64")).unwrap();
        assert_eq!(
            BASE64_STANDARD.encode(picture),
            text,
            "{name}: run `cargo run --release -p flawforge-augment --example gallery`"
        );
    }
}
