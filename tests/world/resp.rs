//! RESP by hand, for the model Redis: it must share no mistake with the reader and writer under test.

/// The first whole command in `bytes`, and its length. A gateway sends arrays of bulk strings and nothing else.
pub(crate) fn command(bytes: &[u8]) -> Option<(Vec<Vec<u8>>, usize)> {
    let (count, mut at) = announced(bytes, b'*')?;
    let mut words = Vec::new();
    for _ in 0..count {
        let (length, head) = announced(&bytes[at..], b'$')?;
        at += head;
        let word = bytes.get(at..at + length)?;
        assert_eq!(bytes.get(at + length..at + length + 2)?, b"\r\n");
        words.push(word.to_vec());
        at += length + 2;
    }
    assert!(!words.is_empty(), "an empty command");
    Some((words, at))
}

/// A bulk string.
pub(crate) fn bulk(bytes: &[u8]) -> Vec<u8> {
    [
        format!("${}\r\n", bytes.len()).as_bytes(),
        bytes,
        b"\r\n".as_slice(),
    ]
    .concat()
}

/// An error.
pub(crate) fn error(text: &str) -> Vec<u8> {
    format!("-{text}\r\n").into_bytes()
}

/// An integer.
pub(crate) fn integer(number: usize) -> Vec<u8> {
    format!(":{number}\r\n").into_bytes()
}

/// An aggregate of encoded values: `*` an array, `>` a push, `%` a map of so many pairs.
pub(crate) fn aggregate(kind: char, values: &[Vec<u8>]) -> Vec<u8> {
    let count = if kind == '%' {
        values.len() / 2
    } else {
        values.len()
    };
    [format!("{kind}{count}\r\n").into_bytes(), values.concat()].concat()
}

/// A pub/sub message.
pub(crate) fn message(channel: &[u8], payload: &[u8]) -> Vec<u8> {
    aggregate('>', &[bulk(b"message"), bulk(channel), bulk(payload)])
}

/// A line that announces a length: the length, and that of the line.
fn announced(bytes: &[u8], kind: u8) -> Option<(usize, usize)> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    assert_eq!(bytes[0], kind, "{:?}", String::from_utf8_lossy(bytes));
    let digits = std::str::from_utf8(&bytes[1..end]).unwrap();
    Some((digits.parse().unwrap(), end + 2))
}
