//! The TOML file.
//!
//! Read as a document rather than into a struct: the keys stand in [`KEYS`] already, and a document knows
//! the line of each.

use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{Group, KEYS, Key};
use super::load::{ConfigError, Origin, Setting};
use super::suggest::nearest;

const LIMITS: &str = "limits";

/// The settings in a file.
pub(super) fn read(path: PathBuf) -> Result<Vec<Setting>, ConfigError> {
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(source) => return Err(ConfigError::Unreadable { path, source }),
    };
    let file = File {
        path: &path,
        text: &text,
    };
    let table = DeTable::parse(&text).map_err(|error| ConfigError::Syntax {
        origin: file.origin(error.span().map_or(0, |span| span.start)),
        message: error.message().lines().next().unwrap_or("").to_owned(),
    })?;
    file.settings(table.get_ref())
}

struct File<'a> {
    path: &'a Path,
    text: &'a str,
}

impl File<'_> {
    fn settings(&self, table: &DeTable<'_>) -> Result<Vec<Setting>, ConfigError> {
        let mut settings = Vec::new();
        for (name, value) in table {
            match value.get_ref() {
                DeValue::Table(limits) if name.get_ref() == LIMITS => {
                    for (name, value) in limits {
                        settings.push(self.setting(true, name, value)?);
                    }
                }
                _ => settings.push(self.setting(false, name, value)?),
            }
        }
        Ok(settings)
    }

    fn setting(
        &self,
        in_limits: bool,
        name: &Spanned<std::borrow::Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<Setting, ConfigError> {
        let origin = self.origin(name.span().start);
        let belongs = |key: &&Key| (key.group == Group::Limits) == in_limits;
        let Some(key) = Key::named(name.get_ref()).filter(belongs) else {
            return Err(unknown(origin, in_limits, name.get_ref()));
        };
        match words(value.get_ref()) {
            Some(words) => Ok(Setting { key, words, origin }),
            None => Err(ConfigError::Invalid {
                subject: format!("{origin}: {}", key.name),
                must: "must be a string, a number, a boolean, or an array of strings".to_owned(),
            }),
        }
    }

    fn origin(&self, offset: usize) -> Origin {
        let before = self.text.as_bytes().iter().take(offset);
        Origin::File {
            path: self.path.to_owned(),
            line: before.filter(|byte| **byte == b'\n').count() + 1,
        }
    }
}

fn unknown(origin: Origin, in_limits: bool, name: &str) -> ConfigError {
    // The most frequent slip is the right name in the wrong table.
    let place = |key: &Key| match key.group {
        Group::Limits => format!("{} in [limits]", key.name),
        _ if in_limits => format!("{}, above all tables", key.name),
        _ => key.name.to_owned(),
    };
    let names = KEYS.iter().map(|key| key.name).chain([LIMITS]);
    ConfigError::UnknownKey {
        origin,
        name: format!("{name}{}", if in_limits { " in [limits]" } else { "" }),
        nearest: nearest(name, names)
            .map(|name| Key::named(name).map_or(format!("[{name}]"), place)),
    }
}

/// A value's words, as a flag would have them.
fn words(value: &DeValue<'_>) -> Option<Vec<String>> {
    match value {
        DeValue::Array(items) => items
            .iter()
            .map(|item| word(item.get_ref()))
            .collect::<Option<_>>(),
        value => Some(vec![word(value)?]),
    }
}

fn word(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.as_str().replace('_', "")),
        DeValue::Boolean(yes) => Some(yes.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name, words, line.
    type Read = (&'static str, Vec<String>, usize);

    fn parse(text: &str) -> Result<Vec<Read>, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let path = file.path().to_owned();
        match read(path.clone()) {
            Ok(settings) => Ok(settings
                .into_iter()
                .map(|setting| match setting.origin {
                    Origin::File { line, .. } => (setting.key.name, setting.words, line),
                    other => panic!("{other}"),
                })
                .collect()),
            Err(error) => Err(error.to_string().replace(path.to_str().unwrap(), "x.toml")),
        }
    }

    #[test]
    fn strings_numbers_booleans_and_arrays_become_words_with_their_lines() {
        let mut settings = parse(
            "# a comment\nprefix = 'p'\nexpire = 1_800\nembedded = true\n\
             listen = [\n  '127.0.0.1:1',\n  'unix:/s',\n]\n[limits]\nsessions_max = 5\n",
        )
        .unwrap();
        settings.sort_by_key(|(_, _, line)| *line);
        let words = |words: &[&str]| {
            words
                .iter()
                .map(|word| (*word).to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            settings,
            [
                ("prefix", words(&["p"]), 2),
                ("expire", words(&["1800"]), 3),
                ("embedded", words(&["true"]), 4),
                ("listen", words(&["127.0.0.1:1", "unix:/s"]), 5),
                ("sessions_max", words(&["5"]), 10),
            ]
        );
    }

    #[test]
    fn an_unknown_key_suggests_the_nearest_and_the_table_where_it_belongs() {
        for (text, error) in [
            (
                "\nhartbeat = 'x'",
                "x.toml, line 2: unknown key hartbeat: did you mean heartbeat?",
            ),
            (
                "sessions_max = 1",
                "x.toml, line 1: unknown key sessions_max: did you mean sessions_max in [limits]?",
            ),
            (
                "[limits]\nexpire = 1",
                "x.toml, line 2: unknown key expire in [limits]: did you mean expire, above all tables?",
            ),
            (
                "[limit]\nsessions_max = 1",
                "x.toml, line 1: unknown key limit: did you mean [limits]?",
            ),
            ("colour = 'red'", "x.toml, line 1: unknown key colour"),
        ] {
            assert_eq!(parse(text).unwrap_err(), error);
        }
    }

    #[test]
    fn what_is_not_toml_names_the_line_and_never_repeats_it() {
        let error = parse("prefix = 'p'\nredis = \"redis://:hunter2@h\nexpire = 1").unwrap_err();
        assert!(error.starts_with("x.toml, line 2: not TOML: "), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
        let error = parse("expire = 1.5").unwrap_err();
        assert!(
            error.starts_with("x.toml, line 1: expire must be"),
            "{error}"
        );
    }
}
