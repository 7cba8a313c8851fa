//! A WebSocket client that was not written here: tungstenite's own, over a blocking socket with deadlines.

use std::io;

use tungstenite::client::IntoClientRequest;
use tungstenite::handshake::HandshakeError;
use tungstenite::http::{HeaderName, HeaderValue};
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Error, Message, WebSocket};

use super::stream::{Address, Stream};
use super::wait::Deadline;

/// One WebSocket connection.
#[derive(Debug)]
pub(crate) struct Client {
    socket: WebSocket<Stream>,
}

/// A handshake that was answered with something else than 101.
#[derive(Debug)]
pub(crate) struct Refused {
    /// The status code.
    pub(crate) status: u16,
    /// `Retry-After`, if there is one.
    pub(crate) retry_after: Option<String>,
}

impl Client {
    /// Connects to `path`, such as `/ws/chat?subscribe-broadcast`.
    pub(crate) fn connect(address: &Address, path: &str) -> Client {
        Client::connect_with(address, path, &[])
            .unwrap_or_else(|refused| panic!("{path} was refused: {refused:?}"))
    }

    /// As [`Client::connect`], with further header fields; a refusal is an answer.
    pub(crate) fn connect_with(
        address: &Address,
        path: &str,
        fields: &[(&str, &str)],
    ) -> Result<Client, Refused> {
        let host = match address {
            Address::Tcp(address) => address.to_string(),
            Address::Unix(_) => "localhost".to_owned(),
        };
        let mut request = format!("ws://{host}{path}").into_client_request().unwrap();
        for (name, value) in fields {
            let name: HeaderName = name.parse().unwrap();
            let value = HeaderValue::from_str(value).unwrap();
            request.headers_mut().append(name, value);
        }
        // The default of 128 KiB is reserved at once; a test may have thousands of clients.
        let config = WebSocketConfig::default().read_buffer_size(4096);
        let stream = Stream::connect(address).unwrap();
        match tungstenite::client::client_with_config(request, stream, Some(config)) {
            Ok((socket, _)) => Ok(Client { socket }),
            Err(HandshakeError::Failure(Error::Http(response))) => {
                let retry_after = response.headers().get("retry-after");
                Err(Refused {
                    status: response.status().as_u16(),
                    retry_after: retry_after.map(|value| value.to_str().unwrap().to_owned()),
                })
            }
            Err(error) => panic!("the handshake for {path} failed: {error}"),
        }
    }

    /// Sends a text message.
    pub(crate) fn send(&mut self, text: &str) {
        self.socket.send(Message::text(text)).unwrap();
    }

    /// Sends a binary message.
    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        self.socket.send(Message::binary(bytes.to_vec())).unwrap();
    }

    /// The next text or binary message. Pings are answered on the way, as every browser does.
    pub(crate) fn next(&mut self) -> Message {
        match self.read(Deadline::usual()) {
            Ok(message @ (Message::Text(_) | Message::Binary(_))) => message,
            other => panic!("no message but {other:?}"),
        }
    }

    /// The next message, which must be a text.
    pub(crate) fn text(&mut self) -> String {
        match self.next() {
            Message::Text(text) => text.as_str().to_owned(),
            other => panic!("not a text: {other:?}"),
        }
    }

    /// The next message, which must be this text.
    pub(crate) fn expect(&mut self, text: &str) {
        assert_eq!(self.text(), text);
    }

    /// Hears nothing else before `marker`, which `publish` sends the way that another message would have come.
    /// That is silence which can be proved: order is kept, so what did not come before does not come.
    pub(crate) fn expect_silence(&mut self, marker: &str, publish: impl FnOnce(&str)) {
        publish(marker);
        self.expect(marker);
    }

    /// Waits for the gateway's Close frame; its code and reason.
    pub(crate) fn closed(&mut self) -> (u16, String) {
        let deadline = Deadline::usual();
        loop {
            match self.read(deadline) {
                Ok(Message::Close(Some(frame))) => {
                    return (frame.code.into(), frame.reason.as_str().to_owned());
                }
                Ok(Message::Text(_) | Message::Binary(_)) => {}
                other => panic!("no close frame but {other:?}"),
            }
        }
    }

    /// Waits until the connection is over, however it ends.
    pub(crate) fn gone(&mut self) {
        let deadline = Deadline::usual();
        loop {
            match self.read(deadline) {
                Ok(_) => {}
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::TimedOut => {
                    panic!("the connection still stands")
                }
                Err(_) => return,
            }
        }
    }

    /// Says goodbye, and waits for the answer.
    pub(crate) fn close(mut self) {
        self.socket.close(None).unwrap();
        self.gone();
    }

    /// Nobody but the socket below: for what a well-behaved client does not do.
    pub(crate) fn stream(&mut self) -> &mut Stream {
        self.socket.get_mut()
    }

    fn read(&mut self, deadline: Deadline) -> Result<Message, Error> {
        self.socket.get_mut().deadline = deadline;
        loop {
            match self.socket.read()? {
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
                message => return Ok(message),
            }
        }
    }
}
