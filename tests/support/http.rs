//! A plain HTTP GET.

use std::io::{self, Read, Write};

use super::stream::{Address, Stream};

/// An HTTP answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// The status code.
    pub(crate) status: u16,
    /// Names in lower case, in the order in which they came.
    pub(crate) fields: Vec<(String, String)>,
    /// The body.
    pub(crate) body: String,
}

impl Answer {
    /// The value of a field, by its name in lower case.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(field, _)| field == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// GET `path`; an error if nobody answers.
pub(crate) fn get(address: &Address, path: &str) -> io::Result<Answer> {
    request(
        address,
        &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
    )
}

/// Sends a request as it stands and reads the answer.
pub(crate) fn request(address: &Address, request: &str) -> io::Result<Answer> {
    let mut stream = Stream::connect(address)?;
    stream.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    let mut chunk = [0; 16 << 10];
    loop {
        let read = stream.read(&mut chunk)?;
        bytes.extend(&chunk[..read]);
        if let Some(answer) = parse(&bytes, read == 0) {
            return Ok(answer);
        }
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// The answer in `bytes`, once it is whole: by its length, or because nothing more comes.
fn parse(bytes: &[u8], ended: bool) -> Option<Answer> {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let fields: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let answer = Answer {
        status,
        fields,
        body: body.to_owned(),
    };
    let length = answer.field("content-length")?.parse::<usize>();
    let whole = length.is_ok_and(|length| bytes.len() - (head.len() + 4) >= length);
    (whole || ended).then_some(answer)
}
