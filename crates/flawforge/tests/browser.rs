//! The page of `report` in a browser: its slider counts as `evaluate` does, and it fits on a phone.

use std::fs;
use std::process::{Command, Stdio};

use crate::support::{path, succeed};
use flawforge_testing::{Need, skip};
use serde_json::Value;

/// Names under which the browser is installed.
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

/// Notes what goes wrong from the first element on.
const LISTEN: &str = "<script>
window.faults = [];
window.addEventListener('error', (event) => faults.push(event.message));
for (const level of ['error', 'warn']) console[level] = (...words) => faults.push(words.join(' '));
</script>";

/// Moves the slider, and writes what is to be seen then to the end of the page.
const PROBE: &str = "<script>{
const seen = {};
const text = (id) => document.getElementById(id).textContent;
const number = document.getElementById('threshold'), slider = document.getElementById('slider');
const counts = () => ({threshold: number.value, good: [text('good-below'), text('good-above')],
  defective: [text('defective-below'), text('defective-above')]});
seen.first = counts();
slider.value = SLIDER;
slider.dispatchEvent(new Event('input'));
seen.moved = counts();
seen.line = document.getElementById('chosen').getAttribute('visibility');
document.getElementById('reset').click();
seen.back = counts();
const wide = (element) => element.getBoundingClientRect().right > window.innerWidth + 0.5;
seen.window = window.innerWidth;
seen.page = document.documentElement.scrollWidth;
seen.wider = [...document.querySelectorAll('body *')].filter(wide).map((element) => element.outerHTML.slice(0, 80));
seen.faults = faults;
const probe = document.createElement('script');
probe.type = 'application/json'; probe.id = 'probe'; probe.textContent = JSON.stringify(seen);
window.parent.document.body.append(probe);
}</script>";

fn browser() -> Option<&'static str> {
    let starts = |name: &&str| {
        let command = Command::new(name).arg("--version").stderr(Stdio::null()).output();
        command.is_ok_and(|said| said.status.success())
    };
    BROWSERS.into_iter().find(starts)
}

/// What the probe saw on a page of this width: in a frame, because windows of browsers have a least width.
fn seen(browser: &str, html: &str, width: u32) -> Value {
    let dir = tempfile::tempdir().unwrap();
    let outer = dir.path().join("outer.html");
    let inner = html.replace('&', "&amp;").replace('"', "&quot;");
    let frame =
        format!("<iframe style=\"width:{width}px;height:900px;border:0\" srcdoc=\"{inner}\"></iframe>");
    fs::write(
        &outer,
        format!("<!DOCTYPE html><html><body>{frame}</body></html>"),
    )
    .unwrap();
    let said = Command::new(browser)
        .args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--dump-dom",
        ])
        .arg(format!("--user-data-dir={}", path(&dir.path().join("profile"))))
        .arg("--window-size=1400,1000")
        .arg(format!("file://{}", path(&outer)))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    let start = "id=\"probe\">";
    // The source of the frame holds the probe's text in quotes that are escaped.
    let at = text
        .find(start)
        .unwrap_or_else(|| panic!("no probe: {}", String::from_utf8_lossy(&said.stderr)));
    let json = &text[at + start.len()..];
    serde_json::from_str(&json[..json.find("</script>").unwrap()]).unwrap()
}

#[test]
fn the_slider_counts_as_evaluate_does_and_the_page_fits_on_a_phone() {
    let Some(browser) = browser() else {
        return skip(Need::Peer, "no chromium is installed");
    };
    let dir = tempfile::tempdir().unwrap();
    let (run, page) = (dir.path().join("run"), dir.path().join("page.html"));
    let train = [
        "train",
        "--demo",
        "gear",
        "--method",
        "lin-yan",
        "--profile",
        "smoke",
        "--steps",
        "40",
    ];
    succeed(&[&train[..], &["--out", path(&run)]].concat());
    succeed(&["report", path(&run), "--demo", "gear", "--out", path(&page)]);
    let html = fs::read_to_string(&page).unwrap();
    for (width, slider) in [(1280, "333"), (390, "500")] {
        let listening = html.replace("<head>", &format!("<head>{LISTEN}"));
        let probed = listening.replace("</body>", &format!("{}</body>", PROBE.replace("SLIDER", slider)));
        let seen = seen(browser, &probed, width);
        assert_eq!(seen["faults"], serde_json::json!([]), "{seen}");
        assert_eq!(seen["window"], width, "{seen}");
        assert!(seen["page"].as_u64() <= Some(u64::from(width)), "{seen}");
        assert_eq!(seen["wider"], serde_json::json!([]), "{seen}");
        assert_eq!(seen["line"], "visible");
        assert_eq!(seen["back"], seen["first"]);
        assert_ne!(seen["moved"], seen["first"]);
        for counts in [&seen["first"], &seen["moved"]] {
            let threshold = counts["threshold"].as_str().unwrap();
            succeed(&[
                "evaluate",
                "--demo",
                "gear",
                "--run",
                path(&run),
                "--threshold",
                threshold,
            ]);
            let text = fs::read_to_string(run.join("evaluation/evaluation.json")).unwrap();
            let evaluation: Value = serde_json::from_str(&text).unwrap();
            for sort in ["good", "defective"] {
                let calls = &evaluation["verdicts"]["confusion"][sort];
                let expected = [&calls["normal"], &calls["anomalous"]].map(Value::to_string);
                assert_eq!(counts[sort], serde_json::json!(expected), "{sort} at {threshold}");
            }
        }
    }
}
