//! A small RESP2 client of the tests' own: what the library says to Redis is checked with something else.

use std::io::{BufRead, BufReader, Read, Write};

use super::stream::{Address, Stream};
use super::wait::Deadline;

/// A connection to a Redis.
#[derive(Debug)]
pub(crate) struct Resp {
    stream: BufReader<Stream>,
}

/// What Redis answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// `+OK`
    Simple(String),
    /// `-ERR ...`
    Error(String),
    /// `:1`
    Integer(i64),
    /// `$5`
    Bulk(Vec<u8>),
    /// `$-1` and `*-1`
    Null,
    /// `*2`
    Array(Vec<Reply>),
}

impl Resp {
    /// Connects.
    pub(crate) fn connect(address: &Address) -> std::io::Result<Resp> {
        let stream = BufReader::new(Stream::connect(address)?);
        Ok(Resp { stream })
    }

    /// Says one command and takes its answer.
    pub(crate) fn call<W: AsRef<[u8]>>(&mut self, words: &[W]) -> Reply {
        self.send(words);
        self.reply()
    }

    /// Says one command and does not wait for the answer.
    pub(crate) fn send<W: AsRef<[u8]>>(&mut self, words: &[W]) {
        self.send_all(std::iter::once(words));
    }

    /// Says many commands in one write.
    pub(crate) fn send_all<'a, W: AsRef<[u8]> + 'a>(
        &mut self,
        commands: impl Iterator<Item = &'a [W]>,
    ) {
        let mut bytes = Vec::new();
        for words in commands {
            bytes.extend(format!("*{}\r\n", words.len()).into_bytes());
            for word in words {
                let word = word.as_ref();
                bytes.extend(format!("${}\r\n", word.len()).into_bytes());
                bytes.extend(word);
                bytes.extend(b"\r\n");
            }
        }
        self.stream.get_mut().write_all(&bytes).unwrap();
    }

    /// Takes the next answer, or the next message of a subscription.
    pub(crate) fn reply(&mut self) -> Reply {
        self.stream.get_mut().deadline = Deadline::usual();
        self.read()
    }

    fn read(&mut self) -> Reply {
        let line = self.line();
        let (kind, rest) = line.split_at(1);
        match kind {
            "+" => Reply::Simple(rest.to_owned()),
            "-" => Reply::Error(rest.to_owned()),
            ":" => Reply::Integer(rest.parse().unwrap()),
            "$" | "*" if rest == "-1" => Reply::Null,
            "$" => {
                let mut bulk = vec![0; rest.parse::<usize>().unwrap() + 2];
                self.stream.read_exact(&mut bulk).unwrap();
                bulk.truncate(bulk.len() - 2);
                Reply::Bulk(bulk)
            }
            "*" => Reply::Array((0..rest.parse().unwrap()).map(|_| self.read()).collect()),
            _ => panic!("not RESP2: {line:?}"),
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        assert!(line.ends_with("\r\n"), "Redis hung up after {line:?}");
        line.truncate(line.len() - 2);
        line
    }
}
