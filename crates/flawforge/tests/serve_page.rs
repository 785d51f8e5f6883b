//! The page of `flawforge serve` in a browser: images are chosen, scored and shown, at the width of a desk and of a phone.

#[path = "support/browser.rs"]
mod browser;
#[path = "support/server.rs"]
mod server;
mod support;

use std::fs;
use std::path::Path;

use browser::Browser;
use flawforge_testing::{Need, skip};
use image::Luma;
use server::{Server, ask, trained};
use support::{grey, path};

/// Whether the page is no wider than its window, and the texts of what is looked at.
const WIDE: &str = "document.documentElement.scrollWidth <= innerWidth";

/// How many of the plot's titles have a threshold's line through them: points of each line at the height of a title.
const CROSSED: &str = "(() => {
    const titles = [...document.querySelectorAll('#plot text')].filter(text => text.textContent.endsWith(')')).map(text => text.getBBox());
    if (titles.length !== 2) throw new Error('two titles are expected');
    const crossed = (title) => [...document.querySelectorAll('#plot [id^=mark-]')].some(mark => {
        for (let at = 0; at <= mark.getTotalLength(); at += 1) {
            const point = mark.getPointAtLength(at);
            if (point.y > title.y + 2 && point.y < title.y + title.height - 2) return true;
        }
        return false;
    });
    return titles.filter(crossed).length;
})()";

#[test]
fn images_are_chosen_scored_and_shown() {
    let Some(mut browser) = Browser::start() else {
        return skip(Need::Peer, "no chromium starts");
    };
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    trained(&at("gear"), "lin-yan");
    fs::create_dir(at("images")).unwrap();
    let mut spotted = grey(320, 240, 4);
    (100..160).for_each(|x| (60..120).for_each(|y| spotted.put_pixel(x, y, Luma([255]))));
    let named = at("images").join("<b>spot & more.png");
    spotted.save(&named).unwrap();
    let plain = at("images").join("plain.png");
    grey(200, 200, 0).save(&plain).unwrap();
    let broken = at("images").join("broken.png");
    fs::write(&broken, "no image").unwrap();

    // Thresholds at which there is something to show.
    let bytes = fs::read(&named).unwrap();
    let score = {
        let first = Server::start(&[path(&at("gear"))]);
        first.post("/v1/runs/gear/score", &bytes).json()["images"][0]["score"]
            .as_f64()
            .unwrap()
    };
    let (threshold, pixel) = ((score - 1e-6).to_string(), (0.99 * score).to_string());
    let second = format!("second={}", path(&at("gear")));
    let server = Server::start(&[path(&at("gear")), &second, "--pixel-threshold", &pixel]);
    let judging = Server::start(&[
        path(&at("gear")),
        "--threshold",
        &threshold,
        "--pixel-threshold",
        &pixel,
    ]);
    let about = server.get("/v1/runs/gear").json();
    browser.widen(1280, false);
    browser.open(&format!("http://{}/", server.address));
    browser.until("document.querySelectorAll('#run option').length === 2");
    browser.until("!document.getElementById('scores').hidden");
    assert!(
        browser
            .value("document.getElementById('promised').textContent")
            .as_str()
            .unwrap()
            .contains("calls at most")
    );

    // Before there are images the page says nothing of any, and no line of the plot crosses a word.
    assert_eq!(browser.value("document.getElementById('status').textContent"), "");
    assert_eq!(browser.value(CROSSED), 0);

    browser.choose("#file", &[&plain, &broken, &named]);
    browser.until("document.querySelectorAll('#results li').length === 3 && /see below/.test(document.getElementById('status').textContent)");
    let text = |id: &str, browser: &mut Browser| -> String {
        let text = browser.value(&format!("document.getElementById('{id}').textContent"));
        text.as_str().unwrap().to_owned()
    };
    // What the page says is what the server says.
    let said = server.post("/v1/runs/gear/score", &bytes).json()["images"][0].clone();
    assert_eq!(text("name", &mut browser), "<b>spot & more.png");
    assert_eq!(text("verdict", &mut browser), said["verdict"].as_str().unwrap());
    let score: f64 = text("score", &mut browser).parse().unwrap();
    assert!(
        (score / said["score"].as_f64().unwrap() - 1.0).abs() < 1e-3,
        "{score} {said}"
    );
    let rows = browser.value("document.querySelectorAll('#regions tbody tr').length");
    assert_eq!(rows, said["regions"].as_array().unwrap().len().min(20));
    let shown = browser.value(
        "(async () => { const image = document.getElementById('picture'); await image.decode(); return [image.naturalWidth, image.naturalHeight]; })()",
    );
    assert_eq!(shown, serde_json::json!([320, 240]));
    assert!(text("results", &mut browser).contains("cannot be decoded"));

    // The slider counts as the thresholds of the server do.
    let threshold = about["threshold"].as_f64().unwrap();
    for (kind, wanted) in [("normal", threshold), ("simulated", threshold / 2.0)] {
        browser.value(&format!(
            "(() => {{ const field = document.getElementById('threshold'); field.value = '{wanted}'; field.dispatchEvent(new Event('input')); return true; }})()"
        ));
        let scores = about["calibration"][kind]["scores"].as_array().unwrap();
        let above = scores
            .iter()
            .filter(|score| score.as_f64().unwrap() >= wanted)
            .count();
        assert_eq!(text(&format!("{kind}-above"), &mut browser), above.to_string());
        assert_eq!(
            text(&format!("{kind}-below"), &mut browser),
            (scores.len() - above).to_string()
        );
    }
    browser.value("document.getElementById('reset').click()");
    // The image itself, and the other result.
    browser.value("document.getElementById('over').click()");
    browser.until("document.getElementById('picture').alt === 'the image' && document.getElementById('picture').complete");
    browser.value("document.getElementById('over').click()");
    browser.value("document.querySelectorAll('#results button')[2].click()");
    assert_eq!(text("name", &mut browser), "plain.png");
    browser.value("document.querySelectorAll('#results button')[0].click()");

    // Another server, whose threshold the image reaches.
    browser.open(&format!("http://{}/", judging.address));
    browser.until("!document.getElementById('scores').hidden");
    browser.choose("#file", &[&plain, &broken, &named]);
    browser.until("document.querySelectorAll('#results li').length === 3 && document.getElementById('verdict').textContent === 'anomalous'");
    browser.until("document.querySelectorAll('#regions tbody tr').length > 0");

    for (width, is_phone) in [(1280, false), (390, true)] {
        browser.widen(width, is_phone);
        browser.until("new Promise(done => requestAnimationFrame(() => done(true)))");
        assert_eq!(browser.value(WIDE), true, "{width} pixels are enough");
        // For a person to look at: FLAWFORGE_PICTURES names a folder.
        if let Ok(folder) = std::env::var("FLAWFORGE_PICTURES") {
            browser.picture(&Path::new(&folder).join(format!("page-{width}.png")));
        }
    }
    assert!(browser.complaints.is_empty(), "{:?}", browser.complaints);
}

