//! What a client of the embedded Redis says.

use bytes::Bytes;

use super::Malformed;
use super::inbox::{Announced, Inbox, LINE_BYTES_MAX};

/// Words of one command: Redis allows a million, and a site may well DEL ten thousand keys at once.
const WORDS_MAX: u64 = 64 << 10;

/// Reads commands, for the embedded Redis: arrays of bulk strings, and inline commands.
#[derive(Debug)]
pub struct CommandReader {
    bytes_max: usize,
    inbox: Inbox,
    /// The words of an array that have come.
    words: Vec<Bytes>,
    /// So many more are announced.
    missing: u64,
    dead: Option<Malformed>,
}

impl CommandReader {
    /// A reader with nothing read, for commands of at most `bytes_max`.
    pub fn new(bytes_max: usize) -> CommandReader {
        CommandReader {
            bytes_max,
            inbox: Inbox::default(),
            words: Vec::new(),
            missing: 0,
            dead: None,
        }
    }

    /// Takes the bytes that came.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.dead.is_none() {
            self.inbox.feed(bytes);
        }
    }

    /// Bytes that came and that no command was made of yet.
    pub fn held(&self) -> usize {
        let words = self.words.iter().map(Bytes::len);
        self.inbox.waiting().len() + words.sum::<usize>()
    }

    /// The next command's words (never empty), `None` if it is not whole yet. After an error: the same again.
    pub fn pull(&mut self) -> Result<Option<Vec<Bytes>>, Malformed> {
        if let Some(error) = &self.dead {
            return Err(error.clone());
        }
        loop {
            match self.step() {
                Ok(Step::Command(words)) => return Ok(Some(words)),
                Ok(Step::Further) => {}
                Ok(Step::Wait) => {
                    self.inbox.settle();
                    return Ok(None);
                }
                Err(error) => {
                    self.dead = Some(error.clone());
                    return Err(error);
                }
            }
        }
    }

    fn step(&mut self) -> Result<Step, Malformed> {
        match (self.inbox.first(), self.missing) {
            (None, _) => Ok(Step::Wait),
            (Some(b'*'), 0) => self.head(),
            (Some(_), 0) => self.inline(),
            (Some(b'$'), _) => self.word(),
            (Some(_), _) => Err(Malformed::Syntax(
                "a word of a command that is no bulk string",
            )),
        }
    }

    fn head(&mut self) -> Result<Step, Malformed> {
        let Some((announced, length)) = self.inbox.announcement()? else {
            return Ok(Step::Wait);
        };
        self.missing = match announced {
            Announced::Length(count) if count > WORDS_MAX => return Err(Malformed::TooMany),
            Announced::Length(count) => count,
            Announced::Nothing => 0,
        };
        self.inbox.consume(length);
        Ok(Step::Further)
    }

    fn word(&mut self) -> Result<Step, Malformed> {
        let Some((announced, head)) = self.inbox.announcement()? else {
            return Ok(Step::Wait);
        };
        let Announced::Length(announced) = announced else {
            return Err(Malformed::Syntax("a negative length"));
        };
        let used: usize = self.words.iter().map(Bytes::len).sum();
        let length = usize::try_from(announced)
            .ok()
            .filter(|&length| length <= self.bytes_max.saturating_sub(used))
            .ok_or(Malformed::TooLong)?;
        if !self.inbox.want(head + length + 2) {
            return Ok(Step::Wait);
        }
        let bytes = self.inbox.waiting().get(head..head + length + 2);
        let Some([word @ .., b'\r', b'\n']) = bytes else {
            return Err(Malformed::Syntax("a value without CRLF"));
        };
        self.words.push(Bytes::copy_from_slice(word));
        self.inbox.consume(head + length + 2);
        self.missing -= 1;
        Ok(match self.missing {
            0 => Step::Command(std::mem::take(&mut self.words)),
            _ => Step::Further,
        })
    }

    /// Reads a line as a person types it into `nc`, which ends it with LF alone.
    fn inline(&mut self) -> Result<Step, Malformed> {
        let Some(end) = self.inbox.line_end(self.bytes_max.min(LINE_BYTES_MAX))? else {
            return Ok(Step::Wait);
        };
        let words = split(self.inbox.waiting().get(..end).unwrap_or_default())?;
        // A web page can make a browser send any text to a port of its own machine, after a head like this
        // one. Redis hangs up at these words too.
        let first = words.first().map(|word| &word[..]).unwrap_or_default();
        if first.eq_ignore_ascii_case(b"post") || first.eq_ignore_ascii_case(b"host:") {
            return Err(Malformed::Syntax("an HTTP request"));
        }
        self.inbox.consume(end + 1);
        Ok(if words.is_empty() {
            Step::Further
        } else {
            Step::Command(words)
        })
    }
}

/// What one step came to.
enum Step {
    Command(Vec<Bytes>),
    Further,
    Wait,
}

