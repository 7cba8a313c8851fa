//! What is said to Redis, and what the embedded Redis says.

use super::{Protocol, Reply};

/// Appends a command.
pub fn command(out: &mut Vec<u8>, words: &[&[u8]]) {
    head(out, b'*', words.len());
    for word in words {
        bulk(out, word);
    }
}

/// Appends a reply. A map becomes a flat array in RESP2, null a null bulk; an oversize value, which nobody
/// has, an error; any other text a bulk.
pub fn reply(out: &mut Vec<u8>, protocol: Protocol, reply: &Reply) {
    match reply {
        Reply::Simple(text) => line(out, b'+', text),
        Reply::Error(text) => line(out, b'-', text.as_bytes()),
        Reply::Bulk(bytes) | Reply::Other(bytes) => bulk(out, bytes),
        Reply::Integer(number) => line(out, b':', number.to_string().as_bytes()),
        Reply::NullArray if protocol == Protocol::Resp2 => out.extend_from_slice(b"*-1\r\n"),
        Reply::Null | Reply::NullArray => out.extend_from_slice(match protocol {
            Protocol::Resp2 => b"$-1\r\n",
            Protocol::Resp3 => b"_\r\n",
        }),
        Reply::Array(items) => aggregate(out, b'*', protocol, items),
        Reply::Map(pairs) => {
            match protocol {
                Protocol::Resp2 => head(out, b'*', 2 * pairs.len()),
                Protocol::Resp3 => head(out, b'%', pairs.len()),
            }
            for (key, value) in pairs {
                self::reply(out, protocol, key);
                self::reply(out, protocol, value);
            }
        }
        Reply::Oversize(bytes) => {
            line(
                out,
                b'-',
                format!("ERR a value of {bytes} bytes is over the limit").as_bytes(),
            );
        }
    }
}

/// Appends a push (RESP3), or the array that stands for it (RESP2).
pub fn push(out: &mut Vec<u8>, protocol: Protocol, words: &[Reply]) {
    let kind = match protocol {
        Protocol::Resp2 => b'*',
        Protocol::Resp3 => b'>',
    };
    aggregate(out, kind, protocol, words);
}

fn aggregate(out: &mut Vec<u8>, kind: u8, protocol: Protocol, items: &[Reply]) {
    head(out, kind, items.len());
    for item in items {
        reply(out, protocol, item);
    }
}

fn bulk(out: &mut Vec<u8>, bytes: &[u8]) {
    out.reserve(bytes.len() + 16);
    head(out, b'$', bytes.len());
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

/// A line ends at its first CRLF. An error quotes what a client sent, and with a line end in it that client
/// would write the next reply itself; so line ends become blanks.
fn line(out: &mut Vec<u8>, kind: u8, text: &[u8]) {
    out.push(kind);
    out.extend(text.iter().map(|&byte| {
        if matches!(byte, b'\r' | b'\n') {
            b' '
        } else {
            byte
        }
    }));
    out.extend_from_slice(b"\r\n");
}

/// Appends a type byte, a count and CRLF.
fn head(out: &mut Vec<u8>, kind: u8, mut count: usize) {
    let mut digits = [0; 20];
    let mut from = digits.len();
    for digit in digits.iter_mut().rev() {
        // The remainder is below ten.
        *digit = b'0' + (count % 10) as u8;
        count /= 10;
        from -= 1;
        if count == 0 {
            break;
        }
    }
    out.push(kind);
    out.extend_from_slice(&digits[from..]);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_an_array_of_bulks() {
        let mut out = Vec::new();
        command(&mut out, &[b"SET", b"", &[b'x'; 1_234]]);
        let expected = [
            &b"*3\r\n$3\r\nSET\r\n$0\r\n\r\n$1234\r\n"[..],
            &[b'x'; 1_234],
            b"\r\n",
        ];
        assert_eq!(out, expected.concat());
    }

    #[test]
    fn resp2_has_neither_null_nor_map_nor_push() {
        let map = Reply::Map(vec![(Reply::Simple("a".into()), Reply::Null)]);
        let mut out = Vec::new();
        reply(&mut out, Protocol::Resp2, &map);
        push(&mut out, Protocol::Resp2, &[Reply::Integer(i64::MIN)]);
        assert_eq!(out, b"*2\r\n+a\r\n$-1\r\n*1\r\n:-9223372036854775808\r\n");
        out.clear();
        reply(&mut out, Protocol::Resp3, &map);
        push(&mut out, Protocol::Resp3, &[Reply::Integer(1)]);
        assert_eq!(out, b"%1\r\n+a\r\n_\r\n>1\r\n:1\r\n");
    }

    #[test]
    fn an_error_that_quotes_line_ends_stays_one_reply() {
        let mut out = Vec::new();
        reply(
            &mut out,
            Protocol::Resp3,
            &Reply::Error("ERR unknown command 'a\r\n:1'".into()),
        );
        assert_eq!(out, b"-ERR unknown command 'a  :1'\r\n");
    }
}
