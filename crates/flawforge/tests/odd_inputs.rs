//! `predict` and what it is given by mistake: pipes, dead links, lists of other forms, full disks, numbers that are none.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{self, fault, flawforge, grey, path, succeed};

/// Parts, each another.
fn parts(folder: &Path, count: u32) {
    fs::create_dir_all(folder).unwrap();
    for index in 0..count {
        let picture = grey(48, 40, 3 * index);
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

/// The errors in the rows, by the names of the files.
fn errors(out: &Path) -> Vec<(String, String)> {
    let lines = fs::read_to_string(out.join("scores.jsonl")).unwrap();
    let rows = lines.lines().map(|line| {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let image = text("image");
        let name = image.rsplit('/').next().unwrap_or_default();
        (name.to_owned(), text("error"))
    });
    rows.collect()
}

/// The code with which a command ends, if it does within a minute.
fn ended(child: &mut Child) -> Option<i32> {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(60) {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    panic!("it did not end");
}

#[cfg(unix)]
fn pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[cfg(unix)]
#[test]
fn what_is_no_file_has_a_row_and_a_list_without_a_writer_ends_by_a_signal() {
    let dir = tempfile::tempdir().unwrap();
    let run = trained(dir.path());
    let (new, out) = (dir.path().join("new"), dir.path().join("out"));
    parts(&new, 1);
    let fifo = new.join("pipe.png");
    pipe(&fifo);
    std::os::unix::fs::symlink("nowhere.png", new.join("dead.png")).unwrap();
    let start = ["--run", path(&run), "--out", path(&out), "--scores-only"];
    let predict = |inputs: &[&str]| {
        support::command()
            .arg("predict")
            .args(inputs)
            .args(start)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    assert_eq!(ended(&mut predict(&[path(&fifo), "/dev/null"])), Some(1));
    let expected = |name: &str, error: &str| (name.to_owned(), error.to_owned());
    let (pipe_row, device_row) = (
        expected("pipe.png", "is a pipe, not a file"),
        expected("null", "is a device, not a file"),
    );
    assert_eq!(errors(&out), [pipe_row.clone(), device_row.clone()]);
    // In a folder as by name; a single one that is not there has its row too.
    assert_eq!(ended(&mut predict(&[path(&new)])), Some(1));
    assert_eq!(
        errors(&out)[2..],
        [
            expected("000.png", ""),
            expected("dead.png", "is a link to nothing")
        ]
    );
    assert_eq!(ended(&mut predict(&[path(&new.join("gone.png"))])), Some(1));
    assert_eq!(errors(&out)[4], expected("gone.png", "no such file"));
    let mut waiting = predict(&["--list", path(&fifo)]);
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(waiting.try_wait().unwrap(), None, "a list waits for its writer");
    let sent = Command::new("kill").arg(waiting.id().to_string()).status();
    assert!(sent.unwrap().success());
    assert_eq!(ended(&mut waiting), Some(143));
}

#[test]
fn lists_pass_over_blank_lines_and_say_what_they_do_not_know() {
    let dir = tempfile::tempdir().unwrap();
    let run = trained(dir.path());
    let (new, out, list) = (
        dir.path().join("new"),
        dir.path().join("out"),
        dir.path().join("list.txt"),
    );
    parts(&new, 2);
    let predict = |more: &[&str]| {
        let start = ["predict", "--run", path(&run), "--out", path(&out)];
        let all = [&start[..], &["--scores-only", "--list", path(&list)], more].concat();
        flawforge(&all)
    };
    let (first, second) = (new.join("000.png"), new.join("001.png"));
    fs::write(&list, format!("# parts of today\n \t\n{}\n", path(&first))).unwrap();
    assert_eq!(predict(&[]).status.code(), Some(1));
    let rows = errors(&out);
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0].1, "no such file; a list knows no comments");
    fs::write(&list, format!("{}\0{}\0", path(&first), path(&second))).unwrap();
    let said = String::from_utf8(predict(&[]).stderr).unwrap();
    assert!(said.contains("list.txt: holds bytes of zero; --null"), "{said}");
    assert!(predict(&["--null"]).status.success());
    assert_eq!(errors(&out).len(), 3);
    // An empty list ends as an empty folder does.
    fs::write(&list, "\n  \n").unwrap();
    let empty = dir.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let start = ["predict", "--run", path(&run), "--out", path(&out)];
    let of_list = fault(&[&start[..], &["--list", path(&list)]].concat());
    let of_folder = fault(&[&start[..], &[path(&empty)]].concat());
    assert!(of_list.ends_with("list.txt: holds no image"), "{of_list}");
    assert!(of_folder.ends_with("empty: holds no image"), "{of_folder}");
    let gone = fault(&[&start[..], &["--list", path(&dir.path().join("gone.txt"))]].concat());
    assert!(gone.ends_with("gone.txt: no such file"), "{gone}");
}

#[test]
fn mistakes_are_told_in_plain_words() {
    let dir = tempfile::tempdir().unwrap();
    let run = trained(dir.path());
    let new = dir.path().join("new");
    parts(&new, 1);
    let usage = |more: &[&str]| {
        let start = ["predict", path(&new), "--run", path(&run), "--json"];
        let said = flawforge(&[&start[..], more].concat());
        let text = String::from_utf8(said.stderr).unwrap();
        assert_eq!(said.status.code(), Some(2), "{more:?}: {text}");
        text
    };
    for (option, value, words) in [
        ("--false-alarms", "-1%", "must be above 0 and below 1"),
        ("--band", "-5%", "must be above 0 and below 1"),
        ("--min-area", "-1", "is no whole number from 0 on"),
        ("--threshold", "abc", "is no number"),
        ("--threshold", "nan", "is no finite number"),
        ("--pixel-threshold", "-inf", "is no finite number"),
    ] {
        let text = usage(&[option, value]);
        assert!(text.contains(words), "{option} {value}: {text}");
    }
    let said = flawforge(&["train", "--extend", "0", "--out", path(&run)]);
    let text = String::from_utf8(said.stderr).unwrap();
    assert!(
        said.status.code() == Some(2) && text.contains("must be at least 1"),
        "{text}"
    );
    // Places.
    let out = dir.path().join("out");
    fs::create_dir_all(out.join("scores.csv")).unwrap();
    let start = ["predict", path(&new), "--run", path(&run), "--out"];
    let text = fault(&[&start[..], &[path(&out)]].concat());
    assert!(
        text.contains(path(&out.join("scores.csv"))) && text.contains("is a folder"),
        "{text}"
    );
    let config = run.join("config.toml");
    let text = fault(&[&start[..], &[path(&config)]].concat());
    assert!(text.contains("config.toml: is a file; name a folder"), "{text}");
    let text = fault(&["predict", path(&new), "--run", path(&config), "--json"]);
    assert!(
        text.contains("config.toml: is no checkpoint") && text.contains("name the run's folder"),
        "{text}"
    );
}

/// Where standard output is full, the files go on.
#[test]
fn a_full_standard_output_stops_itself_alone() {
    if !Path::new("/dev/full").exists() {
        return flawforge_testing::skip(flawforge_testing::Need::Data, "/dev/full is not there");
    }
    let dir = tempfile::tempdir().unwrap();
    let run = trained(dir.path());
    let (new, out) = (dir.path().join("new"), dir.path().join("out"));
    parts(&new, 9);
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let said = support::command()
        .args(["predict", path(&new), "--run", path(&run), "--json"])
        .args(["--out", path(&out), "--scores-only"])
        .stdout(full)
        .output()
        .unwrap();
    let err = String::from_utf8(said.stderr).unwrap();
    assert_eq!(said.status.code(), Some(1), "{err}");
    assert_eq!(err.matches("standard output: ").count(), 1, "{err}");
    assert_eq!(errors(&out).len(), 9, "{err}");
}

#[cfg(unix)]
#[test]
fn two_signals_in_a_moment_are_one_and_a_later_one_ends_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let run = trained(dir.path());
    let (camera, out) = (dir.path().join("camera"), dir.path().join("out"));
    parts(&camera, 1);
    let err = dir.path().join("err");
    let mut child = support::command()
        .args([
            "predict",
            "--watch",
            path(&camera),
            "--run",
            path(&run),
            "--out",
            path(&out),
        ])
        .stdout(Stdio::null())
        .stderr(fs::File::create(&err).unwrap())
        .spawn()
        .unwrap();
    let began = Instant::now();
    while fs::read_to_string(out.join("scores.csv")).map_or(0, |text| text.lines().count()) < 2 {
        assert!(began.elapsed() < Duration::from_secs(60), "no row came");
        std::thread::sleep(Duration::from_millis(20));
    }
    let id = child.id().to_string();
    let both = format!("kill {id}; kill {id}");
    assert!(Command::new("sh").args(["-c", &both]).status().unwrap().success());
    assert_eq!(ended(&mut child), Some(143));
    let said = fs::read_to_string(&err).unwrap();
    assert!(said.contains("stopped by a signal after 1 image"), "{said}");
}

/// One table with rows of two settings tells them apart, and a table of an earlier version is kept.
#[test]
fn rows_of_two_settings_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let run = trained(dir.path());
    let (new, out) = (dir.path().join("new"), dir.path().join("out"));
    parts(&new, 1);
    let start = [
        "predict",
        path(&new),
        "--run",
        path(&run),
        "--out",
        path(&out),
        "--scores-only",
    ];
    succeed(&start);
    succeed(&[&start[..], &["--threshold", "2"]].concat());
    let read = |name: &str| fs::read_to_string(out.join(name)).unwrap();
    let table = read("scores.csv");
    let settings: Vec<&str> = table
        .lines()
        .map(|line| line.rsplit(',').next().unwrap())
        .collect();
    assert_eq!((settings[0], settings.len()), ("settings", 3));
    assert!(settings[1].len() == 16 && settings[1] != settings[2], "{table}");
    // As an earlier version left it: without the column.
    let earlier: Vec<&str> = table
        .lines()
        .map(|line| line.rsplit_once(',').unwrap().0)
        .collect();
    fs::write(out.join("scores.csv"), earlier.join("\n") + "\n").unwrap();
    let (_, err) = succeed(&start);
    assert!(
        err.contains("has other columns, perhaps of an earlier version; it is kept as"),
        "{err}"
    );
    assert_eq!(read("scores.csv"), table);
    assert_eq!(read("scores-earlier-1.csv").lines().count(), 3);
}

#[test]
fn images_that_were_trained_on_are_said() {
    let dir = tempfile::tempdir().unwrap();
    let run = trained(dir.path());
    let good = dir.path().join("good");
    let (text, err) = succeed(&["predict", path(&good), "--run", path(&run), "--json"]);
    assert!(
        err.contains("4 images are among those that the run was trained on"),
        "{err}"
    );
    assert!(
        text.lines().all(|line| line.contains("\"trained_on\":true")),
        "{text}"
    );
    assert!(err.contains(&format!("worst {}/", path(&good))), "{err}");
}
