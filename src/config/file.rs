//! The TOML file.
//!
//! Read as a document rather than into a struct: the keys stand in [`KEYS`] already, and a document knows
//! the line of each.

use std::borrow::Cow;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{Group, KEYS, Key};
use super::load::{ConfigError, Origin, Setting};
use super::rules::{self, Rule};
use super::suggest::nearest;
use super::values::Invalid;

const RULE: &str = "rule";
const RULE_KEYS: [&str; 3] = ["facility", "allow", "require"];

/// What a file says.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// Values for keys of the table of all settings.
    pub(super) settings: Vec<Setting>,
    /// Its `[[rule]]`s, in their order.
    pub(super) rules: Vec<Rule>,
}

/// Reads a file.
pub(super) fn read(path: PathBuf) -> Result<Contents, ConfigError> {
    let text = match text(&path) {
        Ok(text) => text,
        Err(source) => return Err(ConfigError::Unreadable { path, source }),
    };
    let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
    let file = File {
        path: &path,
        line_ends: ends.map(|(at, _)| at).collect(),
    };
    let table = DeTable::parse(&text).map_err(|error| ConfigError::Syntax {
        origin: file.origin(error.span().map_or(0, |span| span.start)),
        message: error.message().lines().next().unwrap_or("").to_owned(),
    })?;
    file.contents(table.get_ref())
}

/// A pipe, such as `--config <(command)`, is read at the start. Nothing is left of it for a reload, and nothing is a
/// good configuration: one without a rule.
fn text(path: &Path) -> io::Result<String> {
    let text = fs::read_to_string(path)?;
    if text.is_empty() && fs::metadata(path)?.file_type().is_fifo() {
        let why = "it is a pipe that has been read already, and a reload needs a file";
        return Err(io::Error::other(why));
    }
    Ok(text)
}

struct File<'a> {
    path: &'a Path,
    /// To find the line of each key: to count from the top for each took seconds for a thousand rules.
    line_ends: Vec<usize>,
}

type Name<'a> = Spanned<Cow<'a, str>>;
type Value<'a> = Spanned<DeValue<'a>>;

impl File<'_> {
    fn contents(&self, table: &DeTable<'_>) -> Result<Contents, ConfigError> {
        let mut contents = Contents::default();
        for (name, value) in table {
            match value.get_ref() {
                DeValue::Table(table) if is_table(name.get_ref()) => {
                    for (inner, value) in table {
                        let setting = self.setting(Some(name.get_ref()), inner, value)?;
                        contents.settings.push(setting);
                    }
                }
                _ if name.get_ref() == RULE => contents.rules = self.rules(name, value)?,
                _ => contents.settings.push(self.setting(None, name, value)?),
            }
        }
        Ok(contents)
    }

    fn setting(
        &self,
        table: Option<&str>,
        name: &Name<'_>,
        value: &Value<'_>,
    ) -> Result<Setting, ConfigError> {
        let origin = self.origin(name.span().start);
        let Some(key) = Key::in_file(table, name.get_ref()) else {
            return Err(unknown(origin, table, name.get_ref()));
        };
        match words(value.get_ref()) {
            Some(words) => Ok(Setting { key, words, origin }),
            None => Err(invalid(
                &origin,
                key.name_in_file(),
                "must be a string, a number, a boolean, or an array of strings",
            )),
        }
    }

    fn rules(&self, name: &Name<'_>, value: &Value<'_>) -> Result<Vec<Rule>, ConfigError> {
        let brackets = || {
            let origin = self.origin(name.span().start);
            invalid(
                &origin,
                RULE,
                "must stand as [[rule]], in two brackets, once for each rule",
            )
        };
        let DeValue::Array(items) = value.get_ref() else {
            return Err(brackets());
        };
        let each = items.iter().map(|item| match item.get_ref() {
            DeValue::Table(table) => self.rule(&self.origin(item.span().start), table),
            _ => Err(brackets()),
        });
        each.collect()
    }

    fn rule(&self, origin: &Origin, table: &DeTable<'_>) -> Result<Rule, ConfigError> {
        let mut facility = None;
        let (mut allow, mut require) = (None, None);
        for (name, value) in table {
            let origin = self.origin(name.span().start);
            let name = name.get_ref().as_ref();
            let said = words(value.get_ref()).unwrap_or_default();
            let one = match &said[..] {
                [word] => Ok(word.as_str()),
                _ => Err(Invalid("must be one string".to_owned())),
            };
            let read = match name {
                "facility" => one
                    .and_then(rules::facility)
                    .map(|pattern| facility = Some(pattern)),
                "allow" if words(value.get_ref()).is_none() => {
                    Err(Invalid("must be all, or an array of flags".to_owned()))
                }
                "allow" => rules::allow(&said).map(|flags| allow = Some(flags)),
                "require" => one.and_then(rules::require).map(|who| require = Some(who)),
                _ => return Err(unknown_in_rule(origin, name)),
            };
            read.map_err(|Invalid(must)| invalid(&origin, &format!("{name} in [[rule]]"), &must))?;
        }
        match facility {
            Some(facility) => Ok(Rule {
                facility,
                allow,
                require,
            }),
            None => Err(invalid(
                origin,
                "[[rule]]",
                "must say for which facility it is, such as \"chat/*\"",
            )),
        }
    }

    fn origin(&self, offset: usize) -> Origin {
        Origin::File {
            path: self.path.to_owned(),
            line: self.line_ends.partition_point(|end| *end < offset) + 1,
        }
    }
}

