//! The settings as flags, from their table.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, ValueParser};
use clap::{Arg, ArgAction, ArgMatches, Command};
use ws4redis::Config;
use ws4redis::config::keys::{Group, KEYS, Key, Shown, Takes};
use ws4redis::config::load::{ConfigError, Loaded, Origin, Setting, Sources, load as load_sources};

use super::Failure;

const CONFIG: &str = "config";

/// Adds the flags of the settings that `wanted` names, and `--config`.
pub(super) fn add_flags(command: Command, wanted: impl Fn(&str) -> bool) -> Command {
    let config = Arg::new(CONFIG)
        .long(CONFIG)
        .value_name("FILE")
        .value_parser(ValueParser::path_buf())
        .help("Read settings from this TOML file [env: WS4REDIS_CONFIG]");
    let flags = KEYS.iter().filter(|key| wanted(key.name)).map(flag);
    command.arg(config).args(flags)
}

/// The configuration that these flags, the environment and the file make.
pub(super) fn load(flags: &ArgMatches) -> Result<Loaded, Failure> {
    Ok(loaded(flags)?)
}

/// As [`load`], for those who go on after an error.
pub(super) fn loaded(flags: &ArgMatches) -> Result<Loaded, ConfigError> {
    let settings = KEYS.iter().filter_map(|key| {
        // A command has not all of them.
        let values = flags.try_get_many::<String>(key.name).ok()??;
        Some(Setting {
            key,
            words: values.flat_map(|value| key.words(value)).collect(),
            origin: Origin::Flag(format!("--{}", key.flag())),
        })
    });
    load_sources(Sources {
        file: flags.try_get_one::<PathBuf>(CONFIG).ok().flatten().cloned(),
        environment: std::env::vars_os().collect(),
        flags: settings.collect(),
    })
}

fn flag(key: &'static Key) -> Arg {
    let flag = Arg::new(key.name)
        .long(key.flag())
        .value_name(key.value_name())
        .help(help(key))
        .help_heading(key.group.heading())
        // There are many, and who changes one reads the long help.
        .hide_short_help(key.group == Group::Limits);
    // Values are judged where the file's and the environment's are, in the same words; but completions want these.
    let flag = match key.name {
        "log_format" => flag.value_parser(PossibleValuesParser::new(["auto", "text", "json"])),
        // The heartbeat of the original's documentation is `--heartbeat--`.
        "heartbeat" => flag.allow_hyphen_values(true),
        _ => flag,
    };
    match key.takes() {
        Takes::One => flag,
        Takes::Many => flag.action(ArgAction::Append),
        Takes::Optional(without) => flag
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value(without),
    }
}

/// What it means, its default, and its other name.
fn help(key: &Key) -> String {
    let default = match key.shown(&Config::default()) {
        Shown::Bare(value) | Shown::Text(value) if !value.is_empty() => {
            format!(" [default: {value}]")
        }
        Shown::List(values) if !values.is_empty() => format!(" [default: {}]", values.join(",")),
        _ => String::new(),
    };
    format!("{}{default} [env: {}]", key.meaning, key.variable())
}
