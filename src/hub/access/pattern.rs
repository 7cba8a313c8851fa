//! Which facilities a pattern names: `*` stands for any characters but a slash, `**` for any; also for none.
//!
//! There are no classes, no alternatives and no escapes: a pattern guards a door, and has to be read by whoever
//! is asked why it stood open. Matching keeps all places that may have been reached and reads the facility once.
//! A matcher that guesses and goes back takes quadratic time and worse for `a*a*a*b`, and the facility is the
//! client's to choose.

/// A pattern, compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    /// What stands before the first star. Nearly all facilities that do not match end here.
    prefix: String,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Byte(u8),
    /// `*`
    Segment,
    /// `**`
    Any,
}

impl Pattern {
    /// Every text is a pattern.
    pub(crate) fn new(text: &str) -> Pattern {
        let (prefix, rest) = text.split_at(text.find('*').unwrap_or(text.len()));
        let mut steps = Vec::with_capacity(rest.len());
        for byte in rest.bytes() {
            match (byte, steps.last_mut()) {
                // A third star says nothing that two do not.
                (b'*', Some(last @ (Step::Segment | Step::Any))) => *last = Step::Any,
                (b'*', _) => steps.push(Step::Segment),
                (byte, _) => steps.push(Step::Byte(byte)),
            }
        }
        Pattern {
            prefix: prefix.to_owned(),
            steps,
        }
    }

    /// Does it name this facility? Letters count as they stand: channels know upper and lower case too.
    pub(crate) fn matches(&self, facility: &str) -> bool {
        let Some(rest) = facility.strip_prefix(&self.prefix) else {
            return false;
        };
        // For each step: may all steps up to it have taken all bytes so far? Bytes are enough: no part of a
        // character of several bytes is a slash or a star.
        let mut reached = vec![false; self.steps.len()];
        let mut before = true;
        for (step, here) in self.steps.iter().zip(&mut reached) {
            *here = before && !matches!(step, Step::Byte(_));
            before = *here;
        }
        let mut untouched = true;
        for byte in rest.bytes() {
            let (mut old_before, mut new_before) = (untouched, false);
            untouched = false;
            for (step, here) in self.steps.iter().zip(&mut reached) {
                let old = *here;
                *here = match step {
                    Step::Byte(expected) => old_before && byte == *expected,
                    Step::Segment => new_before || (old && byte != b'/'),
                    Step::Any => new_before || old,
                };
                (old_before, new_before) = (old, *here);
            }
        }
        reached.last().copied().unwrap_or(untouched)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Pattern;

    #[track_caller]
    fn check(pattern: &str, matching: &[&str], others: &[&str]) {
        let compiled = Pattern::new(pattern);
        for facility in matching {
            assert!(compiled.matches(facility), "{pattern} {facility}");
        }
        for facility in others {
            assert!(!compiled.matches(facility), "{pattern} {facility}");
        }
    }

    #[test]
    fn without_a_star_a_pattern_is_one_facility() {
        check("news", &["news"], &["", "new", "news/", "News", "newsy"]);
        check("", &[""], &["x"]);
        check("a.b[c]?", &["a.b[c]?"], &["axb[c]?", "a.bc"]);
    }

    #[test]
    fn one_star_stays_within_its_segment_and_two_do_not() {
        check(
            "chat/*",
            &["chat/1", "chat/", "chat/ä"],
            &["chat", "chat/1/2", "chats/1", "x/chat/1"],
        );
        check("chat/**", &["chat/", "chat/1", "chat/1/2"], &["chat"]);
        check("**", &["", "a", "a/b"], &[]);
        check("*", &["", "a"], &["a/b"]);
        check(
            "*/admin",
            &["a/admin", "/admin"],
            &["a/b/admin", "admin", "a/admin/"],
        );
        check("**/admin", &["a/b/admin"], &["admin"]);
        check("a*/b*c", &["ax/byc", "a/bc"], &["ax/by/c", "a/b"]);
        check("a***b", &["ab", "a/x/b"], &["a/x"]);
        check("**a*b**c", &["x/ab/c", "aab/c/c"], &["x/a/b/c"]);
    }

    #[test]
    fn a_pattern_made_to_be_slow_is_not() {
        let pattern = Pattern::new(&"a*".repeat(120));
        let facility = "a".repeat(254) + "/";
        // With a matcher that goes back, this test does not end.
        for _ in 0..100 {
            assert!(!pattern.matches(&facility));
        }
    }

    /// What the words of the module say, without a thought for time.
    fn plainly(pattern: &[u8], text: &[u8]) -> bool {
        match pattern {
            [] => text.is_empty(),
            [b'*', b'*', rest @ ..] => (0..=text.len()).any(|at| plainly(rest, &text[at..])),
            [b'*', rest @ ..] => (0..=text.len())
                .take_while(|at| !text[..*at].contains(&b'/'))
                .any(|at| plainly(rest, &text[at..])),
            [first, rest @ ..] => text.first() == Some(first) && plainly(rest, &text[1..]),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2_000, ..ProptestConfig::default() })]

        #[test]
        fn any_pattern_matches_what_its_definition_says(pattern in "[ab/*]{0,8}", text in "[ab/]{0,10}") {
            prop_assert_eq!(
                Pattern::new(&pattern).matches(&text),
                plainly(pattern.as_bytes(), text.as_bytes()),
                "{} {}", pattern, text
            );
        }
    }
}
