//! `predict --watch`: files are scored as they become whole, each once, until a signal.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{self, fault, grey, path, succeed};
use image::Luma;

/// Parts, each another; a dark spot on the last.
fn parts(folder: &Path, count: u32) {
    fs::create_dir_all(folder).unwrap();
    for index in 0..count {
        let mut picture = grey(48, 40, 3 * index);
        if index + 1 == count {
            (10..30).for_each(|x| (12..24).for_each(|y| picture.put_pixel(x, y, Luma([0]))));
        }
        picture.save(folder.join(format!("{index:03}.png"))).unwrap();
    }
}

fn trained(dir: &Path) -> PathBuf {
    let (good, run) = (dir.join("good"), dir.join("run"));
    parts(&good, 4);
    let start = ["train", path(&good), "--out", path(&run)];
    succeed(
        &[
            &start[..],
            &["--method", "draem", "--profile", "smoke", "--steps", "4"],
        ]
        .concat(),
    );
    run
}

/// The rows of the table without its head, and those of the lines.
fn rows(out: &Path) -> (Vec<String>, Vec<serde_json::Value>) {
    let table = fs::read_to_string(out.join("scores.csv")).unwrap();
    let lines = fs::read_to_string(out.join("scores.jsonl")).unwrap();
    (
        table.lines().skip(1).map(str::to_owned).collect(),
        lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect(),
    )
}

fn spawned(arguments: &[&str], err: &Path) -> Child {
    support::command()
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(fs::File::create(err).unwrap())
        .spawn()
        .unwrap()
}

fn wait_for(what: &str, is_there: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_there() {
        assert!(began.elapsed() < Duration::from_secs(120), "{what} did not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn send(child: &Child, signal: &str) {
    let status = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn a_watched_folder_is_scored_until_a_signal() {
    let dir = tempfile::tempdir().unwrap();
    let run = trained(dir.path());
    let at = |name: &str| dir.path().join(name);
    let (new, out, store) = (at("new"), at("out"), at("store"));
    parts(&new, 1);
    parts(&store, 3);
    let arguments = [
        "predict",
        "--watch",
        path(&new),
        "--run",
        path(&run),
        "--out",
        path(&out),
    ];
    let mut child = spawned(&arguments, &at("err"));
    let count = || fs::read_to_string(out.join("scores.jsonl")).map_or(0, |text| text.lines().count());
    wait_for("the first row", || count() == 1);
    // A second process is told who is there.
    let said = fault(&["predict", path(&store), "--run", path(&run), "--out", path(&out)]);
    assert!(said.contains(&format!("process {}", child.id())), "{said}");
    // Half a file, that is completed later; one under another name first; one that is scored and then renamed.
    let whole = fs::read(store.join("001.png")).unwrap();
    fs::write(new.join("half.png"), &whole[..whole.len() / 2]).unwrap();
    fs::copy(store.join("002.png"), new.join("later.part")).unwrap();
    std::thread::sleep(Duration::from_secs(3));
    fs::write(new.join("half.png"), &whole).unwrap();
    fs::rename(new.join("later.part"), new.join("later.png")).unwrap();
    fs::rename(new.join("000.png"), new.join("moved.png")).unwrap();
    wait_for("all rows", || count() == 3);
    // Another file takes the place of one that is scored; one stays half.
    // Pictures come after their rows.
    wait_for("its picture", || out.join("half_overlay.png").is_file());
    let before = fs::read(out.join("half_overlay.png")).unwrap();
    let mut other = image::open(store.join("001.png")).unwrap().to_luma8();
    other.put_pixel(3, 3, Luma([255]));
    other.save(at("other.png")).unwrap();
    fs::rename(at("other.png"), new.join("half.png")).unwrap();
    fs::write(new.join("never.png"), &whole[..whole.len() / 2]).unwrap();
    wait_for("the row of the other file", || count() == 4);
    std::thread::sleep(Duration::from_secs(3));
    send(&child, "-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(143));
    let err = fs::read_to_string(at("err")).unwrap();
    assert!(
        err.contains("1 file has no row, because it could not be decoded yet or still changed: ")
            && err.contains("/never.png; the next call takes it"),
        "{err}"
    );
    assert_eq!(
        fs::read(out.join("half_overlay.png")).unwrap(),
        before,
        "its pictures are kept"
    );
    let (_, lines) = rows(&out);
    let mut names: Vec<&str> = lines.iter().map(|row| row["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names[..2], ["000", "half"]);
    assert!(names[2].starts_with("half_") && names[3] == "later", "{names:?}");
    assert!(out.join(format!("{}_overlay.png", names[2])).is_file());
    assert!(lines.iter().all(|row| row["error"].is_null()), "{lines:?}");
}
