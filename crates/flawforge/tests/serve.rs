//! `flawforge serve`: it says what `predict` says, of several runs, to those who may ask, and follows runs that are replaced.

#[path = "support/server.rs"]
mod server;
mod support;

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use image::codecs::jpeg::JpegEncoder;
use image::{ImageEncoder as _, Luma, RgbImage, Rgba};
use serde_json::Value;
use server::{Server, ask, in_parts, png, trained};
use support::{fault, flawforge, grey, path};

/// Images of every sort that is read, and some that are not.
fn images(folder: &Path) -> Vec<PathBuf> {
    fs::create_dir_all(folder).unwrap();
    let at = |name: &str| folder.join(name);
    let mut spotted = grey(70, 50, 4);
    (10..30).for_each(|x| (12..24).for_each(|y| spotted.put_pixel(x, y, Luma([255]))));
    spotted.save(at("spotted.png")).unwrap();
    grey(256, 256, 9).save(at("large.bmp")).unwrap();
    grey(31, 90, 2).save(at("tall.tif")).unwrap();
    let deep = image::ImageBuffer::from_fn(40, 40, |x, y| Luma([(x * 1500 + y) as u16]));
    deep.save(at("deep.png")).unwrap();
    let clear = image::RgbaImage::from_fn(40, 30, |x, y| Rgba([x as u8, y as u8, 200, (6 * x) as u8]));
    clear.save(at("clear.png")).unwrap();
    let colors = RgbImage::from_fn(60, 40, |x, y| image::Rgb([(4 * x) as u8, (6 * y) as u8, 90]));
    let jpeg = |name: &str, exif: Option<Vec<u8>>, cut: usize| {
        let mut bytes = Vec::new();
        let mut encoder = JpegEncoder::new_with_quality(&mut bytes, 85);
        if let Some(exif) = exif {
            encoder.set_exif_metadata(exif).unwrap();
        }
        encoder
            .write_image(colors.as_raw(), 60, 40, image::ExtendedColorType::Rgb8)
            .unwrap();
        fs::write(at(name), &bytes[..bytes.len() - cut]).unwrap();
    };
    // Orientation 6 in one entry of a little-endian directory: turned by a quarter.
    let mut exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0".to_vec();
    exif.extend_from_slice(&[0; 4]);
    jpeg("turned.jpg", Some(exif), 0);
    jpeg("endless.jpg", None, 2);
    jpeg("cut.jpg", None, 300);
    fs::write(at("empty.png"), b"").unwrap();
    fs::write(at("text.png"), b"no image at all").unwrap();
    let names = [
        "spotted.png",
        "large.bmp",
        "tall.tif",
        "deep.png",
        "clear.png",
        "turned.jpg",
        "endless.jpg",
        "cut.jpg",
        "empty.png",
        "text.png",
    ];
    names.map(at).to_vec()
}

/// What both say of an image.
const SAID: [&str; 11] = [
    "width",
    "height",
    "score",
    "protocol_score",
    "threshold",
    "look_from",
    "pixel_threshold",
    "verdict",
    "regions_found",
    "warnings",
    "regions",
];

/// Whether a served image says what a row of `predict` says; lists that are empty are left out of rows, and the shapes of regions
/// out of answers.
fn assert_same(served: &Value, row: &Value) {
    for key in SAID {
        let list = Value::Array(Vec::new());
        let is_list = key == "warnings" || key == "regions";
        let mut expected = match row.get(key) {
            None if is_list => Some(list),
            other => other.cloned(),
        };
        if key == "regions" {
            let regions = expected.iter_mut().filter_map(Value::as_array_mut).flatten();
            regions.filter_map(Value::as_object_mut).for_each(|region| {
                region.remove("rle");
            });
        }
        assert_eq!(
            served.get(key),
            expected.as_ref(),
            "{key} of {}: {served}",
            row["image"]
        );
    }
}

