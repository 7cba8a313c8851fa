//! What may be typed: the commands and their own flags. The settings' flags come from the table of settings.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use ws4redis::channel::Audience;
use ws4redis::limits::FACILITY_BYTES_MAX;

use super::{bench, settings};

/// A WebSocket gateway for Redis: browsers subscribe, any program that can say PUBLISH reaches them
#[derive(Debug, Parser)]
#[command(
    name = "ws4redis",
    version,
    subcommand_required = true,
    arg_required_else_help = true
)]
#[command(after_help = EXAMPLES, max_term_width = 100, disable_help_subcommand = true)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

// Lines that end before a narrow terminal does: clap would break them anywhere.
const EXAMPLES: &str = "\
Examples:
  ws4redis serve --embedded                     try it: all in one process
  ws4redis listen news                          hear the facility `news`
  ws4redis publish news 'It rains' --broadcast  say something to everybody there
  ws4redis check                                is all well with Redis?

A setting is a flag, a variable such as WS4REDIS_PREFIX, or a key of the file
that --config names: a flag beats a variable, and a variable beats the file.
`ws4redis check --print` shows what came of them.";

/// The commands.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the gateway
    #[command(after_help = SERVE)]
    Serve,
    /// Publish a message to clients
    #[command(after_help = PUBLISH)]
    Publish(Publish),
    /// Print the message that is kept for clients that come later
    #[command(after_help = FETCH)]
    Fetch(Fetch),
    /// End the sessions of a user, a group or a browser session, on all gateways of a Redis
    #[command(after_help = DISCONNECT)]
    Disconnect(Disconnect),
    /// Hear, and say, what a browser would: a WebSocket client in the terminal
    #[command(after_help = LISTEN)]
    Listen(Listen),
    /// Check the configuration, and what Redis lets us do
    #[command(after_help = CHECK)]
    Check {
        /// Print the effective configuration, secrets masked, and its worst case in memory; ask nobody
        #[arg(long, conflicts_with = "url")]
        print: bool,
        /// Read an nginx configuration instead: do WebSockets come through it, and nothing past it? Asks nobody
        #[arg(long, value_name = "FILE", conflicts_with_all = ["url", "print"])]
        nginx: Option<PathBuf>,
        #[command(flatten)]
        client: Client,
    },
    /// Measure a gateway, this one or another
    #[command(after_help = bench::BENCH)]
    Bench(bench::Bench),
    /// Print completions for a shell
    #[command(after_help = COMPLETIONS)]
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Print the manual page, or write all of them into a directory
    Man {
        /// Where to write ws4redis.1, ws4redis-serve.1 and so on
        #[arg(value_name = "DIR")]
        directory: Option<PathBuf>,
    },
}

const SERVE: &str = "\
Examples:
  ws4redis serve --embedded
  ws4redis serve --listen unix:/run/ws4redis.sock --redis unix:///run/redis.sock
  WS4REDIS_CONNECTION=redis://:password@10.0.0.2/3 ws4redis serve
  ws4redis serve --config /etc/ws4redis.toml

Everybody on a machine can read its command lines: a password belongs in the
file or in WS4REDIS_CONNECTION. SIGTERM and SIGINT close all clients at a set
pace; a second one ends the gateway at once. SIGHUP reloads the configuration.
--help shows the limits as well.";

const PUBLISH: &str = "\
Examples:
  ws4redis publish news 'It rains' --broadcast
  ws4redis publish chat 'Dinner' --user john --group staff --expire 10m
  jq -c . order.json | ws4redis publish orders - --broadcast --expire 0";

const FETCH: &str = "\
Examples:
  ws4redis fetch news
  ws4redis fetch chat --user john --audience user

Looks at the session, the user, the groups and broadcast, in this order, and
prints the first message as it is. Ends with 1, in silence, if there is none.";

const DISCONNECT: &str = "\
Examples:
  ws4redis disconnect --user john --config /etc/ws4redis.toml
  ws4redis disconnect --group staff --recheck

Those are meant who match all that is said. They are closed with 4403, or, with
--recheck, little by little with 1012, and come back to be judged anew. The
order is signed with the first key of [control] secret_file. Ends with 1 if no
gateway heard it.";

const LISTEN: &str = "\
Examples:
  ws4redis listen news
  ws4redis listen chat --publish-user --subscribe-user --cookie sessionid=k3y
  ws4redis listen 'ws://localhost/ws/news?subscribe-broadcast' --json --count 1

