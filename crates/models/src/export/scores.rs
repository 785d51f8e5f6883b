//! Image scores from maps, as graphs.

use flawforge_metrics::{image_score_window, verdict_score_window};
use flawforge_onnx::{Graph, Value, Window};

use super::Outputs;

/// [`flawforge_metrics::image_score`] of maps (N, height, width) with the window of their size.
pub(crate) fn map_score(graph: &mut Graph, map: Value, (height, width): (usize, usize)) -> Value {
    largest_mean(graph, map, image_score_window(width, height), true)
}

/// [`flawforge_metrics::verdict_score`] of maps (N, height, width).
pub(crate) fn map_verdict_score(graph: &mut Graph, map: Value, (height, width): (usize, usize)) -> Value {
    largest_mean(graph, map, verdict_score_window(width, height), false)
}

/// The image scores of maps (N, H, W), both their largest number.
pub(crate) fn highest(graph: &mut Graph, map: Value) -> Outputs {
    let largest = graph.reduce_max(map, &[1, 2], false);
    Outputs {
        score: largest,
        verdict_score: largest,
        map,
    }
}

fn largest_mean(graph: &mut Graph, map: Value, side: usize, count_zeros: bool) -> Value {
    let map = graph.unsqueeze(map, &[1]);
    let means = match side {
        1 => map,
        side => graph.average_pool(map, Window::centered(side, 1), count_zeros),
    };
    graph.reduce_max(means, &[1, 2, 3], false)
}