fn is_table(name: &str) -> bool {
    Group::ALL.iter().any(|group| group.table() == Some(name))
}

fn invalid(origin: &Origin, what: &str, must: &str) -> ConfigError {
    ConfigError::Invalid {
        subject: format!("{origin}: {what}"),
        must: must.to_owned(),
    }
}

fn unknown(origin: Origin, table: Option<&str>, name: &str) -> ConfigError {
    // The most frequent slip is the right name in the wrong table; there it may carry the table's name or not.
    let place = |key: &Key| match key.group.table() {
        Some(table) => format!("{} in [{table}]", key.name_in_file()),
        None if table.is_some() => format!("{}, above all tables", key.name),
        None => key.name.to_owned(),
    };
    let here = KEYS.iter().filter(|key| key.group.table() == table);
    let elsewhere = KEYS.iter().filter(|key| key.group.table() != table);
    let found = nearest(name, here.clone().map(Key::name_in_file))
        .and_then(|near| Key::in_file(table, near))
        .or_else(|| Key::named(nearest(name, KEYS.iter().map(|key| key.name))?))
        .or_else(|| {
            let near = nearest(name, elsewhere.clone().map(Key::name_in_file))?;
            elsewhere.clone().find(|key| key.name_in_file() == near)
        })
        .map(place);
    let tables = Group::ALL.iter().filter_map(|group| group.table());
    let found = found.or_else(|| match nearest(name, tables.chain([RULE]))? {
        RULE => Some("[[rule]]".to_owned()),
        table => Some(format!("[{table}]")),
    });
    ConfigError::UnknownKey {
        origin,
        name: match table {
            Some(table) => format!("{name} in [{table}]"),
            None => name.to_owned(),
        },
        nearest: found,
    }
}

