//! The images of a request: its body, or the parts of one in several parts.

use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, FromRequest, Multipart, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;

use crate::fault::Fault;

/// What an image is called that has no name.
const NAMELESS: &str = "image";
/// Letters of a name, at most.
const LETTERS: usize = 200;

/// The images of a request, by name.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) images: Vec<(String, Bytes)>,
    /// Whether they came as parts.
    pub(crate) parts: bool,
}

/// The last part of a name, whatever system it comes from.
pub(crate) fn named(name: Option<&str>) -> String {
    let name = name.unwrap_or_default();
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    match last.is_empty() {
        true => NAMELESS.to_owned(),
        false => last.chars().take(LETTERS).collect(),
    }
}

/// Takes a whole body apart.
///
/// # Errors
/// No image, too many, parts that are none.
pub(crate) async fn take_apart(
    head: &Parts,
    name: Option<&str>,
    body: Bytes,
    most: usize,
) -> Result<Upload, Fault> {
    let kind = head.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let is_parts = kind.is_some_and(|kind| {
        kind.trim_start()
            .get(..20)
            .is_some_and(|start| start.eq_ignore_ascii_case("multipart/form-data;"))
    });
    if !is_parts {
        if body.is_empty() {
            return Err(Fault::bad_request(
                "the body is empty; send the bytes of an image",
            ));
        }
        return Ok(Upload {
            images: vec![(named(name), body)],
            parts: false,
        });
    }
    let broken = |_| Fault::bad_request("the parts of the body cannot be told apart (multipart/form-data)");
    let mut request = Request::new(Body::from(body));
    *request.headers_mut() = head.headers.clone();
    // The length was checked when the body came.
    DefaultBodyLimit::disable().apply(&mut request);
    let mut parts = Multipart::from_request(request, &())
        .await
        .map_err(|_| broken(()))?;
    let mut images = Vec::new();
    while let Some(part) = parts.next_field().await.map_err(|_| broken(()))? {
        if images.len() == most {
            return Err(Fault::too_many_images(most));
        }
        let name = named(part.file_name().or(part.name()));
        images.push((name, part.bytes().await.map_err(|_| broken(()))?));
    }
    match images.is_empty() {
        true => Err(Fault::bad_request("the body has no parts; send an image in each")),
        false => Ok(Upload { images, parts: true }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_no_paths() {
        assert_eq!(named(Some("/a/b/c.png")), "c.png");
        assert_eq!(named(Some("C:\\parts\\c.png")), "c.png");
        assert_eq!((named(Some("a/")), named(None)), ("image".into(), "image".into()));
        assert_eq!(named(Some(&"ö".repeat(999))).chars().count(), LETTERS);
    }

    #[test]
    fn large_parts_are_taken_and_too_many_refused() {
        // Far more in all than axum takes by itself.
        let (part, fence) = (vec![7u8; 3 << 20], "fence");
        let body: Vec<u8> = (0..3)
            .flat_map(|number| {
                let head = format!(
                    "--{fence}\r\nContent-Disposition: form-data; name=\"a\"; filename=\"{number}.png\"\r\n\r\n"
                );
                [head.as_bytes(), &part, b"\r\n"].concat()
            })
            .chain(format!("--{fence}--\r\n").into_bytes())
            .collect();
        let request = Request::builder()
            .header(CONTENT_TYPE, format!("multipart/form-data; boundary={fence}"))
            .body(Body::empty())
            .unwrap();
        let (head, _) = request.into_parts();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let taken = |most| runtime.block_on(take_apart(&head, None, Bytes::from(body.clone()), most));
        let upload = taken(3).unwrap();
        let names: Vec<&str> = upload.images.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["0.png", "1.png", "2.png"]);
        assert!(upload.images.iter().all(|(_, bytes)| *bytes == part[..]));
        assert_eq!(taken(2).unwrap_err().code(), Fault::too_many_images(2).code());
    }
}
