//! `ws4redis check --print`: the effective configuration, as a file that says the same.

use std::fmt::Write as _;
use std::io::{Write as _, stdout};

use ws4redis::Config;
use ws4redis::config::Rule;
use ws4redis::config::keys::{Group, KEYS, Key, Shown};
use ws4redis::config::load::Loaded;
use ws4redis::limits::Memory;

use super::{Failure, logging};

/// Prints it, and what it may cost.
pub(super) fn run(loaded: &Loaded) -> Result<(), Failure> {
    logging::filter(&loaded.config.log)?;
    let mut text =
        String::from("# The effective configuration, and where each value comes from.\n");
    for group in Group::ALL {
        let heading = match group.table() {
            Some(table) => format!("\n[{table}]\n"),
            None => format!("\n# {}\n", group.heading()),
        };
        text.push_str(&heading);
        for key in KEYS.iter().filter(|key| key.group == group) {
            text.push_str(&line(key, loaded));
        }
    }
    for rule in &loaded.config.rules.rules {
        text.push_str(&rule_table(rule));
    }
    text.push_str(&memory(&loaded.config));
    stdout().write_all(text.as_bytes()).map_err(Failure::output)
}

fn line(key: &Key, loaded: &Loaded) -> String {
    let origin = loaded
        .origin(key)
        .map_or_else(|| "default".to_owned(), ToString::to_string);
    let name = key.name_in_file();
    let assignment = match value(&key.shown(&loaded.config)) {
        Some(value) => format!("{name} = {value}"),
        None => format!("# {name}"),
    };
    // Said in a file beside `embedded`, it would contradict it.
    if key.name == "redis" && loaded.config.embedded.is_some() {
        return format!("# {assignment:<46}  # the embedded one\n");
    }
    format!("{assignment:<48}  # {origin}\n")
}

/// As TOML has it; `None` if it cannot say so.
fn value(shown: &Shown) -> Option<String> {
    match shown {
        Shown::Bare(value) => Some(value.clone()),
        Shown::Text(value) => Some(quoted(value)),
        Shown::List(values) => {
            let values: Vec<String> = values.iter().map(|value| quoted(value)).collect();
            Some(format!("[{}]", values.join(", ")))
        }
        Shown::Unset => None,
    }
}

fn rule_table(rule: &Rule) -> String {
    let mut text = format!("\n[[rule]]\nfacility = {}\n", quoted(&rule.facility));
    if let Some(allow) = rule
        .allow
        .as_ref()
        .map(Shown::from)
        .as_ref()
        .and_then(value)
    {
        text += &format!("allow = {allow}\n");
    }
    if let Some(require) = &rule.require {
        text += &format!("require = {}\n", quoted(&require.to_string()));
    }
    text
}

/// A basic string of TOML, which JSON's strings are a part of.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The sum of what clients can make us hold, a term a line.
fn memory(config: &Config) -> String {
    let terms = config.memory();
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
    let sum = mebibytes(Memory::sum(&terms));
    let _ = writeln!(text, "#   {:<54}{sum:>14}", "together");
    text
}

/// With one digit after the point: 19,000 sessions of 512 bytes are 9.3 MiB.
pub(super) fn mebibytes(bytes: u64) -> String {
    let tenths = (u128::from(bytes) * 10) >> 20;
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}
