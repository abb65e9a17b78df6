//! What users say about alerts: "set a timer for five seconds", "stop the timer".

use std::time::Duration;

use crate::appliance::alerts::AlertKind;

/// What a sentence asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sim::cic) enum Wish {
    /// An alert after so long, perhaps with a text.
    Set(AlertKind, Duration, Option<String>),
    /// What rings shall stop; of a kind, or all.
    Stop(Option<AlertKind>),
    /// What is set shall be deleted; of a kind, or all.
    Delete(Option<AlertKind>),
}

const SMALL: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 8] =
    ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
const UNITS: [(&str, u64); 3] = [("second", 1), ("minute", 60), ("hour", 3600)];

impl Wish {
    /// What this text asks for; `None` when it is not about alerts.
    pub(in crate::sim::cic) fn of(text: &str) -> Option<Self> {
        let text = text.to_lowercase();
        let kept = |letter: char| match letter.is_alphanumeric() || letter == '\'' {
            true => letter,
            false => ' ',
        };
        let text: String = text.chars().map(kept).collect();
        let words: Vec<&str> = text.split_whitespace().collect();
        let has = |word: &str| words.contains(&word);
        let kind = kind(&words);
        match *words.first()? {
            "stop" if words.len() == 1 || kind.is_some() => Some(Self::Stop(kind)),
            "cancel" | "delete" => kind.map(|kind| Self::Delete(Some(kind))),
            "remind" => {
                let (from, to, after) = duration(&words)?;
                Some(Self::Set(AlertKind::Reminder, after, label(&words, from, to)))
            }
            "wake" => Some(Self::Set(AlertKind::Alarm, duration(&words)?.2, None)),
            _ if has("set") || has("start") => Some(Self::Set(kind?, duration(&words)?.2, None)),
            _ => None,
        }
    }
}

fn kind(words: &[&str]) -> Option<AlertKind> {
    let one = |word: &&str| match word.trim_end_matches('s') {
        "timer" => Some(AlertKind::Timer),
        "alarm" => Some(AlertKind::Alarm),
        "reminder" => Some(AlertKind::Reminder),
        _ => None,
    };
    words.iter().find_map(one)
}

/// The first time span, such as `an hour and five minutes`, and which words it is.
fn duration(words: &[&str]) -> Option<(usize, usize, Duration)> {
    let from = (0..words.len()).find(|at| amount(&words[*at..]).is_some())?;
    let (mut at, mut seconds) = (from, 0_u64);
    while let Some((length, more)) = amount(&words[at..]) {
        at += length;
        seconds = seconds.checked_add(more)?;
        let goes_on = words.get(at) == Some(&"and") && amount(&words[at + 1..]).is_some();
        at += usize::from(goes_on);
    }
    Some((from, at, Duration::from_secs(seconds)))
}

/// A number and its unit at the beginning of these words: how many they are, and the seconds.
fn amount(words: &[&str]) -> Option<(usize, u64)> {
    let (length, number) = number(words)?;
    let unit = words.get(length)?.trim_end_matches('s');
    let (_, seconds) = UNITS.iter().find(|(name, _)| *name == unit)?;
    Some((length + 1, number.checked_mul(*seconds)?))
}

fn number(words: &[&str]) -> Option<(usize, u64)> {
    let first = *words.first()?;
    if let Ok(number) = first.parse() {
        return Some((1, number));
    }
    if matches!(first, "a" | "an") {
        return Some((1, 1));
    }
    let small = |word: &str| SMALL.iter().position(|known| *known == word).map(|n| n as u64);
    if let Some(tens) = TENS.iter().position(|known| *known == first) {
        let tens = (tens as u64 + 2) * 10;
        let ones = words.get(1).and_then(|word| small(word)).filter(|ones| (1..10).contains(ones));
        return Some((1 + usize::from(ones.is_some()), tens + ones.unwrap_or(0)));
    }
    small(first).map(|number| (1, number))
}

/// "remind me in ten minutes to call home", "remind me to call home in ten minutes".
fn label(words: &[&str], from: usize, to: usize) -> Option<String> {
    let behind = words.get(to) == Some(&"to");
    let words = match behind {
        true => &words[to + 1..],
        // Without the "in" before the time span.
        false => {
            let end = if words.get(from.wrapping_sub(1)) == Some(&"in") { from - 1 } else { from };
            let begin = words.iter().position(|word| *word == "to").filter(|at| *at < end)?;
            &words[begin + 1..end]
        }
    };
    Some(words.join(" ")).filter(|label| !label.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(kind: AlertKind, seconds: u64, label: Option<&str>) -> Option<Wish> {
        Some(Wish::Set(kind, Duration::from_secs(seconds), label.map(str::to_owned)))
    }

    #[test]
    fn sentences_about_alerts_are_understood_and_others_left_alone() {
        use AlertKind::{Alarm, Reminder, Timer};
        let rows = [
            ("set a timer for five seconds", set(Timer, 5, None)),
            ("Set a timer for 90 seconds.", set(Timer, 90, None)),
            ("start a timer for twenty five minutes", set(Timer, 1500, None)),
            ("set a timer for an hour and two minutes", set(Timer, 3720, None)),
            ("set a 3 minute timer", set(Timer, 180, None)),
            ("wake me up in ten seconds", set(Alarm, 10, None)),
            ("set an alarm in one hour", set(Alarm, 3600, None)),
            ("remind me in ten seconds to call home", set(Reminder, 10, Some("call home"))),
            ("remind me to call home in 2 hours", set(Reminder, 7200, Some("call home"))),
            ("remind me in a minute", set(Reminder, 60, None)),
            ("stop", Some(Wish::Stop(None))),
            ("Stop the timer!", Some(Wish::Stop(Some(Timer)))),
            ("cancel the timers", Some(Wish::Delete(Some(Timer)))),
            ("delete the alarm", Some(Wish::Delete(Some(Alarm)))),
            ("stop the music", None),
            ("set the table", None),
            ("set a timer", None),
            ("cancel", None),
            ("what time is it", None),
            ("", None),
        ];
        for (text, want) in rows {
            assert_eq!(Wish::of(text), want, "{text}");
        }
    }
}
