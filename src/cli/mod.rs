//! The command line: what was typed, and what the terminal shows.
//!
//! Exit codes: 0 done, 1 failed or a negative answer, 2 wrong usage or configuration. What went wrong stands on
//! standard error as `ws4redis: what is wrong: what to do`.

mod arguments;
mod bench;
mod check;
mod disconnect;
mod fetch;
mod listen;
mod logging;
mod nginx;
mod pages;
mod print;
mod publish;
mod redis;
mod serve;
mod settings;
mod trial;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use arguments::{Cli, Command};
use clap::FromArgMatches;
use clap::error::ErrorKind;
use ws4redis::config::load::ConfigError;

/// Does what the arguments say.
pub(crate) fn run(arguments: impl Iterator<Item = OsString>) -> Result<(), Failure> {
    let matches = arguments::command().try_get_matches_from(arguments)?;
    let cli = Cli::from_arg_matches(&matches)?;
    let Some((_, flags)) = matches.subcommand() else {
        return Ok(());
    };
    match cli.command {
        Command::Serve => serve::run(flags),
        Command::Publish(publish) => publish::run(publish, &settings::load(flags)?.config),
        Command::Fetch(fetch) => fetch::run(fetch, &settings::load(flags)?.config),
        Command::Disconnect(whom) => disconnect::run(whom, &settings::load(flags)?.config),
        Command::Listen(listen) => listen::run(listen, &settings::load(flags)?.config),
        Command::Check { print: true, .. } => print::run(&settings::load(flags)?),
        Command::Check {
            nginx: Some(file), ..
        } => nginx::run(&file, &settings::load(flags)?.config),
        Command::Check { client, .. } if client.url.is_some() => {
            trial::run(&client, &settings::load(flags)?.config)
        }
        Command::Check { .. } => check::run(&settings::load(flags)?.config),
        Command::Bench(modes) => bench::run(modes, flags),
        Command::Completions { shell } => pages::completions(shell),
        Command::Man { directory } => pages::man(directory),
    }
}

/// Why the command did not do what was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The arguments, as clap says it; also help and version, which are no failures.
    Arguments(Box<clap::Error>),
    /// Arguments that clap cannot judge, or the configuration.
    Usage(String),
    /// It was tried, and failed.
    Failed(String),
    /// The answer is no, and there is nothing more to say.
    Negative,
    /// Whoever read our output has seen enough, such as `head`.
    BrokenPipe,
}

impl Failure {
    /// Says it, and gives the exit code for it.
    pub(crate) fn exit(self) -> ExitCode {
        match self {
            Failure::Arguments(error) if !error.use_stderr() => {
                // Help and version; nobody is left to be told that they cannot be printed.
                let _ = error.print();
                ExitCode::SUCCESS
            }
            Failure::Arguments(error)
                if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand =>
            {
                // A help that was not asked for, and so it is neither success nor a message of ours.
                let _ = error.print();
                ExitCode::from(2)
            }
            Failure::Arguments(error) => {
                let text = error.render().to_string();
                note(text.strip_prefix("error: ").unwrap_or(&text).trim_end());
                ExitCode::from(2)
            }
            Failure::Usage(what) => {
                note(&what);
                ExitCode::from(2)
            }
            Failure::Failed(what) => {
                note(&what);
                ExitCode::FAILURE
            }
            Failure::Negative => ExitCode::FAILURE,
            Failure::BrokenPipe => ExitCode::SUCCESS,
        }
    }

    /// Standard output cannot be written to.
    fn output(error: io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::BrokenPipe,
            _ => Failure::Failed(format!("cannot write to standard output: {error}")),
        }
    }
}

/// A line on standard error. Nobody is left to be told that it cannot be written, and `eprintln` would panic.
fn note(what: &str) {
    let _ = writeln!(io::stderr(), "ws4redis: {what}");
}

impl From<clap::Error> for Failure {
    fn from(error: clap::Error) -> Failure {
        Failure::Arguments(Box::new(error))
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Failure {
        Failure::Usage(error.to_string())
    }
}