A facility is looked for at the first address of --listen; without a flag for
an audience it is --subscribe-broadcast. With a --publish flag, each line that
is typed is sent. Times are in UTC.";

const CHECK: &str = "\
Examples:
  ws4redis check --config /etc/ws4redis.toml
  ws4redis check --print
  ws4redis check --as john --groups staff --url '/ws/chat/1?subscribe-user'
  ws4redis check --config /etc/ws4redis.toml --nginx /etc/nginx/nginx.conf

With --url it shows what that client would get, asks nobody, and ends with 1
if the client would be refused. With --nginx it reads that file and those that
it includes, and says what is wrong for WebSockets and what to write. Else
Redis is asked what it would do; nothing is written or published. Both end
with 1 if anything FAILs, and not for warnings and hints. A configuration that
is wrong ends it with 2.";

const COMPLETIONS: &str = "\
Examples:
  ws4redis completions bash > /etc/bash_completion.d/ws4redis
  ws4redis completions zsh > ~/.zfunc/_ws4redis";

/// The client that `check` is asked about.
#[derive(Debug, Args)]
#[command(next_help_heading = "A client")]
pub(super) struct Client {
    /// What would a client get that connects to this URL, or path with query? Shows the rule that counts
    #[arg(long)]
    pub(super) url: Option<String>,
    /// ... as this user
    #[arg(long = "as", value_name = "NAME", requires = "url")]
    pub(super) user: Option<String>,
    /// ... in these groups
    #[arg(long, value_name = "NAMES", value_delimiter = ',', requires = "url")]
    pub(super) groups: Vec<String>,
    /// ... with this session
    #[arg(long, value_name = "KEY", requires = "url")]
    pub(super) session: Option<String>,
}

/// `publish`.
#[derive(Debug, Args)]
pub(super) struct Publish {
    /// The facility, as in the client's URL
    #[arg(value_parser = facility)]
    pub(super) facility: String,
    /// The message, or - for all of standard input, byte for byte
    pub(super) message: OsString,
    /// To everybody on the facility
    #[arg(long)]
    pub(super) broadcast: bool,
    /// To this user (may be repeated)
    #[arg(long = "user", value_name = "NAME")]
    pub(super) users: Vec<String>,
    /// To the members of this group (may be repeated)
    #[arg(long = "group", value_name = "NAME")]
    pub(super) groups: Vec<String>,
    /// To this browser session (may be repeated)
    #[arg(long = "session", value_name = "KEY")]
    pub(super) sessions: Vec<String>,
}

/// `fetch`.
#[derive(Debug, Args)]
pub(super) struct Fetch {
    /// The facility, as in the client's URL
    #[arg(value_parser = facility)]
    pub(super) facility: String,
    /// Look at the messages to this user
    #[arg(long, value_name = "NAME")]
    pub(super) user: Option<String>,
    /// Look at the messages to this group (may be repeated)
    #[arg(long = "group", value_name = "NAME")]
    pub(super) groups: Vec<String>,
    /// Look at the messages to this browser session
    #[arg(long, value_name = "KEY")]
    pub(super) session: Option<String>,
    /// Look there alone
    #[arg(long, value_enum, default_value_t = From::Any)]
    pub(super) audience: From,
}

/// Where `fetch` looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum From {
    /// Session, user, groups, broadcast: the first that has a message.
    Any,
    /// The session.
    Session,
    /// The user.
    User,
    /// The groups.
    Group,
    /// Everybody.
    Broadcast,
}

impl From {
    /// As the library takes it.
    pub(super) fn audience(self) -> Option<Audience> {
        match self {
            From::Any => None,
            From::Session => Some(Audience::Session),
            From::User => Some(Audience::User),
            From::Group => Some(Audience::Group),
            From::Broadcast => Some(Audience::Broadcast),
        }
    }
}

/// `disconnect`.
#[derive(Debug, Args)]
pub(super) struct Disconnect {
    /// Whoever is this user
    #[arg(long, value_name = "NAME")]
    pub(super) user: Option<String>,
    /// Whoever is in this group
    #[arg(long, value_name = "NAME")]
    pub(super) group: Option<String>,
    /// Whoever has this session key
    #[arg(long, value_name = "KEY")]
    pub(super) session: Option<String>,
    /// Let them come back and be judged anew
    #[arg(long)]
    pub(super) recheck: bool,
}

