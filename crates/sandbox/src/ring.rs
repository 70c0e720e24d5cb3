//! A list that forgets its oldest entries: the sandbox's memory is bounded.

use std::collections::VecDeque;

/// Keeps the newest `room` entries and counts those it dropped.
#[derive(Debug, Clone)]
pub(crate) struct Ring<T> {
    kept: VecDeque<T>,
    room: usize,
    dropped: u64,
}

impl<T> Ring<T> {
    pub(crate) fn new(room: usize) -> Self {
        Self { kept: VecDeque::new(), room, dropped: 0 }
    }

    pub(crate) fn push(&mut self, entry: T) {
        if self.kept.len() >= self.room {
            self.kept.pop_front();
            self.dropped += 1;
        }
        self.kept.push_back(entry);
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.kept.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut T> {
        self.kept.iter_mut()
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }
}
