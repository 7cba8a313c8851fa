//! Messages on the terminal: for people, and for programs.

use std::io::{self, Write};

use serde::Serialize;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tungstenite::Message;

/// How a message is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// The time of day and the message.
    People,
    /// One JSON object a line.
    Json,
}

/// A line of [`Shape::Json`].
#[derive(Serialize)]
struct Line<'a> {
    time: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_base64: Option<String>,
}

/// Prints a text or binary message as one line; others are not for reading.
pub(super) fn show(out: &mut impl Write, shape: Shape, message: &Message) -> io::Result<()> {
    let now = now();
    let line = match (shape, message) {
        (Shape::Json, Message::Text(text)) => json(&Line {
            time: &now,
            kind: "text",
            data: Some(text),
            data_base64: None,
        })?,
        (Shape::Json, Message::Binary(bytes)) => json(&Line {
            time: &now,
            kind: "binary",
            data: None,
            data_base64: Some(base64(bytes)),
        })?,
        (Shape::People, Message::Text(text)) => {
            format!("{}  {}", time_of_day(&now), harmless(text))
        }
        (Shape::People, Message::Binary(bytes)) => {
            format!(
                "{}  {} bytes: {}",
                time_of_day(&now),
                bytes.len(),
                bytes.escape_ascii()
            )
        }
        _ => return Ok(()),
    };
    // At once: who pipes it into a program waits for each line.
    writeln!(out, "{line}")?;
    out.flush()
}

fn json(line: &Line<'_>) -> io::Result<String> {
    serde_json::to_string(line).map_err(io::Error::from)
}

/// The time now, in UTC, as RFC 3339 has it.
fn now() -> String {
    let mut text = String::new();
    // A String takes everything.
    let _ = SystemTime.format_time(&mut Writer::new(&mut text));
    text
}

/// Hours to milliseconds of `2026-01-31T12:34:56.789012Z`.
fn time_of_day(time: &str) -> &str {
    time.get(11..23).unwrap_or(time)
}

/// Whoever publishes may not move the reader's cursor, clear the screen or change its title: control
/// characters are shown by their names.
fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => shown.push(c),
            c if c.is_control() => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    shown
}

/// RFC 4648 4, with padding.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for letter in 0..4 {
            let index = (bits >> (18 - 6 * letter)) & 63;
            text.push(match letter <= group.len() {
                true => char::from(LETTERS[index as usize]),
                false => '=',
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(shape: Shape, message: &Message) -> String {
        let mut out = Vec::new();
        show(&mut out, shape, message).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn people_see_the_time_and_one_harmless_line() {
        let line = shown(Shape::People, &Message::text("a\tü\u{1b}[2J\nb"));
        let (time, text) = line.split_once("  ").unwrap();
        assert_eq!(text, "a\tü\\u{1b}[2J\\nb\n");
        assert_eq!(time.len(), "12:34:56.789".len());
        let line = shown(Shape::People, &Message::binary(vec![0, 255]));
        assert!(line.ends_with("  2 bytes: \\x00\\xff\n"), "{line}");
    }

    #[test]
    fn programs_get_one_object_a_line() {
        let line = shown(Shape::Json, &Message::text("a\n\"b\""));
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            (line.matches('\n').count(), &value["type"]),
            (1, &"text".into())
        );
        assert_eq!(value["data"], "a\n\"b\"");
        assert!(value["time"].as_str().unwrap().ends_with('Z'), "{line}");
        let line = shown(Shape::Json, &Message::binary(vec![255]));
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            (&value["data"], &value["data_base64"]),
            (&serde_json::Value::Null, &"/w==".into())
        );
    }

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn pings_are_not_for_reading() {
        assert_eq!(shown(Shape::Json, &Message::Ping(Vec::new().into())), "");
    }
}