/// `listen`.
#[derive(Debug, Args)]
pub(super) struct Listen {
    /// A facility, or the URL of one: ws://host/ws/facility?subscribe-broadcast
    #[arg(value_name = "FACILITY|URL")]
    pub(super) target: String,
    #[command(flatten)]
    pub(super) flags: Flags,
    /// One JSON object a line: time, type, and data or data_base64
    #[arg(long)]
    pub(super) json: bool,
    /// End after so many messages
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) count: Option<u64>,
    /// End when the connection does, instead of connecting again
    #[arg(long)]
    pub(super) once: bool,
    /// A cookie, such as the session's (may be repeated)
    #[arg(long = "cookie", value_name = "NAME=VALUE", value_parser = cookie)]
    pub(super) cookies: Vec<String>,
    /// A header field (may be repeated)
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header)]
    pub(super) headers: Vec<(String, String)>,
}

/// The flags of the client's URL.
#[derive(Debug, Args)]
#[command(next_help_heading = "Audiences")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag that is typed or not"
)]
pub(super) struct Flags {
    /// Hear what is said to everybody on the facility
    #[arg(long)]
    subscribe_broadcast: bool,
    /// Hear what is said to the user
    #[arg(long)]
    subscribe_user: bool,
    /// Hear what is said to the groups of the user
    #[arg(long)]
    subscribe_group: bool,
    /// Hear what is said to the session
    #[arg(long)]
    subscribe_session: bool,
    /// Say what is typed to everybody on the facility
    #[arg(long)]
    publish_broadcast: bool,
    /// Say what is typed to the user
    #[arg(long)]
    publish_user: bool,
    /// Say what is typed to the groups of the user
    #[arg(long)]
    publish_group: bool,
    /// Say what is typed to the session
    #[arg(long)]
    publish_session: bool,
    /// Hear what was typed here as well
    #[arg(long)]
    echo: bool,
}

impl Flags {
    /// Those that were typed, as they stand in a URL.
    pub(super) fn typed(&self) -> Vec<&'static str> {
        [
            (self.subscribe_broadcast, "subscribe-broadcast"),
            (self.subscribe_user, "subscribe-user"),
            (self.subscribe_group, "subscribe-group"),
            (self.subscribe_session, "subscribe-session"),
            (self.publish_broadcast, "publish-broadcast"),
            (self.publish_user, "publish-user"),
            (self.publish_group, "publish-group"),
            (self.publish_session, "publish-session"),
            (self.echo, "echo"),
        ]
        .into_iter()
        .filter_map(|(typed, flag)| typed.then_some(flag))
        .collect()
    }
}

/// All that may be typed, the settings' flags included: to each command those that it reads.
pub(super) fn command() -> clap::Command {
    Cli::command()
        .mut_subcommand("serve", |command| settings::add_flags(command, |_| true))
        .mut_subcommand("check", |command| settings::add_flags(command, |_| true))
        .mut_subcommand("publish", |command| {
            settings::add_flags(command, |name| {
                PUBLISHERS.contains(&name) || ["expire", "heartbeat"].contains(&name)
            })
        })
        .mut_subcommand("fetch", |command| {
            settings::add_flags(command, |name| PUBLISHERS.contains(&name))
        })
        .mut_subcommand("disconnect", |command| {
            settings::add_flags(command, |name| {
                PUBLISHERS.contains(&name)
                    || ["control_secret_file", "control_unsigned"].contains(&name)
            })
        })
        .mut_subcommand("bench", bench::add_flags)
        .mut_subcommand("listen", |command| {
            settings::add_flags(command, |name| {
                ["listen", "websocket_url", "heartbeat"].contains(&name)
            })
        })
}

/// The settings of everybody who speaks to Redis.
pub(super) const PUBLISHERS: [&str; 3] = ["redis", "embedded", "prefix"];

/// A facility that the gateway would accept.
fn facility(text: &str) -> Result<String, String> {
    if text.len() > FACILITY_BYTES_MAX || text.contains(char::is_control) {
        return Err(format!(
            "must have at most {FACILITY_BYTES_MAX} bytes and no control characters"
        ));
    }
    Ok(text.to_owned())
}

fn cookie(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.contains([';', '\r', '\n']) => {
            Ok(text.to_owned())
        }
        _ => Err("must be NAME=VALUE".to_owned()),
    }
}

fn header(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err("must be 'NAME: VALUE'".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_flag_stands_twice_and_no_help_is_missing() {
        command().debug_assert();
    }

    #[test]
    fn every_command_has_an_example_or_needs_none() {
        for subcommand in command().get_subcommands() {
            let has_example = subcommand.get_after_help().is_some();
            assert!(
                has_example || subcommand.get_name() == "man",
                "{}",
                subcommand.get_name()
            );
        }
    }
}
