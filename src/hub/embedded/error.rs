//! What a command can be refused for, in Redis' own words: clients compare them.

use bytes::Bytes;

/// Why a command was not done. All are the client's fault but [`CommandError::OutOfMemory`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum CommandError {
    #[error("ERR unknown command '{0}', with args beginning with: {1}")]
    UnknownCommand(String, String),
    #[error("ERR unknown subcommand '{1}'. Try {0} HELP.")]
    UnknownSubcommand(String, String),
    #[error("ERR wrong number of arguments for '{0}' command")]
    Arity(&'static str),
    #[error("ERR syntax error")]
    Syntax,
    #[error("ERR value is not an integer or out of range")]
    NotAnInteger,
    #[error("ERR invalid expire time in '{0}' command")]
    ExpireTime(&'static str),
    #[error("ERR NX and XX, GT or LT options at the same time are not compatible")]
    ExpireNxWithOthers,
    #[error("ERR GT and LT options at the same time are not compatible")]
    ExpireGtWithLt,
    #[error("ERR Unsupported option {0}")]
    ExpireOption(String),
    #[error("ERR DB index is out of range")]
    DbIndex,
    #[error("ERR invalid cursor")]
    Cursor,
    #[error("OOM command not allowed when used memory > 'maxmemory'.")]
    OutOfMemory,

    #[error("NOPROTO unsupported protocol version")]
    Protocol,
    #[error("ERR Protocol version is not an integer or out of range")]
    ProtocolNotAnInteger,
    #[error("ERR Syntax error in HELLO option '{0}'")]
    HelloOption(String),
    #[error("WRONGPASS invalid username-password pair or user is disabled.")]
    WrongPassword,
    #[error(
        "ERR AUTH <password> called without any password configured for the default user. Are you sure your \
         configuration is correct?"
    )]
    NoPassword,
    #[error("ERR {0} cannot contain spaces, newlines or special characters.")]
    Name(&'static str),
    #[error("ERR Unrecognized option '{0}'")]
    ClientOption(String),

    #[error(
        "ERR Can't execute '{0}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this \
         context"
    )]
    Subscribed(&'static str),
    #[error("ERR MULTI calls can not be nested")]
    NestedMulti,
    #[error("ERR EXEC without MULTI")]
    ExecWithoutMulti,
    #[error("ERR DISCARD without MULTI")]
    DiscardWithoutMulti,
    #[error("ERR WATCH inside MULTI is not allowed")]
    WatchInMulti,
    #[error("ERR Command not allowed inside a transaction")]
    InMulti,
    #[error("EXECABORT Transaction discarded because of previous errors.")]
    ExecAbort,

    // What Redis has no words for, because its limits are others or are none.
    #[error(
        "ERR EXAT and PXAT need a wall clock, which the embedded Redis of ws4redis does not have"
    )]
    NoWallClock,
    #[error("ERR this transaction or WATCH is over the limit of the embedded Redis")]
    TransactionTooLarge,
    #[error("ERR this reply is over the limit of the embedded Redis")]
    ReplyTooLarge,
    #[error("ERR more subscriptions than the embedded Redis may hold")]
    TooManySubscriptions,
    #[error("ERR a name or a pattern is over the limit of the embedded Redis")]
    TooLong,
}

impl CommandError {
    /// `words` begin with the name of no command.
    pub(super) fn unknown_command(name: &[u8], args: &[Bytes]) -> CommandError {
        let mut beginning = String::new();
        for arg in args {
            // Redis' own bound; a client that sends us its whole database by mistake need not get it back.
            let room = QUOTED_BYTES_MAX.saturating_sub(beginning.len());
            if room == 0 {
                break;
            }
            beginning += &format!("'{}' ", quoted(arg, room));
        }
        CommandError::UnknownCommand(quoted(name, QUOTED_BYTES_MAX), beginning)
    }

    /// `container` has subcommands, but none of this name.
    pub(super) fn unknown_subcommand(container: &[u8], name: &[u8]) -> CommandError {
        CommandError::UnknownSubcommand(
            quoted(container, QUOTED_BYTES_MAX).to_ascii_uppercase(),
            quoted(name, QUOTED_BYTES_MAX),
        )
    }
}

/// The beginning of what a client said. Line ends in it are no danger: whoever encodes an error blanks them.
pub(super) fn quoted(said: &[u8], bytes_max: usize) -> String {
    String::from_utf8_lossy(said.get(..bytes_max).unwrap_or(said)).into_owned()
}

/// As much of what a client said as an error quotes.
pub(super) const QUOTED_BYTES_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_said_is_quoted_short() {
        let args = [Bytes::from_static(b"a"), Bytes::from(vec![b'x'; 500])];
        let error = CommandError::unknown_command(&[b'y'; 500], &args).to_string();
        let expected = format!(
            "ERR unknown command '{}', with args beginning with: 'a' '{}' ",
            "y".repeat(128),
            "x".repeat(124),
        );
        assert_eq!(error, expected);
    }
}
