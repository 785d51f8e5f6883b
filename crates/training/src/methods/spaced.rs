//! A few of many things that come one after the other.

/// Bytes of images, about and at most, that are kept to be compared with all others, and the fewest images (proposal).
const ROOM: (usize, usize) = (512 << 20, 16);

/// How many images of so many bytes are kept to be compared with all others, where they are seen in windows.
pub(crate) fn room_for(bytes: usize) -> usize {
    (ROOM.0 / bytes.max(1)).max(ROOM.1)
}

/// Every n-th of things that come one after the other, n as small as the room allows.
#[derive(Debug)]
pub(crate) struct Spaced<T> {
    most: usize,
    every: usize,
    seen: usize,
    kept: Vec<(usize, T)>,
}

impl<T> Spaced<T> {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most: most.max(2),
            every: 1,
            seen: 0,
            kept: Vec::new(),
        }
    }

    /// Makes room for no more than so many from now on, at least 2.
    pub(crate) fn limit(&mut self, most: usize) {
        self.most = self.most.min(most.max(2));
    }

    /// Adds the next thing.
    pub(crate) fn push(&mut self, thing: T) {
        let number = self.seen;
        self.seen += 1;
        if !number.is_multiple_of(self.every) {
            return;
        }
        self.kept.push((number, thing));
        while self.kept.len() > self.most {
            self.every *= 2;
            let every = self.every;
            self.kept.retain(|(number, _)| number.is_multiple_of(every));
        }
    }

    /// What is kept, with its number.
    pub(crate) fn kept(&self) -> &[(usize, T)] {
        &self.kept
    }

    /// What was kept, with its number.
    pub(crate) fn take(&mut self) -> Vec<(usize, T)> {
        std::mem::take(&mut self.kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_spaced_evenly() {
        let mut spaced = Spaced::new(3);
        for thing in 0..10 {
            spaced.push(thing * 10);
        }
        assert_eq!(spaced.take(), [(0, 0), (4, 40), (8, 80)]);
    }
}
