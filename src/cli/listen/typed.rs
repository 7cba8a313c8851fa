//! What goes the other way: lines that are typed, and goodbye on Ctrl-C.

use std::io::{self, BufRead, stdin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tungstenite::protocol::frame::{CloseFrame, coding::CloseCode};
use tungstenite::protocol::{Role, WebSocket};
use tungstenite::{Message, Utf8Bytes};

use super::wire::Wire;
use crate::cli::note;

/// How long a gateway may take to answer our Close before we go without it.
pub(super) const GOODBYE: Duration = Duration::from_secs(1);

/// The sending side, shared by the threads that have something to say.
#[derive(Debug, Clone)]
pub(super) struct Speaker(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// A second context on the same wire, only for sending; `None` while there is no connection.
    socket: Mutex<Option<WebSocket<Wire>>>,
    leaving: AtomicBool,
}

impl Speaker {
    /// Watches signals and, if there is anybody to say it to, what is typed.
    pub(super) fn start(publishes: bool) -> io::Result<Speaker> {
        let speaker = Speaker(Arc::default());
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        let watcher = speaker.clone();
        thread::spawn(move || {
            if signals.forever().next().is_some() {
                watcher.leave();
            }
        });
        if publishes {
            let typist = speaker.clone();
            thread::spawn(move || typist.send_lines());
        }
        Ok(speaker)
    }

    /// There is a connection to speak on.
    pub(super) fn connected(&self, wire: Wire) {
        *self.socket() = Some(WebSocket::from_raw_socket(wire, Role::Client, None));
    }

    /// There is none any more.
    pub(super) fn disconnected(&self) {
        *self.socket() = None;
    }

    /// Was the program asked to end?
    pub(super) fn is_leaving(&self) -> bool {
        self.0.leaving.load(Ordering::SeqCst)
    }

    /// Sends a Close: 1000, all is done.
    pub(super) fn say_goodbye(&self) {
        if let Some(socket) = self.socket().as_mut() {
            close(socket);
        }
    }

    fn leave(&self) {
        self.0.leaving.store(true, Ordering::SeqCst);
        // A gateway that takes nothing any more may hold the lock for long: whoever wants to go need not wait.
        if let Ok(mut socket) = self.0.socket.try_lock()
            && let Some(socket) = socket.as_mut()
        {
            close(socket);
            // The listening thread sees the gateway's Close and ends the program before this is over.
            thread::sleep(GOODBYE);
        }
        std::process::exit(0);
    }

    fn send_lines(&self) {
        for line in stdin().lock().lines() {
            let Ok(line) = line else {
                return note("what is typed is not UTF-8; nothing more is sent");
            };
            // The gateway swallows empty messages.
            if line.is_empty() {
                continue;
            }
            match self.socket().as_mut() {
                Some(socket) => {
                    if let Err(error) = socket.send(Message::text(line)) {
                        note(&format!("this was not sent: {error}"));
                    }
                }
                None => note("this was not sent: there is no connection now"),
            }
        }
    }

    fn socket(&self) -> std::sync::MutexGuard<'_, Option<WebSocket<Wire>>> {
        self.0.socket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn close(socket: &mut WebSocket<Wire>) {
    // Whoever cannot be told goodbye has gone.
    let _ = socket.close(Some(CloseFrame {
        code: CloseCode::Normal,
        reason: Utf8Bytes::from_static(""),
    }));
}
