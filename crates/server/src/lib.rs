//! Anomaly detectors behind HTTP: scores, metrics and a page.
