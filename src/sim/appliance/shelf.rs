//! Attachments while they arrive and until they have been played: bounded, whatever comes. Pure;
//! called by the player.

use std::collections::{HashMap, VecDeque};

/// Largest attachment, bytes; the gateway's own default bound.
pub(super) const MAX_ATTACHMENT: usize = 8 * 1024 * 1024;
/// All attachments together, bytes.
pub(super) const MAX_HELD: usize = 16 * 1024 * 1024;
/// Attachments that no directive has named yet.
pub(super) const MAX_UNCLAIMED: usize = 8;
/// Attachments whose late bytes are still known to be unwanted.
const MAX_UNWANTED: usize = 64;

/// Why audio was not played to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CutOff {
    /// The gateway says that CIC did not send all of it.
    #[error("CIC did not send all of it")]
    Incomplete,
    /// More than a simulated appliance holds.
    #[error("it is larger than this simulator holds")]
    TooLarge,
    /// No MP3 frame is in it.
    #[error("it is no MP3")]
    NotMp3,
}

/// One attachment.
#[derive(Debug, Default)]
pub(super) struct Attachment {
    pub(super) bytes: Vec<u8>,
    /// Nothing more comes.
    pub(super) ended: bool,
    pub(super) cut_off: Option<CutOff>,
    claimed: bool,
}

/// All attachments.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    attachments: HashMap<String, Attachment>,
    held: usize,
    /// Oldest first.
    unclaimed: VecDeque<String>,
    /// Oldest first.
    unwanted: VecDeque<String>,
}

impl Shelf {
    /// Takes bytes of an attachment; empty ones end it. Returns how many attachments that no
    /// directive had named gave way.
    pub(super) fn take(&mut self, id: &str, bytes: &[u8]) -> usize {
        if let Some(at) = self.unwanted.iter().position(|unwanted| unwanted == id) {
            if bytes.is_empty() {
                self.unwanted.remove(at);
            }
            return 0;
        }
        self.open(id);
        let given_way = self.make_room(id, bytes.len());
        let fits = self.held + bytes.len() <= MAX_HELD;
        let attachment = self.attachments.entry(id.to_owned()).or_default();
        attachment.ended |= bytes.is_empty();
        if !fits || attachment.bytes.len() + bytes.len() > MAX_ATTACHMENT {
            attachment.cut_off = Some(CutOff::TooLarge);
        }
        if attachment.cut_off != Some(CutOff::TooLarge) {
            attachment.bytes.extend_from_slice(bytes);
            self.held += bytes.len();
        }
        given_way
    }

    /// The gateway says that an attachment is cut off.
    pub(super) fn cut_off(&mut self, id: &str) {
        if !self.unwanted.iter().any(|unwanted| unwanted == id) {
            self.open(id);
            self.attachments.entry(id.to_owned()).or_default().cut_off = Some(CutOff::Incomplete);
        }
    }

    /// A Speak waits for this attachment.
    pub(super) fn claim(&mut self, id: &str) {
        self.open(id);
        self.unclaimed.retain(|unclaimed| unclaimed != id);
        self.attachments.entry(id.to_owned()).or_default().claimed = true;
    }

    /// Nobody wants this attachment: what is here goes, what still comes is dropped.
    pub(super) fn forget(&mut self, id: &str) -> Option<Attachment> {
        let attachment = self.attachments.remove(id);
        self.held -= attachment.as_ref().map_or(0, |attachment| attachment.bytes.len());
        self.unclaimed.retain(|unclaimed| unclaimed != id);
        if !attachment.as_ref().is_some_and(|attachment| attachment.ended) {
            self.unwanted.push_back(id.to_owned());
            if self.unwanted.len() > MAX_UNWANTED {
                self.unwanted.pop_front();
            }
        }
        attachment
    }

    pub(super) fn get(&self, id: &str) -> Option<&Attachment> {
        self.attachments.get(id)
    }

    /// Bytes that are held.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.held
    }

    fn open(&mut self, id: &str) {
        if !self.attachments.contains_key(id) {
            self.attachments.insert(id.to_owned(), Attachment::default());
            self.unclaimed.push_back(id.to_owned());
        }
    }

    fn make_room(&mut self, id: &str, bytes: usize) -> usize {
        let mut given_way = 0;
        while self.unclaimed.len() > MAX_UNCLAIMED || self.held + bytes > MAX_HELD {
            let Some(oldest) = self.unclaimed.iter().find(|oldest| *oldest != id).cloned() else {
                break;
            };
            self.forget(&oldest);
            given_way += 1;
        }
        given_way
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIECE: usize = 1024 * 1024;

    fn bytes(shelf: &Shelf, id: &str) -> Option<usize> {
        shelf.get(id).map(|attachment| attachment.bytes.len())
    }

    #[test]
    fn what_no_directive_names_gives_way_oldest_first() {
        let mut shelf = Shelf::default();
        let given_way: usize =
            (0..20).map(|number| shelf.take(&format!("c{number}"), b"abcd")).sum();
        assert_eq!((given_way, shelf.held()), (12, 8 * 4));
        assert_eq!((bytes(&shelf, "c11"), bytes(&shelf, "c12")), (None, Some(4)));
        shelf.take("c11", b"late");
        assert_eq!(bytes(&shelf, "c11"), None);
    }

    #[test]
    fn no_attachment_and_no_sum_of_them_grows_without_bound() {
        let mut shelf = Shelf::default();
        let piece = vec![0; PIECE];
        for id in ["a", "b", "c"] {
            shelf.claim(id);
            (0..10).for_each(|_| assert_eq!(shelf.take(id, &piece), 0));
        }
        assert_eq!(shelf.held(), MAX_HELD);
        assert_eq!(shelf.get("a").unwrap().cut_off, Some(CutOff::TooLarge));
        assert_eq!((bytes(&shelf, "a"), bytes(&shelf, "c")), (Some(MAX_ATTACHMENT), Some(0)));
        shelf.forget("a");
        assert_eq!(shelf.held(), MAX_HELD - MAX_ATTACHMENT);
    }

    #[test]
    fn what_is_forgotten_stays_away_until_it_ends() {
        let mut shelf = Shelf::default();
        shelf.claim("a");
        shelf.take("a", b"abc");
        assert_eq!(shelf.forget("a").unwrap().bytes, b"abc");
        shelf.take("a", b"def");
        shelf.cut_off("a");
        assert!(shelf.get("a").is_none());
        shelf.take("a", b"");
        shelf.take("a", b"another of that name");
        assert_eq!(bytes(&shelf, "a"), Some(20));
    }
}
