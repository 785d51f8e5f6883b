//! `flawforge serve` among clients that are slow, broken, hostile or many: nothing wedges, and who is accepted is answered.

#[path = "support/server.rs"]
mod server;
mod support;

use std::io::{Read, Write};
use std::net::Shutdown;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use image::Luma;
use server::{Server, ask, in_parts, png, read, trained};
use support::{grey, path};

const AT: &str = "/v1/runs/gear/score";

fn run(dir: &Path) -> PathBuf {
    let run = dir.join("gear");
    trained(&run, "lin-yan");
    run
}

/// The head of a PNG file that says it is as large as that.
fn huge_png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = png(&grey(8, 8, 0));
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    let crc = !bytes[12..29].iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            crc >> 1 ^ (0xedb8_8320 * (crc & 1))
        })
    });
    bytes[29..33].copy_from_slice(&crc.to_be_bytes());
    bytes
}

#[test]
fn bodies_are_limited_in_bytes_pixels_images_and_time() {
    let dir = tempfile::tempdir().unwrap();
    let limits = [
        "--max-body",
        "1",
        "--max-pixels",
        "0.01",
        "--max-images",
        "3",
        "--read-time",
        "1",
    ];
    let server = Server::start(&[&[path(&run(dir.path()))], &limits[..]].concat());
    let good = png(&grey(40, 40, 0));

    // Bytes: declared, and in chunks that nobody has counted.
    let reply = server.post(AT, &vec![7; (1 << 20) + 1]);
    assert_eq!((reply.status, reply.code()), (413, "body-too-large".to_owned()));
    let mut stream = server.connect();
    let head = format!("POST {AT} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let chunk = [&b"10000\r\n"[..], &[7; 0x10000], b"\r\n"].concat();
    for _ in 0..20 {
        let _ = stream.write_all(&chunk);
    }
    let _ = stream.write_all(b"0\r\n\r\n");
    assert_eq!(read(&mut stream).unwrap().status, 413);

    // Pixels.
    let reply = server.post(AT, &png(&grey(101, 100, 0)));
    assert_eq!((reply.status, reply.code()), (422, "too-many-pixels".to_owned()));
    assert!(
        reply.text().contains("101x100 pixels, the limit is 10000 in all"),
        "{}",
        reply.text()
    );
    for (width, height) in [(60_000, 60_000), (8000, 8000)] {
        let reply = server.post(AT, &huge_png(width, height));
        assert_eq!(
            (reply.status, reply.code()),
            (422, "too-many-pixels".to_owned()),
            "{}",
            reply.text()
        );
    }
    // One row alone is more than a decoder may take.
    assert_eq!(server.post(AT, &huge_png(u32::MAX >> 1, 1)).status, 422);
    assert_eq!(server.post(AT, &huge_png(100, 100)).code(), "not-an-image");

    // Images.
    let (kind, body) = in_parts(&[("a", &good), ("b", &good), ("c", &good), ("d", &good)]);
    let post =
        |kind: &str, body: &[u8]| ask(server.address, "POST", AT, &[("content-type", kind)], body).unwrap();
    assert_eq!(post(&kind, &body).code(), "too-many-images");
    assert_eq!(post(&kind, &body[..body.len() / 2]).code(), "bad-request");
    assert_eq!(post("multipart/form-data; nonsense", &body).code(), "bad-request");
    assert_eq!(post(&kind, b"--fence--\r\n").code(), "bad-request");
    assert_eq!(post(&kind, b"").code(), "bad-request");

    // Time: of the body, of the head, of a client that says nothing.
    let begun = Instant::now();
    let mut slow = server.connect();
    slow.write_all(format!("POST {AT} HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\nabc").as_bytes())
        .unwrap();
    let reply = read(&mut slow).unwrap();
    assert_eq!((reply.status, reply.code()), (408, "slow-body".to_owned()));
    assert!(begun.elapsed() >= Duration::from_secs(1));
    for said in ["", "GET /health HT"] {
        let mut silent = server.connect();
        silent.write_all(said.as_bytes()).unwrap();
        let mut rest = Vec::new();
        let _ = silent.read_to_end(&mut rest);
        assert!(begun.elapsed() < Duration::from_secs(10), "{said}: it is let go");
    }

    // Broken off: nobody is there to be answered, and nothing stays.
    for _ in 0..20 {
        let mut broken = server.connect();
        let head = format!("POST {AT} HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\n");
        broken
            .write_all(&[head.as_bytes(), &good[..50]].concat())
            .unwrap();
        broken.shutdown(Shutdown::Both).unwrap();
    }
    for nonsense in [
        &b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"[..],
        b"GET\r\n\r\n",
        b"\r\n\r\n\r\n\r\n",
        &[0xff; 3000],
    ] {
        let mut stream = server.connect();
        let _ = stream.write_all(nonsense);
        let _ = stream.shutdown(Shutdown::Write);
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
    }
    assert_eq!(server.post(AT, &good).status, 200);
    server.wait_for("/metrics", |reply| {
        let text = reply.text();
        text.contains("flawforge_held_bytes 0") && text.contains("flawforge_queue_images 0")
    });
    assert!(!server.log().contains("panicked"), "{}", server.log());
}

#[test]
fn an_answer_that_nobody_takes_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&[path(&run(dir.path())), "--read-time", "2", "--connections", "2"]);
    // Noise, which no encoder makes small: more than the buffers of a connection hold.
    let mut state = 1u32;
    let noise = image::GrayImage::from_fn(2200, 2200, |_, _| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Luma([(state >> 24) as u8])
    });
    let body = png(&noise);
    let mut deaf = server.connect();
    let head = format!(
        "POST {AT}?overlay=png&map=png HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    deaf.write_all(&[head.as_bytes(), &body].concat()).unwrap();
    let mut first = [0; 15];
    deaf.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    let held = |reply: &server::Reply| {
        let text = reply.text();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("flawforge_held_bytes "));
        line.unwrap().parse::<u64>().unwrap()
    };
    assert!(
        held(&server.get("/metrics")) > 1 << 20,
        "the answer waits to be taken"
    );
    server.wait_for("/metrics", |reply| held(reply) == 0);
    let mut rest = Vec::new();
    let _ = deaf.read_to_end(&mut rest);
    assert!(rest.len() < body.len() * 5, "it was cut off");
}