#[test]
fn the_page_asks_for_a_token_and_drops_what_is_dropped() {
    let Some(mut browser) = Browser::start() else {
        return skip(Need::Peer, "no chromium starts");
    };
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("gear");
    trained(&run, "lin-yan");
    let server = Server::start_with(&[path(&run)], &[("FLAWFORGE_TOKEN", "open-sesame")]);
    browser.widen(1280, false);
    browser.open(&format!("http://{}/", server.address));
    browser.until("!document.getElementById('access').hidden");
    let enter = |token: &str| {
        format!(
            "document.getElementById('token').value = '{token}'; document.querySelector('#access button').click()"
        )
    };
    browser.value(&enter("wrong"));
    browser.until("document.getElementById('status').className === 'fault'");
    browser.value(&enter("open-sesame"));
    browser.until(
        "document.querySelectorAll('#run option').length === 1 && document.getElementById('access').hidden",
    );
    // Images that are drawn and dropped, and one that is none.
    browser.value(
        "(async () => {
            const canvas = document.createElement('canvas');
            canvas.width = canvas.height = 64;
            canvas.getContext('2d').fillRect(8, 8, 20, 20);
            const blob = await new Promise(done => canvas.toBlob(done, 'image/png'));
            const data = new DataTransfer();
            data.items.add(new File([blob], 'first.png', { type: 'image/png' }));
            data.items.add(new File(['no image'], 'broken.png', { type: 'image/png' }));
            data.items.add(new File([blob], 'dropped.png', { type: 'image/png' }));
            document.getElementById('drop').dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }));
        })()",
    );
    browser.until("document.getElementById('name').textContent === 'dropped.png'");
    browser.until(
        "document.getElementById('status').textContent === '1 of 3 images without a score: see below'",
    );
    // The newest first, each with its picture and score, or with what is wrong.
    let words = "[...document.querySelectorAll('#results li')].map(one => [one.querySelector('.called').textContent, \
                 !!one.querySelector('img'), one.querySelector('.fault')?.textContent.split(':')[0] ?? null])";
    assert_eq!(
        browser.value(words),
        serde_json::json!([
            ["dropped.png", true, null],
            ["broken.png", false, "cannot be decoded"],
            ["first.png", true, null]
        ])
    );
    let header = [("authorization", "Bearer open-sesame")];
    let metrics = ask(server.address, "GET", "/metrics", &header, &[])
        .unwrap()
        .text();
    let one = metrics.lines().any(|line| {
        line.starts_with("flawforge_requests_total{route=\"/v1/runs/{name}/score\",status=\"200\"} 2")
    });
    assert!(one, "{metrics}");
}
