//! Which inputs have their row, and which names of pictures are taken: what a call remembers of the images before.

use std::collections::{HashMap, VecDeque};

use super::ledger::{Found, Known, Owner};
use super::row::hash;

/// Inputs that a call which watches a folder remembers; a call over known inputs remembers them all, some 60 bytes each.
pub(super) const REMEMBERED: usize = 500_000;

/// To whom a name of pictures belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    /// To nobody, or to this very content.
    Free,
    /// To the same file, as it was before it changed.
    Earlier,
    /// To another file.
    Other,
}

/// What is remembered.
#[derive(Debug)]
pub(super) struct Seen {
    /// Rows that are there; `None` for those of this call.
    rows: HashMap<u64, Option<Box<Known>>>,
    names: HashMap<u64, Owner>,
    /// Keys and names of this call, the oldest first, where they are not kept for ever.
    order: VecDeque<(u64, u64)>,
    most: Option<usize>,
    forgot: bool,
}

impl Seen {
    /// With what was found in the folder of results. `most` inputs of this call are remembered, or all.
    pub(super) fn new(found: Found, most: Option<usize>) -> Self {
        let rows = found.rows.into_iter();
        Self {
            rows: rows.map(|(key, known)| (key, Some(Box::new(known)))).collect(),
            names: found.names,
            order: VecDeque::new(),
            most,
            forgot: false,
        }
    }

    /// The row of this key: none, one of this call, one that was there.
    pub(super) fn row(&self, key: u64) -> Option<Option<&Known>> {
        self.rows.get(&key).map(Option::as_deref)
    }

    /// Remembers that an input was given out, under its name.
    pub(super) fn add(&mut self, key: u64, name: &str, owner: Owner) {
        let name = hash(&name.to_lowercase());
        self.rows.insert(key, None);
        self.names.insert(name, owner);
        let Some(most) = self.most else { return };
        self.order.push_back((key, name));
        if self.order.len() > most
            && let Some((key, name)) = self.order.pop_front()
        {
            self.rows.remove(&key);
            self.names.remove(&name);
            self.forgot = true;
        }
    }

    /// An input that was not seen after all.
    pub(super) fn forget(&mut self, key: u64, name: &str) {
        self.rows.remove(&key);
        self.names.remove(&hash(&name.to_lowercase()));
    }

    /// To whom a name belongs; `has_pictures` is asked where names were forgotten.
    pub(super) fn named(&self, name: &str, owner: Owner, has_pictures: impl FnOnce() -> bool) -> Named {
        match self.names.get(&hash(&name.to_lowercase())) {
            Some(other) if *other == owner => Named::Free,
            Some(other) if other.image == owner.image => Named::Earlier,
            Some(_) => Named::Other,
            None if self.forgot && has_pictures() => Named::Other,
            None => Named::Free,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(image: u64, content: u64) -> Owner {
        Owner { image, content }
    }

    #[test]
    fn names_belong_to_contents() {
        let mut seen = Seen::new(Found::default(), None);
        seen.add(1, "A", owner(7, 1));
        let named = |seen: &Seen, name: &str, owner| seen.named(name, owner, || false);
        assert_eq!(named(&seen, "a", owner(7, 1)), Named::Free);
        assert_eq!(named(&seen, "a", owner(7, 2)), Named::Earlier);
        assert_eq!(named(&seen, "a", owner(8, 1)), Named::Other);
        assert_eq!(named(&seen, "b", owner(8, 1)), Named::Free);
        seen.forget(1, "a");
        assert_eq!(named(&seen, "a", owner(8, 1)), Named::Free);
        assert_eq!(seen.row(1), None);
    }

    #[test]
    fn memory_is_bounded_and_pictures_are_still_not_replaced() {
        let mut seen = Seen::new(Found::default(), Some(10));
        for image in 0..1000 {
            seen.add(image, &image.to_string(), owner(image, image));
        }
        assert_eq!(
            (seen.rows.len(), seen.names.len(), seen.order.len()),
            (10, 10, 10)
        );
        assert_eq!((seen.row(989), seen.row(990)), (None, Some(None)));
        assert_eq!(seen.named("5", owner(5000, 1), || true), Named::Other);
        assert_eq!(seen.named("new", owner(5000, 1), || false), Named::Free);
    }
}