/// Splits an inline command at blanks, with the quotes of Redis: `"a\tb"` knows escapes, `'a b'` only `\'`.
///
/// A line has 64 KiB at most, and so fewer words than an array may have.
fn split(line: &[u8]) -> Result<Vec<Bytes>, Malformed> {
    let mut words = Vec::new();
    let mut rest = line.trim_ascii_start();
    while !rest.is_empty() {
        let (word, after) = first_word(rest)?;
        words.push(Bytes::from(word));
        rest = after.trim_ascii_start();
    }
    Ok(words)
}

/// The first word of a line that begins with one, and what stands behind it.
fn first_word(line: &[u8]) -> Result<(Vec<u8>, &[u8]), Malformed> {
    const UNBALANCED: Malformed = Malformed::Syntax("unbalanced quotes");
    let mut word = Vec::new();
    let mut quote = None;
    let mut rest = line;
    while let Some((&byte, mut after)) = rest.split_first() {
        match (quote, byte) {
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, blank) if blank.is_ascii_whitespace() => return Ok((word, rest)),
            (Some(quoted), quote_end) if quoted == quote_end => {
                // As in Redis, a closing quote ends its word: `"a"b` is a slip, not a word.
                let ends = after.first().is_none_or(u8::is_ascii_whitespace);
                return if ends {
                    Ok((word, after))
                } else {
                    Err(UNBALANCED)
                };
            }
            (Some(quoted), b'\\') if quoted == b'"' || after.first() == Some(&b'\'') => {
                let (&escaped, behind) = after.split_first().ok_or(UNBALANCED)?;
                after = behind;
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    other => other,
                });
            }
            _ => word.push(byte),
        }
        rest = after;
    }
    if quote.is_none() {
        Ok((word, rest))
    } else {
        Err(UNBALANCED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands(bytes: &[u8]) -> Result<Vec<Vec<Bytes>>, Malformed> {
        let mut reader = CommandReader::new(100);
        reader.feed(bytes);
        std::iter::from_fn(|| reader.pull().transpose()).collect()
    }

    fn words(words: &[&'static str]) -> Vec<Bytes> {
        words
            .iter()
            .map(|word| Bytes::from_static(word.as_bytes()))
            .collect()
    }

    #[test]
    fn arrays_and_lines_are_commands_and_empty_ones_are_skipped() {
        let bytes =
            b"*2\r\n$3\r\nGET\r\n$2\r\n\r\n\r\n\r\n*0\r\n*-1\r\n\n  \r\nPING\r\nGET a\n*1\r\n";
        let expected = vec![
            words(&["GET", "\r\n"]),
            words(&["PING"]),
            words(&["GET", "a"]),
        ];
        assert_eq!(commands(bytes), Ok(expected));
    }

    #[test]
    fn an_inline_command_may_quote_blanks() {
        let bytes = br#"SET  "a \"b\\\n" 'it\'s \n' c"d e" """#;
        let expected = vec![words(&["SET", "a \"b\\\n", "it's \\n", "cd e", ""])];
        assert_eq!(commands(&[bytes, &b"\r\n"[..]].concat()), Ok(expected));
        for bytes in [
            &b"SET \"a\r\n"[..],
            b"SET 'a\n",
            b"SET \"a\"b\n",
            b"SET \"a\\\n",
        ] {
            assert!(
                matches!(commands(bytes), Err(Malformed::Syntax(_))),
                "{}",
                bytes.escape_ascii()
            );
        }
    }

    #[test]
    fn a_command_is_bounded_before_anything_is_reserved() {
        assert_eq!(commands(b"*65537\r\n"), Err(Malformed::TooMany));
        assert_eq!(commands(b"*1\r\n$101\r\n"), Err(Malformed::TooLong));
        let second = [&b"*2\r\n$60\r\n"[..], &[b'x'; 60], b"\r\n$41\r\n"].concat();
        assert_eq!(commands(&second), Err(Malformed::TooLong));
        assert_eq!(commands(&[b'x'; 102]), Err(Malformed::TooLong));
    }

    #[test]
    fn what_is_no_command_is_malformed() {
        for bytes in [
            &b"*1\r\n:1\r\n"[..],
            b"*x\r\n",
            b"*1\r\n$-1\r\n",
            b"*1\r\n$1\r\nabc",
            b"*1\r\n\r\n",
        ] {
            assert!(
                matches!(commands(bytes), Err(Malformed::Syntax(_))),
                "{}",
                bytes.escape_ascii()
            );
        }
    }

    #[test]
    fn a_browser_that_was_talked_into_a_request_is_refused() {
        let request = b"POST / HTTP/1.1\r\nHost: localhost:6379\r\n\r\nPUBLISH c m\r\n";
        assert_eq!(commands(request), Err(Malformed::Syntax("an HTTP request")));
        let mut reader = CommandReader::new(100);
        reader.feed(b"GET / HTTP/1.1\r\nHost: localhost:6379\r\n\r\nPUBLISH c m\r\n");
        assert_eq!(reader.pull(), Ok(Some(words(&["GET", "/", "HTTP/1.1"]))));
        assert!(reader.pull().is_err());
        assert!(reader.pull().is_err());
    }
}
