//! The body of a request, within bytes and time; and what becomes of one that nobody wants.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, EXPECT};
use http_body_util::BodyExt;
use tokio::time::timeout;

use crate::app::App;
use crate::budget::Held;
use crate::fault::Fault;

/// A client that still sends when it is refused reads no answer before it is done, or never. So much of a refused body is read and
/// forgotten, for so long (proposal).
const FORGOTTEN: u64 = 256 << 20;
const PATIENCE: Duration = Duration::from_secs(5);

/// Reads a body; what it holds is counted.
///
/// # Errors
/// Too many bytes, too little time, no room, a body that is cut.
pub(crate) async fn read(app: &App, headers: &HeaderMap, mut body: Body) -> Result<(Bytes, Held), Fault> {
    let most = app.settings.max_body;
    let declared: Option<u64> = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    if declared.is_some_and(|bytes| bytes > most) {
        forget(headers, body);
        return Err(Fault::body_too_large(most));
    }
    let mut held = app.budget.start();
    // What is declared need not come, so it is not held before it does.
    let came = timeout(app.settings.body_time, gather(&mut body, most, &mut held)).await;
    match came {
        Ok(Ok(bytes)) => Ok((bytes, held)),
        Ok(Err(fault)) => {
            forget(headers, body);
            Err(fault)
        }
        Err(_) => Err(Fault::slow_body(app.settings.body_time.as_secs_f64())),
    }
}

async fn gather(body: &mut Body, most: u64, held: &mut Held) -> Result<Bytes, Fault> {
    let mut first = Bytes::new();
    let mut all: Vec<u8> = Vec::new();
    let mut length = 0u64;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame
            .map_err(|_| Fault::bad_request("the body broke off"))?
            .into_data()
        else {
            continue;
        };
        length += data.len() as u64;
        if length > most {
            return Err(Fault::body_too_large(most));
        }
        if !held.grow(data.len() as u64) {
            return Err(Fault::busy("too many bytes of other requests are held"));
        }
        // Most bodies of small images are one piece, which need not be copied.
        match (first.is_empty(), all.is_empty()) {
            (true, true) => first = data,
            (false, true) => {
                all.extend_from_slice(&first);
                all.extend_from_slice(&data);
            }
            _ => all.extend_from_slice(&data),
        }
    }
    Ok(if all.is_empty() { first } else { all.into() })
}

/// Reads on for a while, beside the answer, and forgets what comes.
pub(crate) fn forget(headers: &HeaderMap, mut body: Body) {
    // Who asks before sending need not be let send.
    if headers.contains_key(EXPECT) {
        return;
    }
    tokio::spawn(async move {
        let reading = async {
            let mut left = FORGOTTEN;
            while let Some(Ok(frame)) = body.frame().await {
                let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
                match left.checked_sub(bytes) {
                    Some(rest) => left = rest,
                    None => return,
                }
            }
        };
        let _ = timeout(PATIENCE, reading).await;
    });
}
