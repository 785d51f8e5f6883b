//! What is answered about images: JSON, or one picture.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use serde::Serialize;
use serde_json::json;

use crate::fault::Fault;
use crate::job::{Keeps, Scored, Wanted};

/// What became of one image.
#[derive(Debug)]
pub(crate) enum One {
    Scored(Box<Scored>),
    /// Its name, and why it has no score.
    Fault(String, Fault),
}

impl One {
    /// A word for counters.
    pub(crate) fn outcome(&self) -> &'static str {
        match self {
            Self::Scored(scored) => scored.verdict.unwrap_or("unjudged"),
            Self::Fault(_, fault) => fault.code(),
        }
    }
}

impl Serialize for One {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Scored(scored) => scored.serialize(serializer),
            Self::Fault(image, fault) => {
                json!({"image": image, "error": {"code": fault.code(), "message": fault.message()}})
                    .serialize(serializer)
            }
        }
    }
}

/// The answer about all images of a request.
#[derive(Debug, Serialize)]
pub(crate) struct Said {
    run: String,
    images: Vec<One>,
}

impl Said {
    pub(crate) fn of(run: String, images: Vec<One>) -> Self {
        Self { run, images }
    }
}

/// As JSON. 200 where at least one image has a score; else the status of the first fault.
///
/// # Errors
/// None that is known; an answer that cannot be JSON.
pub(crate) fn json(said: Said) -> Result<Response, Fault> {
    let fault = |one: &One| match one {
        One::Scored(_) => None,
        One::Fault(_, fault) => Some(fault.status()),
    };
    let faults: Vec<StatusCode> = said.images.iter().filter_map(fault).collect();
    let status = match faults.first() {
        Some(first) if faults.len() == said.images.len() => *first,
        _ => StatusCode::OK,
    };
    let text = serde_json::to_vec(&said).map_err(|_| Fault::internal())?;
    let keeps = said.images.into_iter().filter_map(|one| match one {
        One::Scored(scored) => Some(scored.held),
        One::Fault(..) => None,
    });
    let mut response = kept(text, keeps.collect());
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// The one picture that is wanted; what is said of its image stands in headers.
///
/// # Errors
/// Why its image has no score.
pub(crate) fn picture(mut images: Vec<One>, wanted: Wanted) -> Result<Response, Fault> {
    let scored = match images.pop() {
        Some(One::Scored(scored)) => *scored,
        Some(One::Fault(_, fault)) => return Err(fault),
        None => return Err(Fault::internal()),
    };
    let png = if wanted.map {
        scored.map_png
    } else {
        scored.overlay_png
    };
    let mut response = kept(png.ok_or_else(Fault::internal)?, vec![scored.held]);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("image/png"));
    let said = [
        ("x-flawforge-score", Some(scored.score.to_string())),
        ("x-flawforge-verdict", scored.verdict.map(str::to_owned)),
    ];
    for (name, value) in said {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    Ok(response)
}

/// Bytes that are handed on together: what is beyond them waits here, and is held, until they are written (proposal).
const PIECE: usize = 64 << 10;

/// A body that holds what its pictures hold until it is written.
struct Kept {
    left: Bytes,
    _keeps: Vec<Keeps>,
}

fn kept(bytes: Vec<u8>, keeps: Vec<Keeps>) -> Response {
    let body = Kept {
        left: bytes.into(),
        _keeps: keeps,
    };
    Body::new(body).into_response()
}

impl HttpBody for Kept {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let piece = PIECE.min(self.left.len());
        let next = (piece > 0).then(|| Ok(Frame::data(self.left.split_to(piece))));
        Poll::Ready(next)
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.len() as u64)
    }
}