#[test]
fn a_served_score_is_that_of_predict_to_the_last_digit() {
    let dir = tempfile::tempdir().unwrap();
    let images = images(&dir.path().join("images"));
    let runs = ["draem", "lin-yan"].map(|method| dir.path().join(method));
    for run in &runs {
        trained(run, run.file_name().unwrap().to_str().unwrap());
    }
    for (run, name) in runs.iter().zip(["draem", "second"]) {
        let list: Vec<&str> = images.iter().map(|image| path(image)).collect();
        // Thresholds in the midst of the scores, so that there is something to say.
        let start = ["predict", "--run", path(run), "--json"];
        let said = flawforge(&[&start[..], &list].concat());
        let said = String::from_utf8(said.stdout).unwrap();
        let mut scores: Vec<f64> = said
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).unwrap()["score"].as_f64())
            .collect();
        scores.sort_by(f64::total_cmp);
        let middle = scores[scores.len() / 2].to_string();
        let high = (0.98 * scores[scores.len() - 1]).to_string();
        let options = [
            "--threshold",
            &middle,
            "--band",
            "30%",
            "--pixel-threshold",
            &high,
            "--min-area",
            "3",
        ];
        let named = format!("{name}={}", path(run));
        let server = Server::start(&[&[named.as_str()], &options[..]].concat());
        let out = run.join("predicted");
        let start = ["predict", "--run", path(run), "--out", path(&out)];
        flawforge(&[&start[..], &options, &list].concat());
        let rows = fs::read_to_string(out.join("scores.jsonl")).unwrap();
        let rows: Vec<Value> = rows
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(rows.len(), images.len());
        assert!(rows.iter().any(|row| row["regions_found"].as_u64() > Some(0)));
        assert!(
            ["normal", "anomalous"]
                .iter()
                .all(|verdict| rows.iter().any(|row| row["verdict"] == **verdict))
        );

        // One by one, with pictures.
        for (image, row) in images.iter().zip(&rows) {
            let bytes = fs::read(image).unwrap();
            let reply = server.post(
                &format!("/v1/runs/{name}/score?map=png&overlay=png&name=x"),
                &bytes,
            );
            if let Some(error) = row.get("error") {
                let expected = if bytes.is_empty() { 400 } else { 422 };
                assert_eq!(reply.status, expected, "{}", reply.text());
                if !bytes.is_empty() {
                    assert_eq!(reply.code(), "not-an-image");
                    assert_eq!(&reply.json()["error"]["message"], error);
                }
                continue;
            }
            assert_eq!(reply.status, 200, "{}", reply.text());
            let json = reply.json();
            let one = &json["images"][0];
            assert_same(one, row);
            assert_eq!((&one["image"], &json["run"]), (&"x".into(), &name.into()));
            assert!(one["seconds"].as_f64().unwrap() > 0.0);
            for (key, suffix) in [("map_png", "_map.png"), ("overlay_png", "_overlay.png")] {
                let served = base64::engine::general_purpose::STANDARD.decode(one[key].as_str().unwrap());
                let file = out.join(format!("{}{suffix}", row["name"].as_str().unwrap()));
                assert!(served.unwrap() == fs::read(&file).unwrap(), "{}", file.display());
            }
        }

        // Together: each has its score or its error.
        let files: Vec<Vec<u8>> = images.iter().map(|image| fs::read(image).unwrap()).collect();
        let parts: Vec<(&str, &[u8])> = images
            .iter()
            .zip(&files)
            .map(|(image, bytes)| (image.file_name().unwrap().to_str().unwrap(), bytes.as_slice()))
            .collect();
        let (kind, body) = in_parts(&parts);
        let at = format!("/v1/runs/{name}/score");
        let reply = ask(server.address, "POST", &at, &[("content-type", &kind)], &body).unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text());
        let json = reply.json();
        let together = json["images"].as_array().unwrap();
        assert_eq!(together.len(), rows.len());
        for ((one, row), (file, _)) in together.iter().zip(&rows).zip(&parts) {
            assert_eq!(one["image"], *file);
            match row.get("error") {
                Some(error) => assert_eq!(&one["error"]["message"], error),
                None => assert_same(one, row),
            }
        }
    }
}

