//! Weights: checked by the part of their hash that is published, converted without being run.

use std::fs;
use std::path::Path;

use xtask::download::{Catalogue, DownloadArgs, Show, run_with, sha256_hex};

use crate::archives::list;
use crate::fetching::HASTE;
use crate::server::{Manner, Server};

/// A state dict that PyTorch wrote.
const WEIGHTS: &[u8] = include_bytes!("../../../crates/models/tests/golden/zip.pth");

fn catalogue(sha256: &str, addresses: &[String]) -> Catalogue {
    let addresses: Vec<String> = addresses.iter().map(|address| format!("{address:?}")).collect();
    let text = format!(
        "[net]\ntitle = \"Net\"\narchive = \"net-{sha256}.pth\"\nsha256 = \"{sha256}\"\nbytes = 100000\naddresses = [{}]\n\
         page = \"http://example.org\"\nlicence = \"For tests only.\"\n",
        addresses.join(", ")
    );
    Catalogue::from_toml(&text).expect("a catalogue")
}

fn arguments(dir: &Path) -> DownloadArgs {
    DownloadArgs {
        datasets: vec!["net".into()],
        archive: None,
        catalogue: None,
        dir: dir.to_path_buf(),
        accept_licence: true,
        keep_archive: false,
    }
}

#[test]
fn weights_arrive_as_safetensors_over_a_connection_that_breaks() {
    let digest = &sha256_hex(WEIGHTS)[..8];
    for manner in [
        Manner::Good,
        Manner::BreaksOff,
        Manner::WithoutRange,
        Manner::BusyOnce,
    ] {
        let server = Server::new(WEIGHTS, &[("/net.pth", manner)]);
        let dir = tempfile::tempdir().expect("a temporary folder");
        let catalogue = catalogue(digest, &[format!("{}/net.pth", server.address)]);
        for _ in 0..2 {
            run_with(&catalogue, &arguments(dir.path()), &HASTE, Show::Nothing).expect("done");
            assert_eq!(list(dir.path(), dir.path()), ["net.safetensors"]);
        }
        let tensors = flawforge::models::import::tensors(&dir.path().join("net.safetensors")).expect("read");
        assert_eq!(tensors.len(), 7);
        assert_eq!(tensors["conv.weight"].dims(), [2, 3, 2]);
    }
}

#[test]
fn a_complete_part_needs_no_byte_and_a_wrong_one_is_begun_anew() {
    let digest = &sha256_hex(WEIGHTS)[..8];
    for part in [WEIGHTS, b"something else"] {
        let server = Server::new(WEIGHTS, &[("/net.pth", Manner::Good)]);
        let dir = tempfile::tempdir().expect("a temporary folder");
        fs::write(dir.path().join(format!("net-{digest}.pth.part")), part).expect("written");
        let catalogue = catalogue(digest, &[format!("{}/net.pth", server.address)]);
        run_with(&catalogue, &arguments(dir.path()), &HASTE, Show::Nothing).expect("done");
        assert!(dir.path().join("net.safetensors").exists());
    }
}

#[test]
fn other_files_are_refused() {
    let server = Server::new(
        WEIGHTS,
        &[
            ("/net.pth", Manner::Good),
            ("/corrupt", Manner::Corrupt),
            ("/endless", Manner::Endless),
        ],
    );
    let address = |path: &str| format!("{}{path}", server.address);
    let dir = tempfile::tempdir().expect("a temporary folder");
    let cases = [
        ("00000000", address("/net.pth"), "SHA-256 is"),
        (&sha256_hex(WEIGHTS)[..8], address("/corrupt"), "SHA-256 is"),
        (
            &sha256_hex(WEIGHTS)[..8],
            address("/endless"),
            "more than 100000 bytes",
        ),
    ];
    for (digest, address, fault) in cases {
        let error = run_with(
            &catalogue(digest, &[address]),
            &arguments(dir.path()),
            &HASTE,
            Show::Nothing,
        );
        let error = error.expect_err("refused").to_string();
        assert!(error.contains(fault), "{fault}: {error}");
        assert!(!dir.path().join("net.safetensors").exists());
    }
    // The right file of something that is no state dict.
    let other = b"not weights at all";
    let file = dir.path().join("other.pth");
    fs::write(&file, other).expect("written");
    let args = DownloadArgs {
        archive: Some(file),
        ..arguments(dir.path())
    };
    let error = run_with(
        &catalogue(&sha256_hex(other)[..8], &[]),
        &args,
        &HASTE,
        Show::Nothing,
    );
    let error = error.expect_err("refused").to_string();
    assert!(
        error.contains("other.pth") && error.contains("neither a zip archive"),
        "{error}"
    );
}
