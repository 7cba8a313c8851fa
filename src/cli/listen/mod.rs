//! `ws4redis listen`: a WebSocket client in the terminal.

mod show;
mod target;
mod typed;
mod wire;

use std::io::{self, Stdout, stdout};
use std::time::Duration;

use tungstenite::handshake::HandshakeError;
use tungstenite::http::{Response, header};
use tungstenite::protocol::WebSocketConfig;
use tungstenite::protocol::frame::CloseFrame;
use tungstenite::{Error, Message, WebSocket};
use ws4redis::Config;
use ws4redis::close::Close;

use super::arguments::Listen;
use super::{Failure, note};
use show::Shape;
use target::Target;
use typed::{GOODBYE, Speaker};
use wire::Wire;

/// After so long without a word from the gateway it is asked for one (its own pings come every 30 s).
const SILENCE: Duration = Duration::from_secs(40);
/// Full jitter: the wait is random between nothing and `BACKOFF * 2^tries`, at most `BACKOFF_MAX`. A thousand
/// clients that lost the same gateway come back spread out.
const BACKOFF: Duration = Duration::from_millis(500);
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// Listens until interrupted, or until the arguments say that it is enough.
pub(super) fn run(arguments: Listen, config: &Config) -> Result<(), Failure> {
    let target = Target::new(&arguments, config)?;
    let speaker = Speaker::start(target.publishes)
        .map_err(|error| Failure::Failed(format!("cannot watch signals: {error}")))?;
    let mut listener = Listener {
        shape: if arguments.json {
            Shape::Json
        } else {
            Shape::People
        },
        heartbeat: config.heartbeat.clone(),
        left: arguments.count,
        stdout: stdout(),
        speaker,
    };
    let mut tries = 0;
    loop {
        let end = listener.connect_and_listen(&target)?;
        if listener.speaker.is_leaving() {
            return Ok(());
        }
        match end {
            End::Enough => return Ok(()),
            _ if arguments.once => return Err(Failure::Failed(end.to_string())),
            End::Refused { status, .. } if !is_worth_another_try(status) => {
                return Err(Failure::Failed(end.to_string()));
            }
            End::SentAway { why } => return Err(Failure::Failed(why)),
            _ => {}
        }
        tries = if matches!(end, End::Lost { heard: true, .. }) {
            0
        } else {
            tries + 1
        };
        let wait = backoff(tries).max(end.wait_at_least());
        note(&format!("{end}; again in {:.1} s", wait.as_secs_f64()));
        std::thread::sleep(wait);
    }
}

/// How a connection, or the try to get one, ended.
#[derive(Debug)]
enum End {
    /// There was none to be had.
    Unreachable { target: String, error: io::Error },
    /// The answer was not 101.
    Refused {
        status: u16,
        line: String,
        retry_after: Duration,
    },
    /// It was open, and is no longer.
    Lost { why: String, heard: bool },
    /// What let us in was taken back; whoever comes again by itself is not welcome.
    SentAway { why: String },
    /// As many messages as were asked for.
    Enough,
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            End::Unreachable { target, error } => {
                write!(
                    f,
                    "cannot connect to {target}: {error}: is `ws4redis serve` running there?"
                )
            }
            End::Refused { status, line, .. } => write!(f, "refused with {status}: {line}"),
            End::Lost { why, .. } | End::SentAway { why } => f.write_str(why),
            End::Enough => Ok(()),
        }
    }
}

impl End {
    fn wait_at_least(&self) -> Duration {
        match self {
            End::Refused { retry_after, .. } => *retry_after,
            _ => Duration::ZERO,
        }
    }
}

/// Timeout, too many, and what is the server's trouble; any other refusal is the same the next time.
fn is_worth_another_try(status: u16) -> bool {
    matches!(status, 408 | 429 | 500..)
}

fn backoff(tries: u32) -> Duration {
    let most = BACKOFF
        .saturating_mul(2_u32.saturating_pow(tries))
        .min(BACKOFF_MAX);
    most.mul_f64(fastrand::f64())
}

struct Listener {
    shape: Shape,
    heartbeat: Option<String>,
    /// How many messages are still wanted; `None` is any number.
    left: Option<u64>,
    stdout: Stdout,
    speaker: Speaker,
}

impl Listener {
    fn connect_and_listen(&mut self, target: &Target) -> Result<End, Failure> {
        let (mut socket, wire) = match connect(target) {
            Ok(connected) => connected,
            Err(end) => return Ok(end),
        };
        note(&format!("connected to {}", target.name()));
        self.speaker.connected(wire);
        let end = self.listen(&mut socket);
        self.speaker.disconnected();
        end
    }

    fn listen(&mut self, socket: &mut WebSocket<Wire>) -> Result<End, Failure> {
        let mut heard = false;
        let mut asked = false;
        loop {
            let message = match socket.read() {
                Ok(message) => message,
                Err(Error::Io(error)) if is_timeout(&error) && !asked => {
                    asked = true;
                    // If it cannot be sent, the next read says why.
                    let _ = socket.send(Message::Ping(Vec::new().into()));
                    continue;
                }
                Err(error) => {
                    let why = lost(&error);
                    return Ok(End::Lost { why, heard });
                }
            };
            (heard, asked) = (true, false);
            match &message {
                Message::Close(frame) => {
                    let why = closed(frame.as_ref());
                    wait_for_end(socket);
                    let code = frame.as_ref().map(|frame| u16::from(frame.code));
                    return Ok(match code == Close::Revoked.code() {
                        true => End::SentAway { why },
                        false => End::Lost { why, heard },
                    });
                }
                Message::Text(text) if Some(text.as_str()) == self.heartbeat.as_deref() => continue,
                Message::Text(_) | Message::Binary(_) => {}
                _ => continue,
            }
            show::show(&mut self.stdout, self.shape, &message).map_err(Failure::output)?;
            if let Some(left) = &mut self.left {
                *left = left.saturating_sub(1);
                if *left == 0 {
                    self.speaker.say_goodbye();
                    wait_for_end(socket);
                    return Ok(End::Enough);
                }
            }
        }
    }
}