#[test]
fn damaged_images_get_an_error_or_a_score_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&[path(&run(dir.path()))]);
    let image = grey(64, 48, 5);
    let mut files = Vec::new();
    for format in [
        image::ImageFormat::Png,
        image::ImageFormat::Jpeg,
        image::ImageFormat::Bmp,
        image::ImageFormat::Tiff,
        image::ImageFormat::WebP,
        image::ImageFormat::Pnm,
    ] {
        let mut bytes = std::io::Cursor::new(Vec::new());
        let rgb = image::DynamicImage::ImageLuma8(image.clone()).to_rgb8();
        rgb.write_to(&mut bytes, format).unwrap();
        files.push(bytes.into_inner());
    }
    let (mut scored, mut refused) = (0, 0);
    for file in &files {
        for cut in 0..8 {
            let mut bytes = file.clone();
            match cut {
                0 => {}
                // Cut off at a few places, and a few bytes changed.
                1..4 => bytes.truncate(file.len() * cut / 4),
                _ => (0..8).for_each(|at| {
                    let place = (at * 977 + cut * 131 + 9) % bytes.len();
                    bytes[place] = bytes[place].wrapping_add(71);
                }),
            }
            let reply = server.post(AT, &bytes);
            match reply.status {
                200 => scored += 1,
                422 => {
                    refused += 1;
                    assert!(["not-an-image", "too-many-pixels"].contains(&reply.code().as_str()));
                }
                other => panic!("{other}: {}", reply.text()),
            }
        }
    }
    assert!(
        scored >= files.len() && refused >= 2 * files.len(),
        "{scored} {refused}"
    );
    assert!(!server.log().contains("panicked"), "{}", server.log());
}

#[test]
fn a_full_queue_sends_away_and_time_runs_out_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let run = run(dir.path());
    let good = png(&grey(40, 40, 0));
    let server = Server::start(&[path(&run), "--queue", "2"]);
    let (kind, body) = in_parts(&[("a", &good), ("b", &good), ("c", &good)]);
    let reply = ask(server.address, "POST", AT, &[("content-type", &kind)], &body).unwrap();
    // They wait together: more than may wait are never taken.
    assert_eq!((reply.status, reply.code()), (413, "too-many-images".to_owned()));
    let large = png(&grey(1500, 1500, 0));
    let (done, away) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..24 {
            scope.spawn(|| {
                let reply = server.post(AT, &large);
                match reply.status {
                    200 => done.fetch_add(1, Ordering::Relaxed),
                    503 => {
                        assert_eq!(
                            (reply.code().as_str(), reply.header("retry-after")),
                            ("busy", Some("1"))
                        );
                        away.fetch_add(1, Ordering::Relaxed)
                    }
                    other => panic!("{other}: {}", reply.text()),
                };
            });
        }
    });
    let (done, away) = (done.into_inner(), away.into_inner());
    assert!(done >= 2 && away > 0, "{done} answered, {away} sent away");
    assert_eq!(server.post(AT, &good).status, 200);

    // No memory for bodies.
    let small = Server::start(&[path(&run), "--memory", "1"]);
    assert_eq!(small.post(AT, &vec![0; 2 << 20]).code(), "busy");
    let reply = small.post(&format!("{AT}?overlay=png"), &png(&grey(300, 300, 0)));
    assert_eq!((reply.status, reply.code()), (422, "too-many-pixels".to_owned()));
    assert_eq!(small.post(&format!("{AT}?overlay=png"), &good).status, 200);

    // Less time than a decoder needs.
    let hasty = Server::start(&[path(&run), "--score-time", "0.01"]);
    let reply = hasty.post(AT, &png(&grey(4000, 4000, 0)));
    assert_eq!((reply.status, reply.code()), (504, "slow-score".to_owned()));
    hasty.wait_for("/metrics", |reply| {
        reply.text().contains("flawforge_held_bytes 0")
    });
}

