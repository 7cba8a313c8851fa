//! The chunked transfer coding (RFC 9112 7.1), decoded as it arrives.

use super::response::Malformed;

/// A body in chunks. What surrounds the data has a bound of its own: sixty thousand chunks of one byte, each
/// with a long extension, would otherwise be megabytes of work for a small body.
#[derive(Debug)]
pub(super) struct Chunks {
    part: Part,
    /// The part of a line that has come.
    line: Vec<u8>,
    /// Bytes that lines may still take.
    framing_left: usize,
}

/// What comes next.
#[derive(Debug, Clone, Copy)]
enum Part {
    Size,
    /// So many bytes of data.
    Data(usize),
    DataEnd,
    /// Fields behind the last chunk, which say nothing to us, and an empty line.
    Trailer,
}

/// Is there more to come?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    More,
    Ended,
}

impl Chunks {
    pub(super) fn new(framing_bytes_max: usize) -> Chunks {
        Chunks {
            part: Part::Size,
            line: Vec::new(),
            framing_left: framing_bytes_max,
        }
    }

    /// Takes from the front of `bytes` what belongs to the body and adds its data to `body`.
    pub(super) fn feed(
        &mut self,
        bytes: &mut &[u8],
        body: &mut Vec<u8>,
        body_bytes_max: usize,
    ) -> Result<Progress, Malformed> {
        while !bytes.is_empty() {
            if let Part::Data(left) = self.part {
                let (data, rest) = bytes.split_at(left.min(bytes.len()));
                body.extend_from_slice(data);
                *bytes = rest;
                self.part = match left - data.len() {
                    0 => Part::DataEnd,
                    left => Part::Data(left),
                };
                continue;
            }
            let Some(line) = self.line(bytes)? else {
                break;
            };
            let content = line.strip_suffix(b"\r\n").ok_or(Malformed::Syntax(
                "a line of a chunked body ends without CR",
            ))?;
            self.part = match self.part {
                Part::Size => match size(&line)? {
                    0 => Part::Trailer,
                    size if size > body_bytes_max - body.len() => {
                        return Err(Malformed::BodyTooLong);
                    }
                    size => Part::Data(size),
                },
                Part::DataEnd if content.is_empty() => Part::Size,
                Part::DataEnd => return Err(Malformed::Syntax("a chunk is longer than its size")),
                Part::Trailer if content.is_empty() => return Ok(Progress::Ended),
                part => part,
            };
        }
        Ok(Progress::More)
    }

    /// The line at the front, with its end, once that has come.
    fn line(&mut self, bytes: &mut &[u8]) -> Result<Option<Vec<u8>>, Malformed> {
        let end = bytes.iter().position(|&byte| byte == b'\n');
        let (taken, rest) = bytes.split_at(end.map_or(bytes.len(), |end| end + 1));
        self.framing_left = self
            .framing_left
            .checked_sub(taken.len())
            .ok_or(Malformed::BodyTooLong)?;
        self.line.extend_from_slice(taken);
        *bytes = rest;
        Ok(end.map(|_| std::mem::take(&mut self.line)))
    }
}

/// The size in a chunk's first line; its extensions are ignored (RFC 9112 7.1.1).
fn size(line: &[u8]) -> Result<usize, Malformed> {
    const NO_SIZE: Malformed = Malformed::Syntax("a chunk begins without its size");
    // httparse takes a line without a digit for 0, which would end the body.
    if !line.first().is_some_and(u8::is_ascii_hexdigit) {
        return Err(NO_SIZE);
    }
    match httparse::parse_chunk_size(line) {
        Ok(httparse::Status::Complete((length, size))) if length == line.len() => {
            usize::try_from(size).map_err(|_| Malformed::BodyTooLong)
        }
        _ => Err(NO_SIZE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(mut bytes: &[u8]) -> Result<(Progress, Vec<u8>, usize), Malformed> {
        let mut chunks = Chunks::new(100);
        let mut body = Vec::new();
        let progress = chunks.feed(&mut bytes, &mut body, 20)?;
        Ok((progress, body, bytes.len()))
    }

    #[test]
    fn chunks_are_joined_and_what_follows_them_is_left() {
        let bytes = b"3\r\nabc\r\nA ; x=\"y\"\r\n0123456789\r\n00\r\nExpires: never\r\n\r\nrest";
        assert_eq!(
            decode(bytes),
            Ok((Progress::Ended, b"abc0123456789".to_vec(), 4))
        );
        assert_eq!(decode(b"0\r\n\r\n"), Ok((Progress::Ended, vec![], 0)));
        assert_eq!(
            decode(b"3\r\nabc\r\n"),
            Ok((Progress::More, b"abc".to_vec(), 0))
        );
    }

    #[test]
    fn a_chunk_whose_size_is_in_doubt_is_refused() {
        for bytes in [
            &b"\r\n\r\n"[..],
            b";x\r\n\r\n",
            b" 3\r\nabc\r\n",
            b"-3\r\n",
            b"+3\r\n",
            b"0x3\r\n",
            b"3 3\r\n",
            b"g\r\n",
            b"3\nabc\r\n0\r\n\r\n",
            b"3\r\nabcd\r\n",
            b"3\r\nabc\n0\r\n\r\n",
            b"0\r\n\n",
            b"3;\rx\r\nabc",
        ] {
            let decoded = decode(bytes);
            assert!(
                matches!(decoded, Err(Malformed::Syntax(_))),
                "{}: {decoded:?}",
                bytes.escape_ascii()
            );
        }
    }

    #[test]
    fn data_and_what_surrounds_it_each_have_a_bound() {
        for bytes in [
            b"15\r\n".to_vec(),
            b"14\r\n01234567890123456789\r\n1\r\n".to_vec(),
            b"ffffffffffffffff\r\n".to_vec(),
            [&b"1;"[..], &[b'x'; 100]].concat(),
            b"1;xxxxxxxxxxxxxxxx\r\na\r\n".repeat(10),
            [&b"0\r\n"[..], &b"A: b\r\n".repeat(20)].concat(),
        ] {
            assert_eq!(
                decode(&bytes),
                Err(Malformed::BodyTooLong),
                "{}",
                bytes.escape_ascii()
            );
        }
        assert!(decode(b"14\r\n01234567890123456789\r\n0\r\n\r\n").is_ok());
    }
}
