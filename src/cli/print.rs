//! `ws4redis check --print`: the effective configuration, as a file that says the same.

use std::fmt::Write as _;
use std::io::{Write as _, stdout};

use ws4redis::Config;
use ws4redis::config::keys::{Group, KEYS, Key, Shown};
use ws4redis::config::load::Loaded;

use super::{Failure, logging};

/// Prints it, and what it may cost.
pub(super) fn run(loaded: &Loaded) -> Result<(), Failure> {
    logging::filter(&loaded.config.log)?;
    let mut text =
        String::from("# The effective configuration, and where each value comes from.\n");
    for group in Group::ALL {
        let heading = match group {
            Group::Limits => "\n[limits]\n".to_owned(),
            group => format!("\n# {}\n", group.heading()),
        };
        text.push_str(&heading);
        for key in KEYS.iter().filter(|key| key.group == group) {
            text.push_str(&line(key, loaded));
        }
    }
    text.push_str(&memory(&loaded.config));
    stdout().write_all(text.as_bytes()).map_err(Failure::output)
}

fn line(key: &Key, loaded: &Loaded) -> String {
    let origin = loaded
        .origin(key)
        .map_or_else(|| "default".to_owned(), ToString::to_string);
    let assignment = match key.shown(&loaded.config) {
        Shown::Bare(value) => format!("{} = {value}", key.name),
        Shown::Text(value) => format!("{} = {}", key.name, quoted(&value)),
        Shown::List(values) => {
            let values: Vec<String> = values.iter().map(|value| quoted(value)).collect();
            format!("{} = [{}]", key.name, values.join(", "))
        }
        Shown::Unset => format!("# {}", key.name),
    };
    // Said in a file beside `embedded`, it would contradict it.
    if key.name == "redis" && loaded.config.embedded.is_some() {
        return format!("# {assignment:<46}  # the embedded one\n");
    }
    format!("{assignment:<48}  # {origin}\n")
}

/// A basic string of TOML, which JSON's strings are a part of.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The sum of what clients can make us hold, a term a line.
fn memory(config: &Config) -> String {
    let terms = config.limits.memory(config.embedded.is_some());
    let mut text = String::from(
        "\n# Memory, if all clients do their worst at once; the kernel's buffers come on top:\n",
    );
    for term in &terms {
        let factors = match term.count {
            1 => String::new(),
            count => format!("{count} x {} B", term.each),
        };
        let amount = mebibytes(term.bytes());
        // Writing to a String cannot fail.
        let _ = writeln!(text, "#   {:<32}{factors:>22}{amount:>14}", term.what);
    }
    let sum = mebibytes(config.limits.memory_bytes_max(config.embedded.is_some()));
    let _ = writeln!(text, "#   {:<54}{sum:>14}", "together");
    text
}

/// With one digit after the point: 19,000 sessions of 512 bytes are 9.3 MiB.
pub(super) fn mebibytes(bytes: u64) -> String {
    let tenths = (u128::from(bytes) * 10) >> 20;
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}