#[test]
fn a_picture_alone_is_answered_where_it_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("gear");
    trained(&run, "lin-yan");
    let server = Server::start(&[path(&run), "--threshold", "1e9"]);
    let body = png(&grey(50, 40, 1));
    let post = |at: &str, headers: &[(&str, &str)], body: &[u8]| {
        ask(server.address, "POST", at, headers, body).unwrap()
    };
    let accept = [("accept", "image/png")];
    for picture in ["map", "overlay"] {
        let reply = post(&format!("/v1/runs/gear/score?{picture}=png"), &accept, &body);
        assert_eq!(
            (reply.status, reply.header("content-type")),
            (200, Some("image/png"))
        );
        let image = image::load_from_memory(&reply.body).unwrap();
        assert_eq!((image.width(), image.height()), (50, 40));
        assert_eq!(reply.header("x-flawforge-verdict"), Some("normal"));
        let score: f32 = reply.header("x-flawforge-score").unwrap().parse().unwrap();
        let json = server.post("/v1/runs/gear/score", &body).json();
        assert_eq!(
            Some(f64::from(score)),
            json["images"][0]["score"]
                .as_f64()
                .map(|score| f64::from(score as f32))
        );
        assert_eq!(json["images"][0]["image"], "image");
    }
    for at in ["/v1/runs/gear/score", "/v1/runs/gear/score?map=png&overlay=png"] {
        assert_eq!(post(at, &accept, &body).code(), "bad-request");
    }
    let (kind, parts) = in_parts(&[("a", &body), ("b", &body)]);
    let headers = [("content-type", kind.as_str()), accept[0]];
    assert_eq!(post("/v1/runs/gear/score?map=png", &headers, &parts).status, 400);
    assert_eq!(
        post("/v1/runs/gear/score?map=jpeg", &[], &body).code(),
        "bad-request"
    );
    assert_eq!(
        post("/v1/runs/gear/score?maps=png", &[], &body).code(),
        "bad-request"
    );
}

#[test]
fn runs_say_their_thresholds_and_the_server_how_it_does() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("gear");
    trained(&run, "lin-yan");
    let server = Server::start(&[&format!("a={}", path(&run)), &format!("b={}", path(&run))]);
    let list = server.get("/v1/runs").json();
    let names: Vec<&str> = list["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(
        (&list["runs"][0]["method"], &list["runs"][0]["category"]),
        (&"lin-yan".into(), &"gear".into())
    );
    let about = server.get("/v1/runs/a").json();
    let normal = &about["calibration"]["normal"];
    let scores = normal["scores"].as_array().unwrap();
    let bars: u64 = normal["histogram"]
        .as_array()
        .unwrap()
        .iter()
        .map(|bar| bar.as_u64().unwrap())
        .sum();
    assert!(bars == scores.len() as u64 && bars > 0);
    assert_eq!(about["decision"]["promise"]["parts"], bars);
    assert!(
        about["promised"].as_str().unwrap().starts_with("at most "),
        "{about}"
    );
    assert_eq!(about["threshold"], list["runs"][0]["threshold"]);
    assert_eq!((&about["reloads"], &about["stale"]), (&0.into(), &false.into()));

    assert_eq!(server.get("/v1/runs/c").code(), "unknown-run");
    assert_eq!(server.post("/v1/runs/c/score", b"x").code(), "unknown-run");
    assert_eq!(server.get("/v1/other").code(), "not-found");
    assert_eq!(server.get("/v1/runs/%ff").code(), "bad-request");
    assert_eq!(server.post("/v1/runs/%ff/score", b"x").code(), "bad-request");
    assert_eq!(
        (
            server.get("/health").status,
            server.get("/health").json()["status"].clone()
        ),
        (200, "ok".into())
    );
    for (method, at) in [
        ("DELETE", "/v1/runs/a"),
        ("GET", "/v1/runs/a/score"),
        ("POST", "/health"),
    ] {
        let reply = ask(server.address, method, at, &[], &[]).unwrap();
        assert_eq!(
            (reply.status, reply.code()),
            (405, "method-not-allowed".to_owned()),
            "{method} {at}"
        );
    }
    let description = server.get("/openapi.json").json();
    for at in ["/", "/health", "/metrics", "/v1/runs"] {
        assert!(
            description["paths"][at].is_object() && server.get(at).status == 200,
            "{at}"
        );
    }
    server.post("/v1/runs/a/score", &png(&grey(40, 40, 0)));
    server.post("/v1/runs/a/score", b"nothing");
    let metrics = server.get("/metrics");
    assert!(
        metrics
            .header("content-type")
            .unwrap()
            .starts_with("application/openmetrics-text")
    );
    let text = metrics.text();
    for line in [
        "flawforge_requests_total{route=\"/v1/runs/{name}/score\",status=\"200\"} 1",
        "flawforge_requests_total{route=\"/v1/runs/{name}/score\",status=\"422\"} 1",
        "flawforge_requests_total{route=\"other\",status=\"404\"} 1",
        "flawforge_images_total{run=\"a\",outcome=\"not-an-image\"} 1",
        "flawforge_queue_images 0",
        "flawforge_held_bytes 0",
        "flawforge_batch_images_count 1",
        "flawforge_stage_seconds_count{stage=\"network\"} 1",
        "# EOF",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
}

