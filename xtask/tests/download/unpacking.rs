//! What comes out of an archive, and everything that must not.

use std::fs;

use xtask::download::{DataSet, DownloadError, Show, unpack};

use crate::archives::{data_set, gz, list, put, sound, xz};

/// Unpacks an archive; checks that nothing appeared beside the target folder.
fn unpacked(
    content: &[u8],
    archive: &str,
    adjust: impl FnOnce(&mut DataSet),
) -> Result<Vec<String>, DownloadError> {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (file, target) = (dir.path().join(archive), dir.path().join("inside/target"));
    fs::create_dir(dir.path().join("inside")).expect("made");
    fs::write(&file, content).expect("written");
    let mut set = data_set(content, archive, Vec::new());
    adjust(&mut set);
    let outcome = unpack(&file, &target, &set, Show::Nothing);
    assert_eq!(
        fs::read_dir(dir.path()).expect("listed").count(),
        2,
        "something was written outside"
    );
    assert!(
        fs::read_dir(dir.path().join("inside")).expect("listed").count() <= 1,
        "something was written outside"
    );
    outcome.map(|()| list(&target, &target))
}

#[test]
fn sound_archives_unpack_without_their_top_folder() {
    for (content, name) in [(gz(&sound()), "things.tar.gz"), (xz(&sound()), "things.tar.xz")] {
        assert_eq!(
            unpacked(&content, name, |_| {}).expect("unpacked"),
            ["images/a/1.jpg", "images/b/2.jpg"]
        );
    }
    // Some archives come as several compressed streams in a row.
    let plain = sound();
    let (first, second) = plain.split_at(10_000);
    let streams = [xz(first), xz(second)].concat();
    assert_eq!(
        unpacked(&streams, "things.tar.xz", |_| {})
            .expect("unpacked")
            .len(),
        2
    );
    let streams = [gz(first), gz(second)].concat();
    assert_eq!(
        unpacked(&streams, "things.tar.gz", |_| {})
            .expect("unpacked")
            .len(),
        2
    );
}

#[cfg(unix)]
#[test]
fn modes_in_the_archive_are_ignored() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (file, target) = (dir.path().join("things.tar.gz"), dir.path().join("target"));
    let content = gz(&sound());
    fs::write(&file, &content).expect("written");
    unpack(
        &file,
        &target,
        &data_set(&content, "things.tar.gz", Vec::new()),
        Show::Nothing,
    )
    .expect("unpacked");
    let mode = fs::metadata(target.join("images/a/1.jpg"))
        .expect("there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o7111, 0, "{mode:o}");
}

fn hostile(build: impl FnOnce(&mut tar::Builder<Vec<u8>>)) -> String {
    let mut tar = tar::Builder::new(Vec::new());
    put(
        &mut tar,
        tar::EntryType::Regular,
        b"things/images/a/1.jpg",
        b"fine",
    );
    build(&mut tar);
    let content = gz(&tar.into_inner().expect("finished"));
    match unpacked(&content, "things.tar.gz", |_| {}) {
        Err(error @ DownloadError::Hostile { .. }) => error.to_string(),
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn hostile_entries_are_refused() {
    use tar::EntryType as Kind;
    for name in ["../out.txt", "things/../../out.txt", "a/b/../../../../out.txt"] {
        let error = hostile(|tar| put(tar, Kind::Regular, name.as_bytes(), b"x"));
        assert!(error.contains(name) && error.contains(".."), "{error}");
    }
    assert!(hostile(|tar| put(tar, Kind::Regular, b"/tmp/out.txt", b"x")).contains("absolute"));
    assert!(hostile(|tar| put(tar, Kind::Directory, b"../out/", b"")).contains("leads out"));
    assert!(hostile(|tar| put(tar, Kind::Regular, b"a\\..\\b", b"x")).contains("character"));
    assert!(hostile(|tar| put(tar, Kind::Fifo, b"pipe", b"")).contains("a pipe"));
    assert!(hostile(|tar| put(tar, Kind::Char, b"null", b"")).contains("a device"));
    assert!(hostile(|tar| put(tar, Kind::Regular, b"things/images/a/1.jpg", b"x")).contains("there twice"));
    for kind in [Kind::Symlink, Kind::Link] {
        let error = hostile(|tar| {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(kind);
            header.set_size(0);
            tar.append_link(&mut header, "things/link", "/etc")
                .expect("appended");
            put(tar, Kind::Regular, b"things/link/out.txt", b"x");
        });
        assert!(
            error.contains("things/link: a ") && error.contains("link is not unpacked"),
            "{error}"
        );
    }
}

#[test]
fn bombs_are_bounded() {
    use tar::EntryType as Kind;
    let many = hostile(|tar| (0..20).for_each(|i| put(tar, Kind::Regular, format!("{i}").as_bytes(), b"")));
    assert!(many.ends_with("more than 10 files"), "{many}");
    let big = hostile(|tar| put(tar, Kind::Regular, b"zeros", &vec![0; 200_000]));
    assert!(big.ends_with("more than 100000 bytes in its files"), "{big}");
    let sum = hostile(|tar| {
        (0..3).for_each(|i| put(tar, Kind::Regular, format!("{i}").as_bytes(), &vec![0; 40_000]));
    });
    assert!(sum.ends_with("bytes in its files"), "{sum}");

    // A name of eight megabytes, which a tar reader would hold in memory.
    let mut tar = tar::Builder::new(Vec::new());
    put(
        &mut tar,
        Kind::GNULongName,
        b"././@LongLink",
        &vec![b'a'; 8 << 20],
    );
    put(&mut tar, Kind::Regular, b"x", b"x");
    let content = gz(&tar.into_inner().expect("finished"));
    let error = unpacked(&content, "things.tar.gz", |_| {})
        .expect_err("refused")
        .to_string();
    assert!(error.contains("without end"), "{error}");
}

#[test]
fn every_truncated_archive_is_an_error() {
    for (content, name) in [(gz(&sound()), "things.tar.gz"), (xz(&sound()), "things.tar.xz")] {
        for length in (0..content.len() - 2_000).step_by(1_777) {
            let outcome = unpacked(&content[..length], name, |_| {});
            assert!(outcome.is_err(), "{name} cut at {length} unpacked");
        }
    }
    assert!(
        unpacked(&gz(b""), "things.tar.gz", |_| {}).is_err(),
        "an empty archive"
    );
    let lacking = unpacked(&gz(&sound()), "things.tar.gz", |set| {
        set.contains = vec!["images/z".into()]
    });
    assert!(
        lacking
            .expect_err("lacking")
            .to_string()
            .ends_with("images/z is not in it")
    );
}
