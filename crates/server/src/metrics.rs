//! What Prometheus is told.

use std::fmt;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::app::App;

/// The kind of text that [`Metrics::text`] is.
pub(crate) const KIND: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper ends of seconds (proposal).
const SECONDS: [f64; 13] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0,
];
/// Upper ends of batches, in images (proposal).
const BATCHES: [f64; 7] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfRequest {
    route: String,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfRoute {
    route: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfImage {
    run: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfStage {
    stage: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfRun {
    run: String,
}

/// A stage that takes time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Waiting until somebody decodes it.
    Waiting,
    Decoding,
    /// A batch in the network.
    Network,
    /// Regions and pictures.
    Judging,
}

/// All counters. Names of runs are those that are served, routes those of the table: no client makes new ones.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<OfRequest, Counter>,
    seconds: Family<OfRoute, Histogram, fn() -> Histogram>,
    images: Family<OfImage, Counter>,
    stages: Family<OfStage, Histogram, fn() -> Histogram>,
    batches: Histogram,
    reloads: Family<OfImage, Counter>,
    stale: Family<OfRun, Gauge>,
    queue: Gauge,
    held: Gauge,
    in_hand: Gauge,
    pub(crate) connections: Gauge,
}

fn seconds() -> Histogram {
    Histogram::new(SECONDS)
}

impl Default for Metrics {
    fn default() -> Self {
        let new = Self {
            registry: Registry::with_prefix("flawforge"),
            requests: Family::default(),
            seconds: Family::new_with_constructor(seconds),
            images: Family::default(),
            stages: Family::new_with_constructor(seconds),
            batches: Histogram::new(BATCHES),
            reloads: Family::default(),
            stale: Family::default(),
            queue: Gauge::default(),
            held: Gauge::default(),
            in_hand: Gauge::default(),
            connections: Gauge::default(),
        };
        new.registered()
    }
}

impl Metrics {
    fn registered(mut self) -> Self {
        let registry = &mut self.registry;
        registry.register("requests", "Requests answered", self.requests.clone());
        registry.register_with_unit(
            "request",
            "From the head of a request to its answer",
            Unit::Seconds,
            self.seconds.clone(),
        );
        registry.register(
            "images",
            "Images by verdict, or by what was wrong",
            self.images.clone(),
        );
        registry.register_with_unit(
            "stage",
            "What an image waits for, and a batch in the network",
            Unit::Seconds,
            self.stages.clone(),
        );
        registry.register(
            "batch_images",
            "Images that the network scored together",
            self.batches.clone(),
        );
        registry.register("reloads", "Runs that were replaced on disk", self.reloads.clone());
        registry.register(
            "run_stale",
            "1 where what lies on disk could not be loaded, and the earlier run goes on",
            self.stale.clone(),
        );
        registry.register(
            "queue_images",
            "Images that wait to be decoded",
            self.queue.clone(),
        );
        registry.register_with_unit(
            "held",
            "Bodies and pictures that are held",
            Unit::Bytes,
            self.held.clone(),
        );
        registry.register(
            "requests_in_hand",
            "Requests that are not answered yet",
            self.in_hand.clone(),
        );
        registry.register("connections", "Open connections", self.connections.clone());
        self
    }

    /// A request was answered.
    pub(crate) fn answered(&self, route: &str, status: u16, took: Duration) {
        let of = OfRequest {
            route: route.to_owned(),
            status,
        };
        self.requests.get_or_create(&of).inc();
        let route = of.route;
        self.seconds
            .get_or_create(&OfRoute { route })
            .observe(took.as_secs_f64());
    }

    /// An image was scored, or could not be.
    pub(crate) fn image(&self, run: &str, outcome: &'static str) {
        let run = run.to_owned();
        self.images.get_or_create(&OfImage { run, outcome }).inc();
    }

    pub(crate) fn took(&self, stage: Stage, took: Duration) {
        let stage = match stage {
            Stage::Waiting => "waiting",
            Stage::Decoding => "decoding",
            Stage::Network => "network",
            Stage::Judging => "judging",
        };
        self.stages
            .get_or_create(&OfStage { stage })
            .observe(took.as_secs_f64());
    }

    pub(crate) fn batch(&self, images: usize) {
        self.batches.observe(images as f64);
    }

    /// A run was replaced on disk, and took the place of the earlier one or did not.
    pub(crate) fn reloaded(&self, run: &str, taken: bool) {
        let run = run.to_owned();
        let outcome = if taken { "taken" } else { "broken" };
        self.stale
            .get_or_create(&OfRun { run: run.clone() })
            .set(i64::from(!taken));
        self.reloads.get_or_create(&OfImage { run, outcome }).inc();
    }

    /// All of it, as text.
    ///
    /// # Errors
    /// None that is known.
    pub(crate) fn text(&self, app: &App) -> Result<String, fmt::Error> {
        let as_gauge = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        self.queue.set(as_gauge(app.line.waiting() as u64));
        self.held.set(as_gauge(app.budget.held()));
        self.in_hand.set(as_gauge(app.drain.in_hand() as u64));
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
