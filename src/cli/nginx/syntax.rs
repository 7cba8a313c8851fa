//! nginx' configuration language: words, blocks, comments, quotes. What the words mean is nobody's business here.
//!
//! As nginx itself reads it: a word ends at a blank, `;` or `{`, so that `#`, `}` and quotes in its middle are part
//! of it; `${name}` opens no block; a backslash keeps whatever follows it from ending a word.

use std::fmt;
use std::path::Path;
use std::rc::Rc;

/// Blocks inside of blocks. nginx' own rules allow six or so; locations may nest, but nobody nests this deep.
const DEPTH_MAX: usize = 16;

/// One directive: `name argument ...;`, or with a block in place of the semicolon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Directive {
    /// Its first word.
    pub(super) name: String,
    /// The others, without quotes and escapes.
    pub(super) arguments: Vec<String>,
    /// What stands in its block; empty where there is none.
    pub(super) block: Vec<Directive>,
    /// Where its name stands.
    pub(super) place: Place,
}

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// As it was named on the command line, or found by an `include`.
    pub(super) file: Rc<Path>,
    /// Counted from 1.
    pub(super) line: usize,
}

/// What is no configuration.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: expected {expected}, found {found}")]
pub(super) struct SyntaxError {
    place: Place,
    expected: String,
    found: &'static str,
}

