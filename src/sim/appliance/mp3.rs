//! How long an MP3 plays, read from its frame headers (MPEG 1, 2 and 2.5, layer III). Pure; called
//! by the player.

use std::time::Duration;

/// Kilobits a second by index, MPEG 1 and then 2 and 2.5; index 0 is "free" and 15 forbidden.
const BITRATES: [[u64; 15]; 2] = [
    [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];
/// Samples a second of MPEG 1; MPEG 2 has half of it, MPEG 2.5 a quarter.
const RATES: [u64; 3] = [44_100, 48_000, 32_000];
const HEADER: usize = 4;

/// How long the whole frames of an MP3 play; `None` when there is none. Tags and the encoder's
/// information frame are silent and count nothing, nor does a frame that is cut off.
pub fn duration(bytes: &[u8]) -> Option<Duration> {
    let (mut at, mut nanoseconds, mut frames) = (0, 0, 0_u32);
    let mut in_step = false;
    while at + HEADER <= bytes.len() {
        let rest = &bytes[at..];
        if let Some(length) = tag(rest) {
            at += length;
        } else if let Some(frame) = Frame::read(rest).filter(|f| in_step || f.is_followed(rest)) {
            if frame.length <= rest.len() && !frame.is_information(rest) {
                nanoseconds += frame.samples * 1_000_000_000 / frame.rate;
                frames += 1;
            }
            at += frame.length;
            in_step = true;
        } else {
            at += 1;
            in_step = false;
        }
    }
    (frames > 0).then(|| Duration::from_nanos(nanoseconds))
}

/// The length of an ID3v2 tag that begins here.
fn tag(bytes: &[u8]) -> Option<usize> {
    let head = bytes.first_chunk::<10>().filter(|head| head.starts_with(b"ID3"))?;
    let size = head[6..].iter().fold(0, |size, byte| size << 7 | usize::from(byte & 0x7f));
    let footer = if head[5] & 0x10 != 0 { 10 } else { 0 };
    Some(10 + size + footer)
}

struct Frame {
    length: usize,
    samples: u64,
    rate: u64,
    /// Between header and sound; where it ends, an information frame says what it is.
    side: usize,
}

impl Frame {
    fn read(bytes: &[u8]) -> Option<Self> {
        let &[sync, kind, rates, mode] = bytes.first_chunk::<HEADER>()?;
        let layer_three = kind >> 1 & 3 == 1;
        if sync != 0xff || kind & 0xe0 != 0xe0 || !layer_three {
            return None;
        }
        // A quarter, reserved, half, whole.
        let share = [4, 0, 2, 1][usize::from(kind >> 3 & 3)];
        let first = share == 1;
        let bitrate = *BITRATES[usize::from(!first)].get(usize::from(rates >> 4))? * 1000;
        let rate = RATES.get(usize::from(rates >> 2 & 3))?.checked_div(share)?;
        if bitrate == 0 {
            return None;
        }
        let samples = if first { 1152 } else { 576 };
        let length = samples / 8 * bitrate / rate + u64::from(rates >> 1 & 1);
        let side = match (first, mode >> 6 == 3) {
            (true, false) => 32,
            (true, true) | (false, false) => 17,
            (false, true) => 9,
        };
        Some(Self { length: length as usize, samples, rate, side })
    }

    /// Whether another frame, or the end, comes where this one ends: two bytes alone may be chance.
    fn is_followed(&self, bytes: &[u8]) -> bool {
        match bytes.get(self.length..) {
            Some(rest) if rest.len() >= HEADER => Self::read(rest).is_some(),
            Some(_) => true,
            None => false,
        }
    }

    /// Whether it only describes the others (Xing, Info, VBRI); decoders skip it.
    fn is_information(&self, bytes: &[u8]) -> bool {
        let at = |offset: usize| bytes.get(offset..offset + 4).unwrap_or_default();
        matches!(at(HEADER + self.side), b"Xing" | b"Info") || at(HEADER + 32) == b"VBRI"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::cic::scenario::embedded;

    /// Silent frames of 24 kbit/s at 16 kHz, mono: 108 bytes and 36 ms each.
    fn frames(count: usize) -> Vec<u8> {
        let mut frame = [0; 108];
        frame[..4].copy_from_slice(&[0xff, 0xf3, 0x38, 0xc4]);
        frame.repeat(count)
    }

    fn of(header: [u8; 4], length: usize) -> Vec<u8> {
        let mut frame = vec![0; length];
        frame[..4].copy_from_slice(&header);
        frame.repeat(10)
    }

    #[test]
    fn every_kind_of_layer_three_is_measured() {
        let rows = [
            ("MPEG 2, 24 kbit/s, 16 kHz", frames(10), 360_000),
            ("MPEG 1, 128 kbit/s, 44.1 kHz", of([0xff, 0xfb, 0x90, 0x00], 417), 261_224),
            ("the same, padded", of([0xff, 0xfb, 0x92, 0x00], 418), 261_224),
            ("MPEG 1, 320 kbit/s, 48 kHz", of([0xff, 0xfb, 0xe4, 0x00], 960), 240_000),
            ("MPEG 2.5, 8 kbit/s, 8 kHz", of([0xff, 0xe3, 0x18, 0xc4], 72), 720_000),
        ];
        for (what, bytes, microseconds) in rows {
            let length = duration(&bytes).map(|length| length.as_micros());
            assert_eq!(length, Some(microseconds), "{what}");
        }
    }

    #[test]
    fn tags_garbage_and_information_frames_count_nothing() {
        let id3: &[u8] = b"ID3\x04\x00\x00\x00\x00\x00\x05 abcd";
        let mut information = frames(1);
        information[13..17].copy_from_slice(b"Info");
        let rows: [(&str, Vec<u8>, Option<u128>); 7] = [
            ("nothing", vec![], None),
            ("text", b"this is not music at all".to_vec(), None),
            ("a sync word by chance", [&[0xff, 0xf3, 0x38, 0xc4][..], &[1; 500]].concat(), None),
            ("a tag in front", [id3, &frames(2)].concat(), Some(72)),
            ("garbage in between", [&frames(2)[..], b"??", &frames(2)].concat(), Some(144)),
            ("an information frame", [&information[..], &frames(2)].concat(), Some(72)),
            ("a last frame cut off", frames(3)[..300].to_vec(), Some(72)),
        ];
        for (what, bytes, milliseconds) in rows {
            assert_eq!(duration(&bytes).map(|d| d.as_millis()), milliseconds, "{what}");
        }
    }

    #[test]
    fn the_built_in_answers_play_as_long_as_their_bytes_say() {
        for name in ["time", "story-1", "everest", "which-size", "sorry"] {
            let mp3 = embedded(&format!("answers/{name}.mp3")).unwrap();
            let length = duration(mp3).unwrap().as_secs_f64();
            let constant = mp3.len() as f64 / 3000.0;
            assert!(length > 0.5 && constant - length < 0.1, "{name}: {length} s, {constant} s");
        }
    }
}
