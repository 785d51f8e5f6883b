//! Over HTTP: continued, started over, from mirrors, and never believed without a hash.

use std::fs;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use xtask::download::{DownloadError, Patience, Show, fetch};

use crate::archives::{data_set, gz, sound};
use crate::server::{Manner, Server};

pub(crate) const HASTE: Patience = Patience {
    attempts: 3,
    pause: Duration::from_millis(1),
    silence: Duration::from_secs(20),
};

/// The file or the fault, what the server saw, and whether a partial file is left.
type Outcome = (Result<Vec<u8>, DownloadError>, Vec<(String, Option<u64>)>, bool);

/// Fetches from the paths in order; `part` is what an earlier call left.
fn fetched(paths: &[&str], part: Option<&[u8]>) -> Outcome {
    use Manner::*;
    let content = gz(&sound());
    let server = Server::new(
        &content,
        &[
            ("/good.tar.gz", Good),
            ("/breaks", BreaksOff),
            ("/norange", WithoutRange),
            ("/corrupt", Corrupt),
            ("/page", ErrorPage),
            ("/endless", Endless),
            ("/busy", BusyOnce),
            ("/redirect", Redirect),
        ],
    );
    let dir = tempfile::tempdir().expect("a temporary folder");
    let target = dir.path().join("things.tar.gz");
    let partial = dir.path().join("things.tar.gz.part");
    if let Some(part) = part {
        fs::write(&partial, part).expect("written");
    }
    let addresses = paths.iter().map(|p| format!("{}{p}", server.address)).collect();
    let set = data_set(&content, "things.tar.gz", addresses);
    let outcome = fetch(&set, &target, &HASTE, Show::Nothing);
    assert_eq!(
        outcome.is_ok(),
        target.exists(),
        "the final name stands for a checked file"
    );
    let outcome = outcome.map(|()| fs::read(&target).expect("read"));
    if let Ok(bytes) = &outcome {
        assert_eq!(*bytes, content);
        assert!(!partial.exists());
    }
    (outcome, server.requests(), partial.exists())
}

fn path(path: &str, range: Option<u64>) -> (String, Option<u64>) {
    (path.to_owned(), range)
}

#[test]
fn a_good_server_needs_one_request() {
    let (outcome, requests, _) = fetched(&["/good.tar.gz", "/breaks"], None);
    assert!(outcome.is_ok());
    assert_eq!(requests, [path("/good.tar.gz", None)]);
}

#[test]
fn a_broken_connection_is_continued_from_where_it_broke() {
    let total = gz(&sound()).len() as u64;
    let (outcome, requests, _) = fetched(&["/breaks"], None);
    assert!(outcome.is_ok());
    assert_eq!(requests[0], path("/breaks", None));
    assert_eq!(requests[1], path("/breaks", Some(total.div_ceil(2))));
    assert!(requests.len() > 3, "half of the rest each time");
    assert!(
        requests.windows(2).all(|pair| pair[0].1 < pair[1].1),
        "{requests:?}"
    );
}

#[test]
fn what_an_earlier_call_left_is_continued() {
    let content = gz(&sound());
    let (outcome, requests, _) = fetched(&["/good.tar.gz"], Some(&content[..1234]));
    assert!(outcome.is_ok());
    assert_eq!(requests, [path("/good.tar.gz", Some(1234))]);
    let (outcome, requests, _) = fetched(&["/good.tar.gz"], Some(&content));
    assert!(outcome.is_ok());
    assert_eq!(requests, [], "nothing was missing but the check");
}

#[test]
fn a_wrong_beginning_is_thrown_away_once() {
    let (outcome, requests, _) = fetched(&["/good.tar.gz"], Some(b"something else"));
    assert!(outcome.is_ok());
    assert_eq!(
        requests,
        [path("/good.tar.gz", Some(14)), path("/good.tar.gz", None)]
    );
    let too_long = vec![7; 1_000_000];
    let (outcome, requests, _) = fetched(&["/good.tar.gz"], Some(&too_long));
    assert!(outcome.is_ok());
    assert_eq!(requests, [path("/good.tar.gz", None)]);
}

#[test]
fn a_server_without_ranges_starts_over() {
    let (outcome, requests, _) = fetched(&["/norange"], None);
    assert!(outcome.is_ok());
    assert_eq!(requests.len(), 2);
    assert!(requests[1].1 > Some(0), "a range was asked for");
}

#[test]
fn mirrors_are_tried_in_order() {
    let (outcome, requests, _) = fetched(
        &[
            "/gone",
            "/page",
            "/corrupt",
            "/endless",
            "/good.tar.gz",
            "/breaks",
        ],
        None,
    );
    assert!(outcome.is_ok());
    let paths: Vec<&str> = requests.iter().map(|r| r.0.as_str()).collect();
    assert_eq!(paths, ["/gone", "/page", "/corrupt", "/endless", "/good.tar.gz"]);
    assert_eq!(requests[4].1, None, "nothing of the wrong files is continued");
}

#[test]
fn a_redirect_is_followed_and_a_busy_server_asked_again() {
    let (outcome, requests, _) = fetched(&["/redirect"], None);
    assert!(outcome.is_ok());
    assert_eq!(requests, [path("/redirect", None), path("/good.tar.gz", None)]);
    let (outcome, requests, _) = fetched(&["/busy"], None);
    assert!(outcome.is_ok());
    assert_eq!(requests, [path("/busy", None), path("/busy", None)]);
}

#[test]
fn when_nothing_serves_it_every_reason_is_told() {
    let (outcome, _, part_left) = fetched(&["/gone", "/corrupt", "/page"], None);
    let error = outcome.expect_err("no address").to_string();
    for reason in [
        "404",
        "SHA-256 is",
        "offers 5 bytes",
        "--archive FILE",
        "http://example.org/things",
    ] {
        assert!(error.contains(reason), "{reason}: {error}");
    }
    assert!(!part_left, "a corrupt file is not kept to be continued");
}

#[test]
fn a_name_that_nobody_knows_fails_at_once() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let address = "https://nonexistent.invalid/things.tar.gz".to_owned();
    let set = data_set(b"x", "things.tar.gz", vec![address]);
    let patient = Patience {
        pause: Duration::from_secs(120),
        ..HASTE
    };
    let began = Instant::now();
    let error = fetch(&set, &dir.path().join("things.tar.gz"), &patient, Show::Nothing)
        .expect_err("no such host")
        .to_string();
    assert!(began.elapsed() < Duration::from_secs(100), "it was tried again");
    assert!(
        error.contains("nonexistent.invalid: the name of the host cannot be resolved"),
        "{error}"
    );
}

#[test]
fn a_dead_address_does_not_hang() {
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0")
        .expect("a port")
        .local_addr()
        .expect("bound")
        .port();
    let dir = tempfile::tempdir().expect("a temporary folder");
    let set = data_set(b"x", "things.tar.gz", vec![format!("http://127.0.0.1:{port}/x")]);
    let error = fetch(&set, &dir.path().join("things.tar.gz"), &HASTE, Show::Nothing);
    assert!(matches!(error, Err(DownloadError::NoAddress { .. })));
}