/// The directives of a file.
pub(super) fn parse(bytes: &[u8], file: &Rc<Path>) -> Result<Vec<Directive>, SyntaxError> {
    let mut lexer = Lexer {
        bytes,
        line: 1,
        file,
    };
    // The blocks that are open, each with what stands before it; no recursion, whatever a file holds.
    let mut open: Vec<(Vec<Directive>, Directive)> = Vec::new();
    let mut directives = Vec::new();
    loop {
        let (place, token) = lexer.next()?;
        let name = match (token, open.pop()) {
            (Token::Word(name), still_open) => {
                open.extend(still_open);
                name
            }
            (Token::Close, Some((before, mut directive))) => {
                directive.block = std::mem::replace(&mut directives, before);
                directives.push(directive);
                continue;
            }
            (Token::End, None) => return Ok(directives),
            (found, Some((_, directive))) => {
                let (name, line) = (&directive.name, directive.place.line);
                let expected = format!("a directive, or the }} of `{name}` in line {line}");
                return Err(place.error(expected, found.name()));
            }
            (found, None) => return Err(place.error("a directive".to_owned(), found.name())),
        };
        let (directive, ends) = lexer.rest_of(place, name)?;
        match ends {
            Ends::Here => directives.push(directive),
            Ends::WithBlock if open.len() < DEPTH_MAX => {
                open.push((std::mem::take(&mut directives), directive));
            }
            Ends::WithBlock => {
                let expected = format!("at most {DEPTH_MAX} blocks inside of each other");
                return Err(directive.place.error(expected, "one more"));
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Semicolon,
    Open,
    Close,
    End,
}

enum Ends {
    Here,
    WithBlock,
}

struct Lexer<'a> {
    /// What is left.
    bytes: &'a [u8],
    line: usize,
    file: &'a Rc<Path>,
}

impl Lexer<'_> {
    /// The directive of this name, up to its `;` or `{`.
    fn rest_of(&mut self, place: Place, name: String) -> Result<(Directive, Ends), SyntaxError> {
        let mut arguments = Vec::new();
        let ends = loop {
            match self.next()? {
                (_, Token::Word(word)) => arguments.push(word),
                (_, Token::Semicolon) => break Ends::Here,
                (_, Token::Open) => break Ends::WithBlock,
                (found_at, found @ (Token::Close | Token::End)) => {
                    // The line that lacks its semicolon is mostly the one before.
                    let expected = format!("; or {{ after `{name}` of line {}", place.line);
                    return Err(found_at.error(expected, found.name()));
                }
            }
        };
        let directive = Directive {
            name,
            arguments,
            block: Vec::new(),
            place,
        };
        Ok((directive, ends))
    }

    fn next(&mut self) -> Result<(Place, Token), SyntaxError> {
        self.skip_blanks();
        let place = Place {
            file: Rc::clone(self.file),
            line: self.line,
        };
        let token = match self.bytes.first() {
            None => Token::End,
            Some(b';') => Token::Semicolon,
            Some(b'{') => Token::Open,
            Some(b'}') => Token::Close,
            Some(&quote @ (b'"' | b'\'')) => {
                let word = self.quoted(quote, &place)?;
                return Ok((place, Token::Word(word)));
            }
            Some(_) => return Ok((place, Token::Word(self.bare()))),
        };
        self.take();
        Ok((place, token))
    }

    fn skip_blanks(&mut self) {
        let mut in_comment = false;
        while let Some(byte) = self.bytes.first() {
            in_comment = (in_comment || *byte == b'#') && *byte != b'\n';
            if !in_comment && !is_blank(*byte) {
                return;
            }
            self.take();
        }
    }

    fn bare(&mut self) -> String {
        let mut word = Vec::new();
        let mut after_dollar = false;
        while let Some(&byte) = self.bytes.first() {
            match byte {
                b';' => break,
                b'{' if !after_dollar => break,
                byte if is_blank(byte) => break,
                _ => self.take_into(&mut word),
            }
            after_dollar = byte == b'$';
        }
        String::from_utf8_lossy(&word).into_owned()
    }

    fn quoted(&mut self, quote: u8, place: &Place) -> Result<String, SyntaxError> {
        self.take();
        let mut word = Vec::new();
        loop {
            match self.bytes.first() {
                None => {
                    let expected = format!("the other {} of this word", char::from(quote));
                    return Err(place.error(expected, Token::End.name()));
                }
                Some(byte) if *byte == quote => break,
                Some(_) => self.take_into(&mut word),
            }
        }
        self.take();
        match self.bytes.first() {
            // A parenthesis closes the condition of an `if`.
            None | Some(b';' | b'{' | b')') => {}
            Some(byte) if is_blank(*byte) => {}
            Some(_) => {
                let place = Place {
                    line: self.line,
                    ..place.clone()
                };
                let expected = "a blank, ; or { after a quote".to_owned();
                return Err(place.error(expected, "more of the word"));
            }
        }
        Ok(String::from_utf8_lossy(&word).into_owned())
    }

    /// One byte into the word, or what a backslash and the byte after it mean.
    fn take_into(&mut self, word: &mut Vec<u8>) {
        let byte = self.take();
        if byte != Some(b'\\') {
            word.extend(byte);
            return;
        }
        match self.take() {
            Some(escaped @ (b'"' | b'\'' | b'\\')) => word.push(escaped),
            Some(b't') => word.push(b'\t'),
            Some(b'r') => word.push(b'\r'),
            Some(b'n') => word.push(b'\n'),
            other => {
                word.push(b'\\');
                word.extend(other);
            }
        }
    }

    fn take(&mut self) -> Option<u8> {
        let (byte, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        self.line += usize::from(*byte == b'\n');
        Some(*byte)
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

impl Token {
    fn name(&self) -> &'static str {
        match self {
            Token::Word(_) => "a word",
            Token::Semicolon => ";",
            Token::Open => "{",
            Token::Close => "}",
            Token::End => "the end of the file",
        }
    }
}

impl Place {
    fn error(&self, expected: String, found: &'static str) -> SyntaxError {
        SyntaxError {
            place: self.clone(),
            expected,
            found,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

impl Directive {
    /// The first argument; empty where there is none.
    pub(super) fn value(&self) -> &str {
        self.arguments.first().map_or("", String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Result<Vec<Directive>, SyntaxError> {
        parse(text.as_bytes(), &Rc::from(Path::new("f")))
    }

    /// As lines of `number|name|argument|...`, blocks indented.
    fn shown(directives: &[Directive], depth: usize, lines: &mut Vec<String>) {
        for directive in directives {
            let words = [&[directive.name.clone()][..], &directive.arguments[..]].concat();
            let line = directive.place.line;
            lines.push(format!("{}{line}|{}", " ".repeat(depth), words.join("|")));
            shown(&directive.block, depth + 1, lines);
        }
    }

    #[track_caller]
    fn assert_parsed(text: &str, expected: &[&str]) {
        let mut lines = Vec::new();
        shown(&parsed(text).unwrap(), 0, &mut lines);
        assert_eq!(lines, expected, "{text}");
    }

    #[test]
    fn words_blocks_comments_and_lines() {
        assert_parsed(
            "# who\nuser www-data; http{\n server { # here\n  listen 80\n  default_server; }\n}",
            &[
                "2|user|www-data",
                "2|http",
                " 3|server",
                "  4|listen|80|default_server",
            ],
        );
        assert_parsed("", &[]);
        assert_parsed("# only\n\t\r\n", &[]);
    }

    #[test]
    fn quotes_and_backslashes_are_read_as_nginx_reads_them() {
        for (text, expected) in [
            (r#"a "b c;{}#" '"';"#, r#"1|a|b c;{}#|""#),
            (r#"a "\"\'\\\t\d";"#, "1|a|\"'\\\t\\d"),
            (r"a b\ c\;d;", r"1|a|b\ c\;d"),
            ("a b#c}d'e\"f;", "1|a|b#c}d'e\"f"),
            ("a ${b}c$d;", "1|a|${b}c$d"),
            (r"location ~ ^/x\d\.php$ ;", r"1|location|~|^/x\d\.php$"),
            ("'' close;", "1||close"),
            ("if ($a = \"b\") ;", "1|if|($a|=|b|)"),
            ("a \"b\nc\" d;", "1|a|b\nc|d"),
        ] {
            assert_parsed(text, &[expected]);
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line_and_what_was_expected() {
        for (text, expected) in [
            (
                "a b\n}",
                "f:2: expected ; or { after `a` of line 1, found }",
            ),
            (
                "a b",
                "f:1: expected ; or { after `a` of line 1, found the end of the file",
            ),
            (
                "\na {\nb;\n",
                "f:4: expected a directive, or the } of `a` in line 2, found the end of the file",
            ),
            ("a;\n}", "f:2: expected a directive, found }"),
            (";", "f:1: expected a directive, found ;"),
            (
                "a { { } }",
                "f:1: expected a directive, or the } of `a` in line 1, found {",
            ),
            (
                "a\n'b;\n",
                "f:2: expected the other ' of this word, found the end of the file",
            ),
            (
                "a \"b\nc\"d;",
                "f:2: expected a blank, ; or { after a quote, found more of the word",
            ),
        ] {
            assert_eq!(parsed(text).unwrap_err().to_string(), expected, "{text:?}");
        }
    }

    #[test]
    fn blocks_nest_as_deep_as_anybody_needs_and_no_deeper() {
        let nested = |depth| format!("{}{}", "a {".repeat(depth), "}".repeat(depth));
        assert!(parsed(&nested(DEPTH_MAX)).is_ok());
        for depth in [DEPTH_MAX + 1, 100_000] {
            let error = parsed(&nested(depth)).unwrap_err().to_string();
            assert!(error.contains("at most 16 blocks"), "{error}");
        }
    }

    fn written(directives: &[Directive]) -> String {
        let quoted =
            |word: &String| format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""));
        let written = directives.iter().map(|directive| {
            let words: Vec<String> = directive.arguments.iter().map(quoted).collect();
            let (name, words) = (quoted(&directive.name), words.join(" "));
            match directive.block.is_empty() {
                true => format!("{name} {words};"),
                false => format!("{name} {words} {{ {} }}", written(&directive.block)),
            }
        });
        written.collect()
    }

    fn any_directives() -> impl Strategy<Value = Vec<Directive>> {
        let words = || proptest::collection::vec("[ -~\\t\u{e4}]{0,8}", 0..4);
        let directive = |(name, arguments, block)| Directive {
            name,
            arguments,
            block,
            place: Place {
                file: Rc::from(Path::new("f")),
                line: 1,
            },
        };
        let leaf = ("[ -~]{0,8}", words(), Just(Vec::new())).prop_map(directive);
        let tree = leaf.prop_recursive(4, 20, 3, move |inner| {
            let block = proptest::collection::vec(inner, 0..3);
            ("[ -~]{0,8}", words(), block).prop_map(directive)
        });
        proptest::collection::vec(tree, 0..3)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes, &Rc::from(Path::new("f")));
        }

        #[test]
        fn anything_that_looks_like_a_configuration_is_read_or_refused(
            text in "([a-z]{1,3}|[ \n]|[;{}#\"'\\\\$)]){0,60}",
        ) {
            let _ = parsed(&text);
        }

        #[test]
        fn what_is_written_in_quotes_is_read_as_it_was(directives in any_directives()) {
            prop_assert_eq!(parsed(&written(&directives)).unwrap(), directives);
        }
    }
}