#[test]
fn many_connections_are_served_and_more_wait() {
    let _alone = CONNECTIONS.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&[path(&run(dir.path())), "--connections", "300"]);
    let good = png(&grey(40, 40, 0));
    // Idle ones beside those that ask, and more than there is room for.
    let idle: Vec<_> = (0..200).map(|_| server.connect()).collect();
    let answered = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..200 {
            scope.spawn(|| {
                assert_eq!(server.post(AT, &good).status, 200);
                answered.fetch_add(1, Ordering::Relaxed);
            });
        }
    });
    assert_eq!(answered.into_inner(), 200);
    let full: Vec<_> = (0..200).map(|_| server.connect()).collect();
    // Somebody waits until there is room.
    let waiting = thread::scope(|scope| {
        let waiting = scope.spawn(|| server.get("/health").status);
        thread::sleep(Duration::from_millis(200));
        assert!(!waiting.is_finished());
        drop((idle, full));
        waiting.join().unwrap()
    });
    assert_eq!(waiting, 200);
    let text = server.get("/metrics").text();
    let largest = text
        .lines()
        .find(|line| line.starts_with("flawforge_batch_images_sum"))
        .unwrap();
    assert_eq!(largest, "flawforge_batch_images_sum 200.0", "{text}");
    let batches = text
        .lines()
        .find_map(|line| line.strip_prefix("flawforge_batch_images_count "))
        .unwrap();
    assert!(
        batches.parse::<u32>().unwrap() < 200,
        "what comes together is scored together: {batches}"
    );
}

/// Held by tests that open many connections: together they would have more than a process may have open.
static CONNECTIONS: Mutex<()> = Mutex::new(());

/// Ends the load of a test whatever ends the test.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_signal_under_load_ends_it_when_all_is_answered() {
    let _alone = CONNECTIONS.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let run = run(dir.path());
    for signal in ["TERM", "INT"] {
        let mut server = Server::start(&[path(&run)]);
        let body = png(&grey(600, 600, 0));
        let address = server.address;
        let (over, whole, away, cut) = (
            AtomicBool::new(false),
            AtomicUsize::new(0),
            AtomicUsize::new(0),
            AtomicUsize::new(0),
        );
        // A request whose body comes while the server ends: it was accepted, so it is answered.
        let mut late = server.connect();
        let head = format!(
            "POST {AT} HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        late.write_all(head.as_bytes()).unwrap();
        thread::scope(|scope| {
            let load = Over(&over);
            for _ in 0..16 {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        match ask(address, "POST", AT, &[], &body) {
                            Ok(reply) if reply.status == 200 => whole.fetch_add(1, Ordering::Relaxed),
                            Ok(reply) if reply.status == 503 => {
                                assert_eq!(reply.code(), "ending");
                                assert_eq!(reply.header("connection"), Some("close"));
                                away.fetch_add(1, Ordering::Relaxed)
                            }
                            Ok(reply) => panic!("{}: {}", reply.status, reply.text()),
                            // Nobody listens any more.
                            Err(_) => cut.fetch_add(1, Ordering::Relaxed),
                        };
                    }
                });
            }
            server.wait_for("/metrics", |reply| {
                let text = reply.text();
                let line = text
                    .lines()
                    .find(|line| line.contains("score\",status=\"200\"}"))
                    .map(str::to_owned);
                line.is_some_and(|line| line.rsplit(' ').next().unwrap().parse::<u32>().unwrap() >= 20)
            });
            let before = cut.load(Ordering::Relaxed);
            assert_eq!(before, 0, "nobody is cut off before the signal");
            server.signal(signal);
            // It hears of the signal when it gets to run.
            server.wait_for("/health", |health| {
                health.status == 503 && health.json()["status"] == "ending"
            });
            late.write_all(&body).unwrap();
            assert_eq!(read(&mut late).unwrap().status, 200);
            let status = server.ended();
            drop(load);
            assert_eq!(status.code(), Some(0), "{}", server.log());
        });
        let (whole, away) = (whole.into_inner(), away.into_inner());
        assert!(whole >= 20 && away > 0, "{whole} answered, {away} sent away");
        assert!(server.log().contains("ending: "), "{}", server.log());
    }
}
