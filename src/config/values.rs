//! How single values are written: text in, text out.
//!
//! What these print, they also read; so what `check --print` prints is itself a configuration file.

use std::str::FromStr;
use std::time::Duration;

use super::LogFormat;

/// A text that is no value of its kind: what it must be, as the end of a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub String);

impl Invalid {
    /// With more at its end.
    pub(super) fn with(mut self, more: &str) -> Invalid {
        self.0 += more;
        self
    }

    /// `must be <what>, not "<word>"`. Never for a word that may hold a secret.
    pub(super) fn expected(what: &str, word: &str) -> Invalid {
        Invalid(format!("must be {what}, not {word:?}"))
    }
}

/// A whole number.
pub(super) fn number<N: FromStr>(word: &str) -> Result<N, Invalid> {
    word.parse()
        .map_err(|_| Invalid::expected("a whole number", word))
}

/// Bytes: `65536`, `64KiB`, `1MiB`.
pub(super) fn size(word: &str) -> Result<usize, Invalid> {
    scaled(word, &SIZES, "B")
        .and_then(|bytes| usize::try_from(bytes).ok())
        .ok_or_else(|| Invalid::expected("a size such as 65536, 64KiB or 1MiB", word))
}

/// A time: `10s`, `250ms`, `5m`, `1h`, `7d`, or a plain number of seconds.
pub fn duration(word: &str) -> Result<Duration, Invalid> {
    scaled(word, &TIMES_MS, "s")
        .map(Duration::from_millis)
        .ok_or_else(|| Invalid::expected("a time such as 10s, 250ms or 5m", word))
}

/// A time in whole seconds, which is all that SETEX knows.
pub(super) fn seconds(word: &str) -> Result<u32, Invalid> {
    duration(word)
        .ok()
        .filter(|time| time.subsec_nanos() == 0)
        .and_then(|time| u32::try_from(time.as_secs()).ok())
        .ok_or_else(|| Invalid::expected("whole seconds, such as 3600, 90s or 1h", word))
}

/// Yes or no.
pub(super) fn switch(word: &str) -> Result<bool, Invalid> {
    match word.to_ascii_lowercase().as_str() {
        "true" | "on" | "yes" | "1" => Ok(true),
        "false" | "off" | "no" | "0" => Ok(false),
        _ => Err(Invalid::expected("true or false", word)),
    }
}

/// Permission bits in octal, as for chmod: `0660`.
pub(super) fn mode(word: &str) -> Result<u32, Invalid> {
    u32::from_str_radix(word, 8)
        .ok()
        .filter(|mode| *mode <= 0o777)
        .ok_or_else(|| Invalid::expected("permission bits such as 0660", word))
}

/// One of a few words.
pub(super) fn choice<T: Copy>(word: &str, choices: &[(&str, T)]) -> Result<T, Invalid> {
    let known = choices.iter().find(|(name, _)| *name == word);
    known.map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        Invalid::expected(&format!("one of {}", names.join(", ")), word)
    })
}

/// The word for one of a few values.
pub(super) fn name<T: Copy + PartialEq>(value: T, choices: &[(&str, T)]) -> String {
    let known = choices.iter().find(|(_, known)| *known == value);
    known.map_or_else(String::new, |(name, _)| (*name).to_owned())
}

/// The words for [`LogFormat`].
pub(super) const LOG_FORMATS: [(&str, LogFormat); 3] = [
    ("auto", LogFormat::Auto),
    ("text", LogFormat::Text),
    ("json", LogFormat::Json),
];

/// As a size is read, in the largest unit that leaves nothing over: `64KiB`.
pub(super) fn show_size(bytes: u64) -> String {
    show_scaled(bytes, &SIZES)
}

/// As a time is read, in the largest unit that leaves nothing over: `5m`.
pub(super) fn show_duration(time: Duration) -> String {
    show_scaled(
        u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
        &TIMES_MS,
    )
}

/// Units from the largest to the smallest.
type Units = [(&'static str, u64)];
const SIZES: [(&str, u64); 4] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];
const TIMES_MS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Digits and a unit; without one, in `plain` units.
fn scaled(word: &str, units: &Units, plain: &str) -> Option<u64> {
    let digits_end = word
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(word.len());
    let (digits, unit) = word.split_at(digits_end);
    let unit = if unit.is_empty() { plain } else { unit };
    let (_, scale) = units.iter().find(|(name, _)| *name == unit)?;
    digits.parse::<u64>().ok()?.checked_mul(*scale)
}

fn show_scaled(amount: u64, units: &Units) -> String {
    units
        .iter()
        .find(|(_, scale)| amount > 0 && amount.is_multiple_of(*scale))
        .map_or_else(
            || amount.to_string(),
            |(name, scale)| format!("{}{name}", amount / scale),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_read_with_and_without_a_unit() {
        assert_eq!(size("65536"), Ok(65_536));
        assert_eq!(size("64KiB"), Ok(65_536));
        assert_eq!(size("2GiB"), Ok(2 << 30));
        assert_eq!(duration("10"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(seconds("1h"), Ok(3_600));
    }

    #[test]
    fn what_is_no_value_says_what_one_looks_like() {
        for word in ["", "64kb", "-1", "1.5KiB", "KiB", "99999999999GiB"] {
            let Invalid(must) = size(word).unwrap_err();
            assert!(must.contains("64KiB"), "{word}: {must}");
        }
        for word in ["", "10 s", "s", "1w", "-1s"] {
            assert!(duration(word).unwrap_err().0.contains("250ms"), "{word}");
        }
        assert!(seconds("250ms").unwrap_err().0.contains("whole seconds"));
        assert!(mode("0999").is_err() && mode("7777").is_err());
    }

    #[test]
    fn what_is_printed_can_be_read_and_is_the_same() {
        for bytes in [0, 1, 1_000, 1_024, 65_536, 3 << 20, 5 << 30] {
            assert_eq!(size(&show_size(bytes)).map(|size| size as u64), Ok(bytes));
        }
        for ms in [0, 1, 250, 1_000, 90_000, 300_000, 86_400_000] {
            let time = Duration::from_millis(ms);
            assert_eq!(duration(&show_duration(time)), Ok(time));
        }
        assert_eq!(show_size(65_536), "64KiB");
        assert_eq!(show_duration(Duration::from_secs(3_600)), "1h");
    }
}
