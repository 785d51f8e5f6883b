//! The whole command: a folder at the end, or nothing.

use std::fs;
use std::path::Path;

use xtask::download::{Catalogue, DownloadArgs, Show, run_with, sha256_hex};

use crate::archives::{list, put, sound, xz};
use crate::fetching::HASTE;
use crate::server::{Manner, Server};

fn catalogue(content: &[u8], address: &str) -> Catalogue {
    let text = format!(
        "[things]\ntitle = \"Things\"\narchive = \"things.tar.xz\"\nsha256 = \"{}\"\nbytes = {}\nroot = \"things\"\n\
         contains = [\"images/a\"]\nunpacked = {{ files = 10, bytes = 100000 }}\naddresses = [\"{address}/good.tar.gz\"]\n\
         page = \"http://example.org\"\nlicence = \"For tests only.\"\n",
        sha256_hex(content),
        content.len()
    );
    Catalogue::from_toml(&text).expect("a catalogue")
}

fn arguments(dir: &Path) -> DownloadArgs {
    DownloadArgs {
        datasets: vec!["things".into()],
        archive: None,
        catalogue: None,
        dir: dir.to_path_buf(),
        accept_licence: true,
        keep_archive: false,
    }
}

#[test]
fn the_command_ends_with_a_folder_and_nothing_else() {
    let content = xz(&sound());
    let server = Server::new(&content, &[("/good.tar.gz", Manner::Good)]);
    let catalogue = catalogue(&content, &server.address);
    let dir = tempfile::tempdir().expect("a temporary folder");
    let args = arguments(&dir.path().join("deep/er"));
    // What a killed command leaves behind must not be in the way.
    fs::create_dir_all(args.dir.join(".things.unpacking/images/a")).expect("made");
    fs::write(args.dir.join(".things.unpacking/images/a/1.jpg"), "half").expect("written");
    for _ in 0..2 {
        run_with(&catalogue, &args, &HASTE, Show::Nothing).expect("done");
        assert_eq!(
            list(&args.dir, &args.dir),
            ["things/images/a/1.jpg", "things/images/b/2.jpg"]
        );
        assert!(!args.dir.join(".things.unpacking").exists());
    }
    assert_eq!(server.requests().len(), 1, "the second call found it in place");
    let kept = DownloadArgs {
        keep_archive: true,
        dir: dir.path().join("kept"),
        ..args
    };
    run_with(&catalogue, &kept, &HASTE, Show::Nothing).expect("done");
    assert!(kept.dir.join("things.tar.xz").exists());
}

#[test]
fn an_archive_fetched_by_hand_is_hashed_and_left_alone() {
    let content = xz(&sound());
    let catalogue = catalogue(&content, "http://127.0.0.1:1");
    let dir = tempfile::tempdir().expect("a temporary folder");
    let archive = dir.path().join("by hand.bin");
    let args = DownloadArgs {
        archive: Some(archive.clone()),
        ..arguments(&dir.path().join("data"))
    };
    let mut damaged = content.clone();
    damaged[5000] ^= 1;
    for (bytes, fault) in [
        (&damaged[..], "SHA-256 is"),
        (&content[..100], "100 bytes instead of"),
    ] {
        fs::write(&archive, bytes).expect("written");
        let error = run_with(&catalogue, &args, &HASTE, Show::Nothing)
            .expect_err("wrong file")
            .to_string();
        assert!(error.contains("by hand.bin") && error.contains(fault), "{error}");
        assert!(!args.dir.join("things").exists());
    }
    fs::write(&archive, &content).expect("written");
    run_with(&catalogue, &args, &HASTE, Show::Nothing).expect("done");
    assert!(args.dir.join("things/images/a/1.jpg").exists() && archive.exists());
    let two = DownloadArgs {
        datasets: vec!["things".into(), "things".into()],
        ..args
    };
    assert!(
        run_with(&catalogue, &two, &HASTE, Show::Nothing).is_err(),
        "one archive, one data set"
    );
}

#[test]
fn a_failed_extraction_leaves_no_folder() {
    let mut tar = tar::Builder::new(Vec::new());
    put(
        &mut tar,
        tar::EntryType::Regular,
        b"things/images/a/1.jpg",
        b"fine",
    );
    put(&mut tar, tar::EntryType::Regular, b"../out.txt", b"x");
    let content = xz(&tar.into_inner().expect("finished"));
    let dir = tempfile::tempdir().expect("a temporary folder");
    let archive = dir.path().join("bad.tar.xz");
    fs::write(&archive, &content).expect("written");
    let args = DownloadArgs {
        archive: Some(archive),
        ..arguments(&dir.path().join("data"))
    };
    let error = run_with(&catalogue(&content, ""), &args, &HASTE, Show::Nothing)
        .expect_err("refused")
        .to_string();
    assert!(error.contains("../out.txt"), "{error}");
    assert!(list(&args.dir, &args.dir).is_empty());
    assert!(!args.dir.join("things").exists() && !args.dir.join(".things.unpacking").exists());
}

#[test]
fn unknown_names_are_told() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let args = DownloadArgs {
        datasets: vec!["thongs".into()],
        ..arguments(dir.path())
    };
    let error = run_with(&catalogue(b"x", ""), &args, &HASTE, Show::Nothing)
        .expect_err("unknown")
        .to_string();
    assert_eq!(error, "unknown data set \"thongs\": there are things");
}
