//! All addresses, and what every request passes through.

use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{MatchedPath, Path, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use serde::Serialize;
use serde_json::json;
use tower_http::catch_panic::CatchPanicLayer;

use crate::app::App;
use crate::body::forget;
use crate::facts::{Brief, Facts};
use crate::fault::Fault;
use crate::metrics::KIND;
use crate::page;
use crate::runs::State as RunState;
use crate::score::score;

/// What the server can do, for programs.
const OPENAPI: &str = include_str!("openapi.json");

/// A request's method, its address, who answers.
type Route = (&'static str, &'static str, MethodRouter<Arc<App>>);

/// All routes. `openapi.json` has the same.
fn table() -> Vec<Route> {
    vec![
        ("get", "/", get(page::page)),
        ("get", "/health", get(health)),
        ("get", "/metrics", get(metrics)),
        ("get", "/openapi.json", get(openapi)),
        ("get", "/v1/runs", get(runs)),
        ("get", "/v1/runs/{name}", get(run)),
        ("post", "/v1/runs/{name}/score", post(score)),
    ]
}

/// Who needs no token: the page has nothing of the runs in it, and asks for one.
const OPEN: [&str; 3] = ["/", "/health", "/openapi.json"];
/// Who is answered to the end.
const TO_THE_END: [&str; 2] = ["/health", "/metrics"];

/// Everything that a request passes through, the outermost last.
pub(crate) fn router(app: &Arc<App>) -> Router {
    let mut router = Router::new();
    for (_, path, handler) in table() {
        router = router.route(path, handler);
    }
    router
        .fallback(|request: Request| async { refuse(request, Fault::no_route()) })
        .method_not_allowed_fallback(|request: Request| async { refuse(request, Fault::method()) })
        .layer(from_fn_with_state(Arc::clone(app), guard))
        .layer(CatchPanicLayer::custom(failed))
        .layer(from_fn_with_state(Arc::clone(app), count))
        .with_state(Arc::clone(app))
}

/// Answers without the body.
fn refuse(request: Request, fault: Fault) -> Response {
    let (head, body) = request.into_parts();
    forget(&head.headers, body);
    fault.into_response()
}

/// The log has what the panic said; the answer says nothing of it.
fn failed(_: Box<dyn Any + Send>) -> Response {
    Fault::internal().into_response()
}

fn path_of(request: &Request) -> &str {
    request
        .extensions()
        .get::<MatchedPath>()
        .map_or("other", MatchedPath::as_str)
}

/// Counts what is answered.
async fn count(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let route = path_of(&request).to_owned();
    let response = next.run(request).await;
    app.metrics
        .answered(&route, response.status().as_u16(), begun.elapsed());
    response
}

/// Takes a request in hand, if the server does not end and the request may be asked.
async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let path = path_of(&request);
    let in_hand = app.drain.accept();
    if in_hand.is_none() && !TO_THE_END.contains(&path) {
        return refuse(request, Fault::ending());
    }
    if let Some(token) = &app.settings.token
        && !OPEN.contains(&path)
        && !token.is_shown(request.headers())
    {
        return refuse(request, Fault::unauthorized());
    }
    let response = next.run(request).await;
    drop(in_hand);
    response
}

/// Whether it is alive, and takes requests.
async fn health(State(app): State<Arc<App>>) -> Response {
    let (status, word) = match app.drain.is_ending() {
        true => (StatusCode::SERVICE_UNAVAILABLE, "ending"),
        false => (StatusCode::OK, "ok"),
    };
    (
        status,
        axum::Json(json!({"status": word, "runs": app.runs.names()})),
    )
        .into_response()
}

async fn metrics(State(app): State<Arc<App>>) -> Result<Response, Fault> {
    let text = app.metrics.text(&app).map_err(|_| Fault::internal())?;
    Ok(([(CONTENT_TYPE, HeaderValue::from_static(KIND))], text).into_response())
}

async fn openapi() -> Response {
    let kind = HeaderValue::from_static("application/json");
    ([(CONTENT_TYPE, kind)], OPENAPI).into_response()
}

/// All runs.
#[derive(Serialize)]
struct List<'a> {
    runs: Vec<Brief<'a>>,
}

/// What is said of a run, and how it got here.
#[derive(Serialize)]
struct About<'a> {
    #[serde(flatten)]
    facts: &'a Facts,
    #[serde(flatten)]
    state: RunState,
}

async fn runs(State(app): State<Arc<App>>) -> Response {
    let served: Vec<_> = app.runs.all().iter().map(|entry| entry.served()).collect();
    let runs: Vec<_> = served.iter().map(|served| served.facts.brief()).collect();
    fresh(&List { runs })
}

async fn run(
    State(app): State<Arc<App>>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Response, Fault> {
    let Path(name) = name.map_err(|_| Fault::bad_name())?;
    let entry = app
        .runs
        .named(&name)
        .ok_or_else(|| Fault::no_run(&name, &app.runs.names()))?;
    let served = entry.served();
    Ok(fresh(&About {
        facts: &served.facts,
        state: entry.state(),
    }))
}

/// JSON that may be other the next time.
fn fresh(what: &impl Serialize) -> Response {
    let no_store = HeaderValue::from_static("no-store");
    ([(CACHE_CONTROL, no_store)], axum::Json(what)).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_description_has_every_route_and_no_other() {
        let description: serde_json::Value = serde_json::from_str(OPENAPI).unwrap();
        let described: BTreeSet<(String, String)> = description["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, methods)| {
                methods
                    .as_object()
                    .unwrap()
                    .keys()
                    .map(|method| (method.clone(), path.clone()))
            })
            .collect();
        let routes: BTreeSet<(String, String)> = table()
            .into_iter()
            .map(|(method, path, _)| (method.to_owned(), path.to_owned()))
            .collect();
        assert_eq!(described, routes);
        assert_eq!(description["info"]["version"], env!("CARGO_PKG_VERSION"));
        // Every schema that is named is there.
        let text = OPENAPI.split("\"#/components/").skip(1);
        for name in text.map(|rest| rest.split('"').next().unwrap()) {
            let (sort, name) = name.split_once('/').unwrap();
            assert!(description["components"][sort][name].is_object(), "{sort} {name}");
        }
    }
}
