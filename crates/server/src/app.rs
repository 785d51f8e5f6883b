//! What all requests share.

use std::sync::Arc;

use crate::budget::Budget;
use crate::drain::Drain;
use crate::line::Line;
use crate::metrics::Metrics;
use crate::runs::Runs;
use crate::settings::Settings;

/// What all requests share.
pub(crate) struct App {
    pub(crate) settings: Settings,
    pub(crate) runs: Runs,
    pub(crate) line: Arc<Line>,
    pub(crate) budget: Budget,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) drain: Arc<Drain>,
}

impl App {
    /// With runs that are loaded; nothing works yet.
    pub(crate) fn new(settings: Settings, runs: Runs) -> Self {
        Self {
            line: Arc::new(Line::new(&settings)),
            budget: Budget::new(settings.memory),
            metrics: Arc::default(),
            drain: Arc::default(),
            runs,
            settings,
        }
    }
}
