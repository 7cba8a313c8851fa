//! Redis' glob patterns: `*`, `?`, `[a-z]`, `[^x]` and `\` before any of them.

/// Does the whole of `text` match?
///
/// Each `*` tries the shortest run first and is forgotten as soon as a later one is reached: what stands between
/// two stars has matched as early as it can. So `a*a*a*...b` against a row of `a` costs the product of the two
/// lengths; trying all runs of all stars would not end.
pub(super) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut pattern, mut text) = (pattern, text);
    // What stands behind the last star, and the text that it may still shift over.
    let mut star: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern, text) {
            ([b'*', rest @ ..], _) => {
                star = Some((rest, text));
                pattern = rest;
                continue;
            }
            ([], []) => return true,
            ([_, ..], []) => return false,
            (_, [byte, after @ ..]) => {
                if let (true, rest) = matches_one(pattern, *byte) {
                    (pattern, text) = (rest, after);
                    continue;
                }
            }
        }
        let Some((rest, [_, shorter @ ..])) = star else {
            return false;
        };
        star = Some((rest, shorter));
        (pattern, text) = (rest, shorter);
    }
}

/// Does the pattern's first element match this byte, and what stands behind that element?
fn matches_one(pattern: &[u8], byte: u8) -> (bool, &[u8]) {
    match pattern {
        [] => (false, pattern),
        [b'?', rest @ ..] => (true, rest),
        [b'[', b'^', class @ ..] => {
            let (hit, rest) = matches_class(class, byte);
            (!hit, rest)
        }
        [b'[', class @ ..] => matches_class(class, byte),
        [b'\\', literal, rest @ ..] | [literal, rest @ ..] => (*literal == byte, rest),
    }
}

/// Is the byte in the class, and what stands behind its bracket? A class that is never closed ends with the
/// pattern, as in Redis.
fn matches_class(class: &[u8], byte: u8) -> (bool, &[u8]) {
    let mut class = class;
    let mut hit = false;
    loop {
        class = match class {
            [] => return (hit, class),
            [b'\\', literal, rest @ ..] => {
                hit |= *literal == byte;
                rest
            }
            [b']', rest @ ..] => return (hit, rest),
            [first, b'-', last, rest @ ..] => {
                hit |= (first.min(last)..=first.max(last)).contains(&&byte);
                rest
            }
            [literal, rest @ ..] => {
                hit |= *literal == byte;
                rest
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_as_in_redis() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "any", true),
            ("a", "a", true),
            ("a", "ab", false),
            ("ab", "a", false),
            ("h?llo", "hello", true),
            ("h?llo", "hllo", false),
            ("h*llo", "heeeello", true),
            ("*:chat", "user:john:chat", true),
            ("user:*:chat", "user:john:chats", false),
            ("*a*b", "xaxbxab", true),
            ("*a*b", "xaxbxa", false),
            ("**", "ab", true),
            ("h[ae]llo", "hallo", true),
            ("h[ae]llo", "hillo", false),
            ("h[^e]llo", "hallo", true),
            ("h[^e]llo", "hello", false),
            ("[a-c]x", "bx", true),
            ("[c-a]x", "bx", true),
            ("[a-c]x", "dx", false),
            ("[a-", "-", true),
            ("[abc", "b", true),
            ("[]x", "x", false),
            ("[\\]]", "]", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("a\\", "a\\", true),
        ] {
            let got = matches(pattern.as_bytes(), text.as_bytes());
            assert_eq!(got, expected, "{pattern:?} against {text:?}");
        }
    }

    #[test]
    fn a_pattern_of_many_stars_ends() {
        let pattern = "a*".repeat(500) + "b";
        assert!(!matches(pattern.as_bytes(), &[b'a'; 5_000]));
    }
}
