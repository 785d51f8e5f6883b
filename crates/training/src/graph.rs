//! A run as a computation graph that ONNX runtimes evaluate: images in, scores, maps and verdicts out.

use std::path::Path;

use flawforge_datasets::PixelScale;
use flawforge_models::export::inspected;
use flawforge_onnx::{Dim, Element, Graph, GraphError, Value};
use flawforge_ops::Precision;

use crate::decision::{Decision, Verdict};
use crate::error::{Result, TrainingError};
use crate::run::Run;

/// In which numbers the networks of a graph compute; scores, distances and maps are in f32 always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum GraphPrecision {
    /// 32-bit floating point.
    #[default]
    F32,
    /// 16-bit floating point: half the file, memory banks included, and other scores in the third digit or so. A processor computes
    /// it in f32 all the same.
    F16,
}

/// The thresholds that a graph makes verdicts by.
#[derive(Debug, Clone, PartialEq)]
pub struct GraphVerdicts {
    /// An image whose verdict score is at least this is anomalous.
    pub threshold: f32,
    /// An image below that and at least at this is to be looked at.
    pub look_from: Option<f32>,
    /// What is noted of them in the file, by name.
    pub facts: Vec<(String, String)>,
}

impl GraphVerdicts {
    /// By one threshold, whose promise nobody knows.
    pub fn at(threshold: f32) -> Self {
        Self {
            threshold,
            look_from: None,
            facts: Vec::new(),
        }
    }
}

impl From<&Decision> for GraphVerdicts {
    fn from(decision: &Decision) -> Self {
        let mut facts = vec![("pixel_threshold".to_owned(), decision.pixel_threshold.to_string())];
        if let Some(promise) = decision.promise {
            facts.push(("promise".to_owned(), promise.to_string()));
        }
        if !decision.warnings.is_empty() {
            facts.push(("warnings".to_owned(), decision.warnings.join("\n")));
        }
        Self {
            threshold: decision.threshold,
            look_from: decision.look_from,
            facts,
        }
    }
}

impl Run {
    /// The run as an ONNX graph: the bytes of a file.
    ///
    /// | name | shape | what |
    /// |---|---|---|
    /// | `images` | (N, H, W, 3) u8 | RGB, red first, of any size; all of a batch have the same |
    /// | `score` | (N) f32 | [`Scored::score`](crate::Scored::score) |
    /// | `verdict_score` | (N) f32 | [`Scored::verdict_score`](crate::Scored::verdict_score) |
    /// | `map` | (N, H, W) f32 | the anomaly map at the images' own size |
    /// | `verdict` | (N) i64 | 0 normal, 1 look, 2 anomalous; only with thresholds |
    ///
    /// The networks compute in f32, whatever the run's precision is on other machines. Facts about the run are in the file's
    /// metadata: `category`, `method`, `version`, `run` (its [identity](Self::identity)), `settings` (the hash of its
    /// [experiment](Self::experiment)), `precision`, `full_scale`, `pixel_scale` where the
    /// training images were deep files ([`pixel_scale`](Self::pixel_scale)), and with thresholds `threshold`, `look_from`, `pixel_threshold`,
    /// `promise`, `warnings`.
    ///
    /// # Errors
    /// Weights that do not fit the settings; a detector that is not told as a graph; one that is larger than such a file can be.
    pub fn onnx(&self, verdicts: Option<&GraphVerdicts>, precision: GraphPrecision) -> Result<Vec<u8>> {
        let detector = {
            let _precision = Precision::F32.scope();
            self.experiment().looking_inside(self.recipe()?.telling()?)
        };
        let element = match precision {
            GraphPrecision::F32 => Element::F32,
            GraphPrecision::F16 => Element::F16,
        };
        let mut graph = Graph::new(self.category()).working_in(element);
        let [count, height, width] = ["N", "H", "W"].map(Dim::Named);
        let shape = [count, height, width, Dim::Known(3)];
        let images = graph.input("images", Element::U8, &shape);
        let outputs = inspected(detector.as_ref(), &mut graph, images)?;
        graph.output("score", outputs.score, &[count]);
        graph.output("verdict_score", outputs.verdict_score, &[count]);
        graph.output("map", outputs.map, &[count, height, width]);
        for (key, value) in [
            ("category", self.category().to_owned()),
            ("method", self.experiment().method.to_string()),
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("run", self.identity().to_owned()),
            ("settings", self.experiment().hash()),
            ("precision", element.name().to_owned()),
            ("full_scale", detector.full_scale().to_string()),
        ] {
            graph.metadata(key, value);
        }
        if self.pixel_scale() != PixelScale::default() {
            let scale = serde_json::to_string(&self.pixel_scale());
            let scale = scale.map_err(|fault| TrainingError::checkpoint(self.file(), fault.to_string()))?;
            graph.metadata("pixel_scale", scale);
        }
        if let Some(verdicts) = verdicts {
            let verdict = verdict(&mut graph, outputs.verdict_score, verdicts);
            graph.output("verdict", verdict, &[count]);
            graph.metadata("threshold", verdicts.threshold.to_string());
            if let Some(from) = verdicts.look_from {
                graph.metadata("look_from", from.to_string());
            }
            for (key, value) in &verdicts.facts {
                graph.metadata(key, value);
            }
        }
        graph.to_bytes().map_err(|fault| self.not_exported(&fault))
    }

    /// Writes [`onnx`](Self::onnx) to a file, which appears whole or not at all.
    ///
    /// # Errors
    /// As [`onnx`](Self::onnx); if the file cannot be written.
    pub fn export_onnx(
        &self,
        file: &Path,
        verdicts: Option<&GraphVerdicts>,
        precision: GraphPrecision,
    ) -> Result<()> {
        let bytes = self.onnx(verdicts, precision)?;
        flawforge_files::write(file, &bytes).map_err(TrainingError::Write)
    }

    fn not_exported(&self, fault: &GraphError) -> TrainingError {
        TrainingError::checkpoint(self.file(), format!("cannot be told as a graph: {fault}"))
    }
}

/// A verdict in a graph.
fn code(verdict: Verdict) -> i64 {
    match verdict {
        Verdict::Normal => 0,
        Verdict::Look => 1,
        Verdict::Anomalous => 2,
    }
}

/// [`Decision::verdict`] of scores (N).
fn verdict(graph: &mut Graph, score: Value, verdicts: &GraphVerdicts) -> Value {
    let [normal, look, anomalous] =
        [Verdict::Normal, Verdict::Look, Verdict::Anomalous].map(|verdict| graph.i64(code(verdict)));
    let mut below = normal;
    if let Some(from) = verdicts.look_from {
        let from = graph.f32(from);
        let doubtful = graph.at_least(score, from);
        below = graph.choose(doubtful, look, normal);
    }
    let threshold = graph.f32(verdicts.threshold);
    let reached = graph.at_least(score, threshold);
    let verdict = graph.choose(reached, anomalous, below);
    let unknown = graph.is_nan(score);
    graph.choose(unknown, look, verdict)
}
