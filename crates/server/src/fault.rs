//! Why a request is not answered as it wished: a status, a word for programs, a sentence for people.

use axum::http::header::{CONNECTION, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Seconds after which a client may come back.
const COME_BACK: &str = "1";

/// What is wrong. Nothing in it tells of this program's insides: no path, no name of a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Fault {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", message)
    }

    pub(crate) fn bad_name() -> Self {
        Self::bad_request("the name of the run is not written in UTF-8")
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "this server wants a token: Authorization: Bearer TOKEN",
        )
    }

    pub(crate) fn no_run(name: &str, known: &[&str]) -> Self {
        let named: String = name.chars().take(100).collect();
        let known = known.join(", ");
        Self::new(
            StatusCode::NOT_FOUND,
            "unknown-run",
            format!("no run is called \"{named}\"; there are: {known}"),
        )
    }

    pub(crate) fn no_route() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not-found",
            "nothing is here; /openapi.json says what there is",
        )
    }

    pub(crate) fn method() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            "this address does not take this method; /openapi.json says which it takes",
        )
    }

    pub(crate) fn slow_body(seconds: f64) -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "slow-body",
            format!("the body did not come within {seconds} s"),
        )
    }

    pub(crate) fn body_too_large(most: u64) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body-too-large",
            format!("the body has more than {most} bytes, which is the limit"),
        )
    }

    pub(crate) fn too_many_images(most: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-many-images",
            format!("the limit is {most} images in a request"),
        )
    }

    pub(crate) fn too_many_pixels(message: String) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "too-many-pixels", message)
    }

    pub(crate) fn not_an_image(message: String) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "not-an-image", message)
    }

    pub(crate) fn no_score() -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "no-score",
            "the score of this image is not a number",
        )
    }

    pub(crate) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "the server failed at this request; its log says more",
        )
    }

    pub(crate) fn busy(what: &str) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "busy",
            format!("{what}; come back in a moment"),
        )
    }

    pub(crate) fn ending() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "ending",
            "the server is ending and takes nothing new",
        )
    }

    pub(crate) fn slow_score(seconds: f64) -> Self {
        Self::new(
            StatusCode::GATEWAY_TIMEOUT,
            "slow-score",
            format!("the images were not scored within {seconds} s"),
        )
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let body = json!({"error": {"code": self.code, "message": self.message}});
        let mut response = (self.status, axum::Json(body)).into_response();
        let headers = response.headers_mut();
        match self.status {
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static(COME_BACK));
                if self.code == "ending" {
                    headers.insert(CONNECTION, HeaderValue::from_static("close"));
                }
            }
            StatusCode::REQUEST_TIMEOUT => {
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            StatusCode::UNAUTHORIZED => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            _ => {}
        }
        response
    }
}
