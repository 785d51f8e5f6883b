//! An image on its way through the server.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Bytes;
use flawforge_metrics::Region;
use flawforge_models::Detection;
use image::RgbImage;
use serde::Serialize;
use tokio::sync::oneshot;

use crate::budget::Held;
use crate::fault::Fault;
use crate::served::Served;

/// Which pictures are wanted of an image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) map: bool,
    pub(crate) overlay: bool,
}

impl Wanted {
    /// Whether the image is needed until its map is there.
    pub(crate) fn any(self) -> bool {
        self.map || self.overlay
    }
}

/// What stays the same of an image on its way.
pub(crate) struct Job {
    pub(crate) served: Arc<Served>,
    pub(crate) name: String,
    pub(crate) wanted: Wanted,
    pub(crate) came: Instant,
    /// What its pixels hold, and its pictures.
    pub(crate) held: Held,
    /// What the body of its request holds.
    body: Arc<Held>,
    answer: oneshot::Sender<Result<Scored, Fault>>,
}

/// Where the answer arrives.
pub(crate) type Answer = oneshot::Receiver<Result<Scored, Fault>>;

/// An image as it came.
pub(crate) struct Came {
    pub(crate) job: Job,
    pub(crate) bytes: Bytes,
}

/// A decoded image.
pub(crate) struct Seen {
    pub(crate) job: Job,
    /// Width and height of the image.
    pub(crate) size: (u32, u32),
    /// As the network takes it.
    pub(crate) prepared: RgbImage,
    /// The image itself, where pictures of it are wanted.
    pub(crate) image: Option<RgbImage>,
    pub(crate) warnings: Vec<String>,
}

/// An image that the network has looked at.
pub(crate) struct Detected {
    pub(crate) seen: Seen,
    pub(crate) detection: Detection,
}

/// What is said of an image; the names are those of the rows of `flawforge predict`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Scored {
    pub(crate) image: String,
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// The score that the verdict is made on, and that of the published protocol.
    pub(crate) score: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) protocol_score: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) threshold: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) look_from: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pixel_threshold: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) verdict: Option<&'static str>,
    pub(crate) warnings: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) regions_found: Option<usize>,
    pub(crate) regions: Vec<Region>,
    /// From the whole body to the answer.
    pub(crate) seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "base64")]
    pub(crate) map_png: Option<Vec<u8>>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "base64")]
    pub(crate) overlay_png: Option<Vec<u8>>,
    /// What is held until the answer is written.
    #[serde(skip)]
    pub(crate) held: Keeps,
}

/// What an answer holds; one answer is like another with the same words.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keeps {
    _held: Option<Arc<Held>>,
}

impl PartialEq for Keeps {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

fn base64<S: serde::Serializer>(bytes: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
    use base64::Engine as _;
    let text = bytes
        .as_ref()
        .map(|bytes| base64::engine::general_purpose::STANDARD.encode(bytes));
    text.serialize(serializer)
}

impl Job {
    /// A job and where its answer arrives.
    pub(crate) fn new(
        served: Arc<Served>,
        name: String,
        wanted: Wanted,
        held: Held,
        body: Arc<Held>,
    ) -> (Self, Answer) {
        let (answer, arrives) = oneshot::channel();
        let job = Self {
            served,
            name,
            wanted,
            came: Instant::now(),
            held,
            body,
            answer,
        };
        (job, arrives)
    }

    /// Whether nobody waits for it any more.
    pub(crate) fn is_forsaken(&self) -> bool {
        self.answer.is_closed()
    }

    pub(crate) fn fail(self, fault: Fault) {
        let _ = self.answer.send(Err(fault));
    }

    /// Takes what its pictures hold along into the answer.
    pub(crate) fn finish(self, mut scored: Scored) {
        drop(self.body);
        scored.held = Keeps {
            _held: Some(Arc::new(self.held)),
        };
        let _ = self.answer.send(Ok(scored));
    }
}