#[test]
fn a_token_is_asked_for_where_there_is_one() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("gear");
    trained(&run, "lin-yan");
    let file = dir.path().join("token");
    fs::write(&file, "from-file\n").unwrap();
    let of_file = Server::start(&[path(&run), "--token-file", path(&file)]);
    let of_environment = Server::start_with(&[path(&run)], &[("FLAWFORGE_TOKEN", "from-env")]);
    for (server, token) in [
        (&of_file, "Bearer from-file"),
        (&of_environment, "Bearer from-env"),
    ] {
        let body = png(&grey(40, 40, 0));
        for (method, at) in [
            ("GET", "/v1/runs"),
            ("GET", "/metrics"),
            ("POST", "/v1/runs/gear/score"),
        ] {
            let ask = |headers: &[(&str, &str)]| ask(server.address, method, at, headers, &body).unwrap();
            let refused = ask(&[]);
            assert_eq!((refused.status, refused.code()), (401, "unauthorized".to_owned()));
            assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
            assert_eq!(ask(&[("authorization", "Bearer wrong")]).status, 401);
            assert_eq!(ask(&[("authorization", token)]).status, 200);
        }
        for open in ["/", "/health", "/openapi.json"] {
            assert_eq!(server.get(open).status, 200);
        }
        assert!(!server.log().contains("from-"));
    }
    fs::write(&file, " \n").unwrap();
    let message = fault(&["serve", path(&run), "--token-file", path(&file)]);
    assert!(
        message.ends_with("token: holds no token: one word of ASCII letters, digits and signs"),
        "{message}"
    );
}

#[test]
fn what_cannot_be_served_is_told_before_anything_listens() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("gear");
    trained(&run, "lin-yan");
    let run = path(&run);
    let none = dir.path().join("none");
    let told = |arguments: &[&str]| fault(&[&["serve", "--listen", "127.0.0.1:0"], arguments].concat());
    assert!(told(&[path(&none)]).contains("none: does not exist"));
    assert!(told(&[run, run]).contains("two runs are called gear"));
    assert!(told(&[&format!("a b={run}")]).contains("run name \"a b\""));
    assert!(told(&[run, &format!("b={run}"), "--threshold", "1"]).contains("--threshold: is for one run"));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let message = fault(&["serve", run, "--listen", &address]);
    assert!(
        message.contains(&format!("{address}: cannot be listened on")),
        "{message}"
    );
}

#[test]
fn a_run_that_is_replaced_takes_its_place_when_it_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    trained(&at("gear"), "lin-yan");
    trained(&at("other"), "draem");
    let server = Server::start(&[path(&at("gear"))]);
    let body = png(&grey(64, 64, 3));
    let score = || server.post("/v1/runs/gear/score", &body).json()["images"][0]["score"].clone();
    let first = score();

    // Broken: the earlier one goes on, and it is said.
    let checkpoint = at("gear").join("checkpoint.safetensors");
    let whole = fs::read(at("other").join("checkpoint.safetensors")).unwrap();
    fs::write(&checkpoint, &whole[..whole.len() / 2]).unwrap();
    let about = server
        .wait_for("/v1/runs/gear", |reply| reply.json()["stale"] == true)
        .json();
    assert_eq!(
        (&about["method"], &about["reloads"]),
        (&"lin-yan".into(), &0.into())
    );
    assert_eq!(score(), first);
    assert!(server.log().contains("cannot be served"), "{}", server.log());
    let text = server.get("/metrics").text();
    assert!(text.contains("flawforge_run_stale{run=\"gear\"} 1"), "{text}");
    assert!(
        text.contains("flawforge_reloads_total{run=\"gear\",outcome=\"broken\"} 1"),
        "{text}"
    );

    // Whole: it is served.
    fs::write(&checkpoint, &whole).unwrap();
    let about = server
        .wait_for("/v1/runs/gear", |reply| reply.json()["reloads"] == 1)
        .json();
    assert_eq!(
        (&about["method"], &about["stale"]),
        (&"draem".into(), &false.into())
    );
    assert_ne!(score(), first);
    assert!(
        server
            .get("/metrics")
            .text()
            .contains("flawforge_run_stale{run=\"gear\"} 0")
    );
}
