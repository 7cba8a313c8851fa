//! What is published.

/// A message for clients: any bytes that are not the heartbeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisMessage(Vec<u8>);

impl RedisMessage {
    /// A message of text or bytes. `None` if it is the text of the `heartbeat`: clients take that for a sign of
    /// life and show it to nobody, and a persisted one would make every client that connects believe it
    /// was sent something. As in the original, an empty message is one.
    ///
    /// ```
    /// use ws4redis::RedisMessage;
    ///
    /// assert!(RedisMessage::new("hello", None).is_some());
    /// assert!(RedisMessage::new(b"\x00\xff", Some("--beat--")).is_some());
    /// assert!(RedisMessage::new("--beat--", Some("--beat--")).is_none());
    /// ```
    pub fn new(value: impl Into<Vec<u8>>, heartbeat: Option<&str>) -> Option<RedisMessage> {
        let bytes = value.into();
        // A heartbeat that is set to nothing is not set.
        let is_heartbeat =
            heartbeat.is_some_and(|text| !text.is_empty() && text.as_bytes() == bytes);
        (!is_heartbeat).then_some(RedisMessage(bytes))
    }

    /// What Redis gets.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_bytes_are_messages_and_the_heartbeat_is_none() {
        let bytes = |message: Option<RedisMessage>| message.map(|it| it.as_bytes().to_vec());
        assert_eq!(
            bytes(RedisMessage::new("\u{fc}", None)),
            Some(vec![0xc3, 0xbc])
        );
        assert_eq!(bytes(RedisMessage::new([0xff], None)), Some(vec![0xff]));
        assert_eq!(
            bytes(RedisMessage::new(String::from("a"), Some("b"))),
            Some(vec![b'a'])
        );
        assert_eq!(RedisMessage::new("b", Some("b")), None);
        assert_eq!(bytes(RedisMessage::new("", Some(""))), Some(Vec::new()));
    }
}
