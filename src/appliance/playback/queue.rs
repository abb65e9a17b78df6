//! The play queue: what is to be played next, and what has been played. Bounded. Pure; called by
//! the playback machine.

use std::collections::VecDeque;

use super::{MAX_BYTES, MAX_ITEMS, item::Item};

/// Items that Previous can go back to.
pub(super) const MAX_HISTORY: usize = 20;

/// Items before and after the current one.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<Item>,
    played: VecDeque<Item>,
}

impl Queue {
    /// Appends an item, if there is room; the oldest of those played make room.
    pub fn push(&mut self, item: Item) -> bool {
        while self.bytes() + item.size() > MAX_BYTES && self.played.pop_front().is_some() {}
        let has_room = self.waiting.len() < MAX_ITEMS && self.bytes() + item.size() <= MAX_BYTES;
        if has_room {
            self.waiting.push_back(item);
        }
        has_room
    }

    /// Takes the next item.
    pub fn next(&mut self) -> Option<Item> {
        self.waiting.pop_front()
    }

    /// Takes the item that was played last.
    pub fn previous(&mut self) -> Option<Item> {
        self.played.pop_back()
    }

    /// Puts an item back in front of those that wait.
    pub fn put_back(&mut self, item: Item) {
        self.waiting.push_front(item);
    }

    /// Notes an item that has been played.
    pub fn note_played(&mut self, item: Item) {
        self.played.push_back(item);
        while self.played.len() > MAX_HISTORY
            || (self.bytes() > MAX_BYTES && !self.played.is_empty())
        {
            self.played.pop_front();
        }
    }

    /// Whether an item of this id waits.
    pub fn has(&self, id: &str) -> bool {
        self.waiting.iter().any(|item| item.id.as_deref() == Some(id))
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Forgets all of it.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Items and bytes that it holds.
    #[cfg(test)]
    pub fn extent(&self) -> (usize, usize) {
        (self.waiting.len() + self.played.len(), self.bytes())
    }

    fn bytes(&self) -> usize {
        self.waiting.iter().chain(&self.played).map(Item::size).sum()
    }
}