/// Reads on until the closing handshake is over, so that the gateway sees an orderly end; but not for long.
fn wait_for_end(socket: &mut WebSocket<Wire>) {
    const MESSAGES_MAX: usize = 1_000;
    if socket.get_ref().set_read_timeout(GOODBYE).is_ok() {
        for _ in 0..MESSAGES_MAX {
            if socket.read().is_err() {
                return;
            }
        }
    }
}

/// The socket to listen on, and the wire under it to speak on.
fn connect(target: &Target) -> Result<(WebSocket<Wire>, Wire), End> {
    let unreachable = |error| End::Unreachable {
        target: target.name(),
        error,
    };
    let wire = Wire::connect(&target.place).map_err(unreachable)?;
    let config = WebSocketConfig::default().read_buffer_size(16 << 10);
    let request = target.request.clone();
    match tungstenite::client::client_with_config(request, wire.clone(), Some(config)) {
        Ok((socket, _)) => {
            wire.set_read_timeout(SILENCE).map_err(unreachable)?;
            Ok((socket, wire))
        }
        Err(HandshakeError::Failure(Error::Http(response))) => Err(refused(&response)),
        Err(HandshakeError::Failure(Error::Io(error))) => Err(unreachable(error)),
        Err(HandshakeError::Failure(error)) => Err(unreachable(io::Error::other(error))),
        // A blocking socket that would block has met its timeout.
        Err(HandshakeError::Interrupted(_)) => Err(unreachable(io::ErrorKind::TimedOut.into())),
    }
}

fn refused(response: &Response<Option<Vec<u8>>>) -> End {
    let status = response.status();
    let body = response.body().as_deref().unwrap_or_default();
    let line = String::from_utf8_lossy(body);
    let line = line.lines().next().unwrap_or_default().trim();
    let retry_after = response
        .headers()
        .get(header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .map_or(Duration::ZERO, Duration::from_secs);
    End::Refused {
        status: status.as_u16(),
        line: match line {
            "" => status
                .canonical_reason()
                .unwrap_or("no reason given")
                .to_owned(),
            line => line.chars().filter(|c| !c.is_control()).collect(),
        },
        // A server of another kind may ask for hours.
        retry_after: retry_after.min(BACKOFF_MAX),
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

fn lost(error: &Error) -> String {
    match error {
        Error::Io(error) if is_timeout(error) => "the gateway does not answer any more".to_owned(),
        error => format!("the connection broke: {error}"),
    }
}

/// What a Close says, in words: the codes of RFC 6455 7.4.1 and those registered since.
fn closed(frame: Option<&CloseFrame>) -> String {
    let Some(frame) = frame else {
        return "closed by the gateway, without a reason".to_owned();
    };
    let code = u16::from(frame.code);
    let meaning = match code {
        1000 => "done",
        1001 => "the gateway is going away, or heard nothing from us",
        1002 => "the gateway says that we broke the protocol",
        1003 => "the gateway takes no such messages",
        1007 => "a text was not UTF-8",
        1008 => "we said more than we may",
        1009 => "a message was too big",
        1011 => "Redis refused what we said",
        1012 if frame.reason == Close::Recheck.word() => "who we are is to be found out anew",
        1012 => "the gateway restarts",
        1013 => "we read too slowly, or Redis is away",
        4401 => "what let us in has expired",
        4403 => "what let us in was taken back",
        _ => "for a reason of its own",
    };
    let word: String = frame.reason.chars().filter(|c| !c.is_control()).collect();
    match word.as_str() {
        "" => format!("closed with {code}: {meaning}"),
        word => format!("closed with {code} ({word}): {meaning}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_grows_to_a_bound_and_is_never_the_same_for_all() {
        for tries in [1, 3, 60, u32::MAX] {
            assert!(backoff(tries) <= BACKOFF_MAX);
        }
        let waits: Vec<Duration> = (0..8).map(|_| backoff(10)).collect();
        assert!(waits.iter().any(|wait| *wait != waits[0]));
    }

    #[test]
    fn a_close_is_told_in_words_and_its_reason_cannot_move_the_cursor() {
        let frame = CloseFrame {
            code: 1012.into(),
            reason: "dr\u{1b}ain".into(),
        };
        assert_eq!(
            closed(Some(&frame)),
            "closed with 1012 (drain): the gateway restarts"
        );
        assert!(closed(None).contains("without a reason"));
    }

    #[test]
    fn what_will_be_refused_again_is_not_tried_again() {
        for status in [400, 403, 404, 426, 301] {
            assert!(!is_worth_another_try(status), "{status}");
        }
        for status in [408, 429, 503] {
            assert!(is_worth_another_try(status), "{status}");
        }
    }

    #[test]
    fn a_refusal_tells_its_line_and_how_long_to_wait() {
        let response = Response::builder()
            .status(503)
            .header("Retry-After", "2")
            .body(Some(b"the message broker is away\n".to_vec()))
            .unwrap();
        let end = refused(&response);
        assert_eq!(
            end.to_string(),
            "refused with 503: the message broker is away"
        );
        assert_eq!(end.wait_at_least(), Duration::from_secs(2));
    }
}
