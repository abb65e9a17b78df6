//! Audio that carries the time at which it was due, so that whoever hears it knows how late it is.

use std::{
    sync::LazyLock,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;

/// Begins a mark. A mark has one byte a sample: too quiet to be taken for speech.
const MAGIC: &[u8; 8] = b"cic-load";
/// Magic and time; two bytes a sample.
const MARK: usize = 2 * (MAGIC.len() + 8);
/// When this process began to look at the clock, on both clocks.
static ORIGIN: LazyLock<(Instant, Duration)> = LazyLock::new(|| {
    (Instant::now(), SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
});

/// Microseconds since the Unix epoch: what the processes of a measurement have in common. The
/// clock is read once, so that it does not step in the middle.
pub(super) fn shared_time(at: Instant) -> u64 {
    let (origin, epoch) = *ORIGIN;
    let before = origin.saturating_duration_since(at);
    (epoch + at.saturating_duration_since(origin)).saturating_sub(before).as_micros() as u64
}

/// An audio message of `bytes`: silence, and at its end a mark with the time at which it is due.
pub(super) fn marked(bytes: usize, due: u64) -> Bytes {
    let mut audio = vec![0; bytes];
    let letters = MAGIC.iter().copied().chain(due.to_be_bytes());
    for (sample, letter) in audio[bytes - MARK..].chunks_exact_mut(2).zip(letters) {
        sample[0] = letter;
    }
    audio.into()
}

/// Finds marks in a stream, however it is cut.
#[derive(Default)]
pub(super) struct Scanner {
    /// The end of what came, that may be the beginning of a mark.
    rest: Vec<u8>,
}

impl Scanner {
    /// Takes the next piece; tells when each mark in it was due.
    pub(super) fn feed(&mut self, data: &[u8], mut found: impl FnMut(u64)) {
        if self.rest.is_empty() {
            let rest = scan(data, &mut found);
            self.rest.extend_from_slice(rest);
            return;
        }
        self.rest.extend_from_slice(data);
        let left = scan(&self.rest, &mut found).len();
        self.rest.drain(..self.rest.len() - left);
    }
}

/// Returns what is left at the end.
fn scan<'a>(mut data: &'a [u8], found: &mut impl FnMut(u64)) -> &'a [u8] {
    loop {
        let Some(next) = memchr::memchr(MAGIC[0], data) else { return &[] };
        data = &data[next..];
        if data.len() < MARK {
            return data;
        }
        let length = match read(&data[..MARK]) {
            Some(due) => {
                found(due);
                MARK
            }
            None => 1,
        };
        data = &data[length..];
    }
}

fn read(mark: &[u8]) -> Option<u64> {
    let mut letters = [0; MARK / 2];
    for (letter, sample) in letters.iter_mut().zip(mark.chunks_exact(2)) {
        if sample[1] != 0 {
            return None;
        }
        *letter = sample[0];
    }
    let due = letters.strip_prefix(MAGIC)?.try_into().ok()?;
    Some(u64::from_be_bytes(due))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_however_the_stream_is_cut() {
        let dues = [7, u64::MAX, 0x6363_6363_6363_6363];
        let frame = b"\x00\x0c\x80\x00\x00cic-frame c";
        let stream = dues.map(|due| [&frame[..], &marked(3200, due)].concat()).concat();
        for size in [1, 2, 31, 32, 33, 1000, 3200, stream.len()] {
            let (mut scanner, mut found) = (Scanner::default(), Vec::new());
            for piece in stream.chunks(size) {
                scanner.feed(piece, |due| found.push(due));
                assert!(scanner.rest.len() < MARK, "nothing piles up");
            }
            assert_eq!(found, dues, "pieces of {size} bytes");
        }
    }

    #[test]
    fn the_time_goes_on_with_the_clock() {
        let now = Instant::now();
        let later = shared_time(now + Duration::from_secs(3));
        assert_eq!(later - shared_time(now), 3_000_000);
    }
}
