//! The last words: how many images are what, and which is the worst.

use flawforge::datasets::counted;

use super::ledger::Known;

/// Scores that are kept to tell whether all have shifted: 4 MB.
const SCORES_KEPT: usize = 1_000_000;

/// Counts of verdicts.
#[derive(Debug, Default)]
pub(super) struct Summary {
    anomalous: usize,
    look: usize,
    normal: usize,
    unjudged: usize,
    /// Inputs without a score.
    pub(super) faulty: usize,
    /// Rows that were there.
    before: usize,
    /// Inputs that were named more than once.
    twice: usize,
    /// Lists and folders that could not be read.
    pub(super) refused: usize,
    /// Images that the run was trained on.
    pub(super) trained_on: usize,
    worst: Option<(f32, String)>,
    /// The scores of the last images that were not trained on.
    pub(super) scores: Vec<f32>,
    /// How many scores there were.
    scored: usize,
    /// Images that were scored now and are unlike the normal ones, and in what the first is.
    unlike: usize,
    first_unlike: String,
}

impl Summary {
    /// Counts an input, named as it was given; `before` if its row was there already.
    pub(super) fn add(&mut self, name: &str, row: &Known, before: bool) {
        self.before += usize::from(before);
        if row.error.is_some() {
            self.faulty += 1;
            return;
        }
        match row.verdict.as_ref() {
            "anomalous" => self.anomalous += 1,
            "look" => self.look += 1,
            "normal" => self.normal += 1,
            _ => self.unjudged += 1,
        }
        self.trained_on += usize::from(row.trained_on);
        if let Some(score) = row.score.filter(|score| !score.is_nan() && !row.trained_on) {
            match self.scores.get_mut(self.scored % SCORES_KEPT) {
                Some(oldest) => *oldest = score,
                None => self.scores.push(score),
            }
            self.scored += 1;
        }
        if let Some(score) = row.score
            && self.worst.as_ref().is_none_or(|(worst, _)| score > *worst)
        {
            self.worst = Some((score, name.to_owned()));
        }
    }

    /// Counts an input that was named before.
    pub(super) fn twice(&mut self) {
        self.twice += 1;
    }

    /// Counts an image that is unlike the normal ones.
    pub(super) fn unlike(&mut self, name: &str, reasons: &[String]) {
        self.unlike += 1;
        if self.first_unlike.is_empty() {
            self.first_unlike = format!("{name}: {}", reasons.join("; "));
        }
    }

    /// What is to be said of images that are unlike the normal ones, if there are any.
    pub(super) fn warning(&self) -> Option<String> {
        (self.unlike > 0).then(|| {
            let (images, verdicts, first) = match self.unlike {
                1 => ("1 image is".to_owned(), "its verdict means", ""),
                more => (format!("{more} images are"), "their verdicts mean", "first "),
            };
            format!(
                "{images} unlike the normal images that were trained on, so that {verdicts} little (column `warning`): {first}{}",
                self.first_unlike
            )
        })
    }

    /// What is to be said of images that were trained on, if there are any.
    pub(super) fn known(&self) -> Option<String> {
        let (images, they, their) = match self.trained_on {
            0 => return None,
            1 => ("1 image is".to_owned(), "it", "its score does"),
            more => (format!("{more} images are"), "they", "their scores do"),
        };
        Some(format!(
            "{images} among those that the run was trained on: {they} may score lower than new ones, and {their} not count for a drift"
        ))
    }

    /// Inputs that are done with, also those that were named before.
    pub(super) fn inputs(&self) -> usize {
        self.count() + self.twice
    }

    /// Inputs, each once.
    pub(super) fn count(&self) -> usize {
        self.anomalous + self.look + self.normal + self.unjudged + self.faulty
    }

    /// `22 images: 3 anomalous, 2 to look at, 17 normal; worst x.png (0.71)`.
    pub(super) fn said(&self) -> String {
        let parts = [
            (self.anomalous, "anomalous", self.unjudged == 0),
            (self.look, "to look at", false),
            (self.normal, "normal", self.unjudged == 0),
            (self.unjudged, "without a verdict", false),
            (self.faulty, "not scored", false),
        ];
        let shown = parts.iter().filter(|(count, _, always)| *count > 0 || *always);
        let shown: Vec<String> = shown.map(|(count, what, _)| format!("{count} {what}")).collect();
        let mut text = format!("{}: {}", counted(self.count(), "image"), shown.join(", "));
        if let Some((score, name)) = &self.worst {
            text.push_str(&format!("; worst {name} ({score:.4})"));
        }
        if self.before > 0 {
            text.push_str(&format!("; {} had a row before", self.before));
        }
        if self.twice > 0 {
            text.push_str(&format!("; {} named twice", counted(self.twice, "image")));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(verdict: &str, score: f32) -> Known {
        Known {
            name: "".into(),
            verdict: verdict.into(),
            score: Some(score),
            error: None,
            trained_on: false,
        }
    }

    #[test]
    fn the_last_scores_are_kept() {
        let mut summary = Summary::default();
        (0..SCORES_KEPT + 2).for_each(|at| summary.add("a.png", &known("normal", at as f32), false));
        assert_eq!(summary.scores.len(), SCORES_KEPT);
        assert_eq!(
            summary.scores[..3],
            [SCORES_KEPT as f32, SCORES_KEPT as f32 + 1.0, 2.0]
        );
    }

    #[test]
    fn the_last_words_count_and_name_the_worst() {
        let mut summary = Summary::default();
        assert_eq!(summary.said(), "0 images: 0 anomalous, 0 normal");
        summary.add("a.png", &known("normal", 0.1), false);
        assert_eq!(
            summary.said(),
            "1 image: 0 anomalous, 1 normal; worst a.png (0.1000)"
        );
        summary.add("b.png", &known("anomalous", 0.7), false);
        summary.add("c.png", &known("look", 0.3), true);
        let unread = Known {
            score: None,
            error: Some(1),
            ..known("", 0.0)
        };
        summary.add("d.png", &unread, false);
        summary.twice();
        assert_eq!(
            summary.said(),
            "4 images: 1 anomalous, 1 to look at, 1 normal, 1 not scored; worst b.png (0.7000); 1 had a row before; \
             1 image named twice"
        );
    }
}
