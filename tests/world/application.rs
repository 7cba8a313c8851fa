//! An application that is asked about clients.

use std::collections::BTreeMap;

use ws4redis::peer::PeerId;

/// The application, and its connections.
#[derive(Debug, Default)]
pub(crate) struct Application {
    /// What it answers, byte for byte; nothing if empty.
    pub(crate) answer: String,
    /// It takes no connections.
    pub(crate) refuses: bool,
    /// Every whole question, in order.
    pub(crate) asked: Vec<String>,
    /// The most questions that it had before it at once.
    pub(crate) most: usize,
    connections: BTreeMap<PeerId, Connection>,
}

/// What it has heard and not answered, and what it says.
#[derive(Debug, Default)]
struct Connection {
    heard: String,
    says: Vec<u8>,
    is_asked: bool,
}

impl Application {
    pub(crate) fn connect(&mut self, id: PeerId) -> Result<(), String> {
        if self.refuses {
            return Err("connection refused".to_owned());
        }
        self.connections.insert(id, Connection::default());
        Ok(())
    }

    pub(crate) fn has(&self, id: PeerId) -> bool {
        self.connections.contains_key(&id)
    }

    pub(crate) fn drop(&mut self, id: PeerId) {
        self.connections.remove(&id);
    }

    /// The gateway said this.
    pub(crate) fn hear(&mut self, id: PeerId, bytes: &[u8]) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.heard += std::str::from_utf8(bytes).unwrap();
        if connection.heard.ends_with("\r\n\r\n") {
            connection.is_asked = true;
            self.asked.push(std::mem::take(&mut connection.heard));
        }
        let asked = self.connections.values().filter(|one| one.is_asked);
        self.most = self.most.max(asked.count());
    }

    /// What it says next, and on which connection.
    pub(crate) fn say(&mut self) -> Option<(PeerId, Vec<u8>)> {
        if !self.answer.is_empty() {
            for connection in self.connections.values_mut() {
                if std::mem::take(&mut connection.is_asked) {
                    connection.says.extend_from_slice(self.answer.as_bytes());
                }
            }
        }
        let mut speaks = self.connections.iter_mut();
        let (id, connection) = speaks.find(|(_, one)| !one.says.is_empty())?;
        Some((*id, std::mem::take(&mut connection.says)))
    }
}

/// A whole answer.
pub(crate) fn answer(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}")
}