fn unknown_in_rule(origin: Origin, name: &str) -> ConfigError {
    ConfigError::UnknownKey {
        origin,
        name: format!("{name} in [[rule]]"),
        nearest: nearest(name, RULE_KEYS).map(|name| format!("{name} in [[rule]]")),
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
            Ok(contents) => Ok(contents
                .settings
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
    fn what_is_left_of_a_pipe_is_no_configuration() {
        use std::io::Write;
        use std::os::fd::AsRawFd;
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"facilities = ['news']").unwrap();
        drop(writer);
        let path = PathBuf::from(format!("/proc/self/fd/{}", reader.as_raw_fd()));
        assert_eq!(read(path.clone()).unwrap().settings.len(), 1);
        let error = read(path).unwrap_err().to_string();
        assert!(error.contains("a reload needs a file"), "{error}");
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
            (
                "[jwt]\nkey_fil = 'x'",
                "x.toml, line 2: unknown key key_fil in [jwt]: did you mean key_file in [jwt]?",
            ),
            (
                "jwt_issuer = 'x'",
                "x.toml, line 1: unknown key jwt_issuer: did you mean issuer in [jwt]?",
            ),
            (
                "algorithms = ['HS256']",
                "x.toml, line 1: unknown key algorithms: did you mean algorithms in [jwt]?",
            ),
            (
                "[[rules]]\nfacility = 'x'",
                "x.toml, line 1: unknown key rules: did you mean [[rule]]?",
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

    fn rules(text: &str) -> Result<Vec<Rule>, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let path = file.path().to_owned();
        let contents = read(path.clone());
        contents
            .map(|contents| contents.rules)
            .map_err(|error| error.to_string().replace(path.to_str().unwrap(), "x.toml"))
    }

    #[test]
    fn rules_are_read_in_their_order() {
        use crate::config::{Allow, Require};
        let rules = rules(
            "[[rule]]\nfacility = 'chat/*'\nallow = ['subscribe-user']\nrequire = 'group:staff'\n\
             [[rule]]\nfacility = '**'\nallow = []\n[[rule]]\nfacility = 'x'\nallow = 'all'\n",
        );
        let rule = |facility: &str, allow, require| Rule {
            facility: facility.to_owned(),
            allow: Some(allow),
            require,
        };
        let staff = Some(Require::Group("staff".to_owned()));
        assert_eq!(
            rules.unwrap(),
            [
                rule(
                    "chat/*",
                    Allow::Only(vec!["subscribe-user".to_owned()]),
                    staff
                ),
                rule("**", Allow::Only(Vec::new()), None),
                rule("x", Allow::All, None),
            ]
        );
    }

    #[test]
    fn a_rule_that_cannot_be_is_named_with_its_line_and_key() {
        for (text, error) in [
            (
                "\n[[rule]]\nfacility = 'x'\nalow = []",
                "x.toml, line 4: unknown key alow in [[rule]]: did you mean allow in [[rule]]?",
            ),
            (
                "[[rule]]\nfacility = 'x'\n[[rule]]\nallow = []",
                "x.toml, line 3: [[rule]] must say for which facility it is, such as \"chat/*\"",
            ),
            (
                "[rule]\nfacility = 'x'",
                "x.toml, line 1: rule must stand as [[rule]], in two brackets, once for each rule",
            ),
            (
                "[[rule]]\nfacility = 'x'\nrequire = 'staff'",
                "x.toml, line 3: require in [[rule]] must be user, session or group:NAME, not \"staff\"",
            ),
            (
                "[[rule]]\nfacility = 'x'\nrequire = ['user', 'session']",
                "x.toml, line 3: require in [[rule]] must be one string",
            ),
            (
                "[[rule]]\nfacility = ['x', 'y']",
                "x.toml, line 2: facility in [[rule]] must be one string",
            ),
            (
                "[[rule]]\nfacility = 'x'\nallow = { a = 1 }",
                "x.toml, line 3: allow in [[rule]] must be all, or an array of flags",
            ),
            (
                "[[rule]]\nfacility = 'x'\nallow = ['subscribe-usr']",
                "x.toml, line 3: allow in [[rule]] must be all, or flags such as subscribe-user, not \
                 \"subscribe-usr\": did you mean subscribe-user?",
            ),
        ] {
            assert_eq!(rules(text).unwrap_err(), error);
        }
        let path = rules("[[rule]]\nfacility = '/ws/chat/*'").unwrap_err();
        assert!(
            path.starts_with("x.toml, line 2: facility in [[rule]] must be"),
            "{path}"
        );
    }
}
