//! `POST /v1/runs/NAME/score`.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Query, Request, State};
use axum::http::HeaderMap;
use axum::http::header::ACCEPT;
use axum::http::request::Parts;
use axum::response::Response;
use serde::Deserialize;
use tokio::time::timeout;

use crate::answer::{One, Said, json, picture};
use crate::app::App;
use crate::body::{forget, read};
use crate::fault::Fault;
use crate::job::{Answer, Came, Job, Wanted};
use crate::upload::{Upload, take_apart};

/// What the query asks for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    map: Option<Png>,
    overlay: Option<Png>,
    /// What the image is called that is the whole body.
    name: Option<String>,
}

/// The one kind of picture there is.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Png {
    Png,
}

/// Scores the images of a request.
pub(crate) async fn score(
    State(app): State<Arc<App>>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Fault> {
    let (head, body) = request.into_parts();
    let Path(name) = name.map_err(|_| Fault::bad_name())?;
    let checked = check(&app, &name, &head);
    let (asked, wanted, bare) = match checked {
        Ok(checked) => checked,
        Err(fault) => {
            forget(&head.headers, body);
            return Err(fault);
        }
    };
    let (bytes, held) = read(&app, &head.headers, body).await?;
    let Upload { images, parts } =
        take_apart(&head, asked.name.as_deref(), bytes, app.settings.images_at_once()).await?;
    if bare && images.len() > 1 {
        return Err(Fault::bad_request(
            "an answer that is a picture is of one image; several are answered as JSON",
        ));
    }
    let entry = app
        .runs
        .named(&name)
        .ok_or_else(|| Fault::no_run(&name, &app.runs.names()))?;
    let served = entry.served();
    let held = Arc::new(held);
    let mut answers: Vec<(String, Answer)> = Vec::with_capacity(images.len());
    let mut came = Vec::with_capacity(images.len());
    for (image, bytes) in images {
        let (job, answer) = Job::new(
            Arc::clone(&served),
            image.clone(),
            wanted,
            app.budget.start(),
            Arc::clone(&held),
        );
        came.push(Came { job, bytes });
        answers.push((image, answer));
    }
    drop(held);
    app.line.offer(came)?;
    let gathered = timeout(app.settings.score_time, gather(answers)).await;
    let Ok(each) = gathered else {
        app.metrics.image(&name, "late");
        return Err(Fault::slow_score(app.settings.score_time.as_secs_f64()));
    };
    for one in &each {
        app.metrics.image(&name, one.outcome());
    }
    let said = match (parts, each) {
        (false, mut each) => match each.pop() {
            Some(One::Fault(_, fault)) => return Err(fault),
            Some(one) => vec![one],
            None => return Err(Fault::internal()),
        },
        (true, each) => each,
    };
    if bare {
        return picture(said, wanted);
    }
    // Texts of large pictures take a while.
    let answer = move || json(Said::of(name, said));
    match wanted.any() {
        true => tokio::task::spawn_blocking(answer)
            .await
            .map_err(|_| Fault::internal())?,
        false => answer(),
    }
}

/// What can be told before the body is read.
fn check(app: &App, name: &str, head: &Parts) -> Result<(Asked, Wanted, bool), Fault> {
    if app.runs.named(name).is_none() {
        return Err(Fault::no_run(name, &app.runs.names()));
    }
    let Query(asked) = Query::<Asked>::try_from_uri(&head.uri)
        .map_err(|_| Fault::bad_request("the query may have map=png, overlay=png and name=NAME"))?;
    let wanted = Wanted {
        map: asked.map.is_some(),
        overlay: asked.overlay.is_some(),
    };
    let bare = wants_picture(&head.headers);
    if bare && wanted.map == wanted.overlay {
        return Err(Fault::bad_request(
            "an answer that is a picture is a map or an overlay: ?map=png or ?overlay=png",
        ));
    }
    Ok((asked, wanted, bare))
}

/// Whether the answer is to be a picture: that is what is named first.
fn wants_picture(headers: &HeaderMap) -> bool {
    let accepted = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    let first = accepted.and_then(|accepted| accepted.split([',', ';']).next());
    first.is_some_and(|first| first.trim().eq_ignore_ascii_case("image/png"))
}

async fn gather(answers: Vec<(String, Answer)>) -> Vec<One> {
    let mut each = Vec::with_capacity(answers.len());
    for (image, answer) in answers {
        each.push(match answer.await {
            Ok(Ok(scored)) => One::Scored(Box::new(scored)),
            Ok(Err(fault)) => One::Fault(image, fault),
            // Whoever worked on it failed.
            Err(_) => One::Fault(image, Fault::internal()),
        });
    }
    each
}
