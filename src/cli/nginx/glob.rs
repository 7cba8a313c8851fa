//! The patterns of `include`, as glob(3) has them: `*`, `?` and `[a-z]`, each within one name of a path.

use std::fs;
use std::path::{Component, Path, PathBuf};

/// Does it name any files that fit, and not one file?
pub(super) fn is_pattern(word: &str) -> bool {
    word.contains(['*', '?', '['])
}

/// The paths that exist and fit, in order.
pub(super) fn matching(pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for component in pattern.components() {
        let name = component.as_os_str().to_string_lossy();
        if !matches!(component, Component::Normal(_)) || !is_pattern(&name) {
            found.iter_mut().for_each(|path| path.push(component));
            continue;
        }
        let entries = found.iter().filter_map(|folder| {
            let here = Path::new(".");
            let read = if folder.as_os_str().is_empty() {
                here
            } else {
                folder
            };
            Some((folder, fs::read_dir(read).ok()?))
        });
        let fitting = entries.flat_map(|(folder, entries)| {
            entries
                .flatten()
                .filter(|entry| fits(&name, &entry.file_name().to_string_lossy()))
                .map(|entry| folder.join(entry.file_name()))
        });
        found = fitting.collect();
    }
    found.retain(|path| path.exists());
    found.sort();
    found
}

fn fits(pattern: &str, name: &str) -> bool {
    // glob(3): a leading dot is matched by a dot alone.
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    // `reached[n]`: may the pattern so far have taken the first n characters? No guess is taken back, so a
    // pattern of stars costs the product of the lengths and not a power.
    let mut reached = vec![false; name.len() + 1];
    reached[0] = true;
    let mut rest = pattern.as_slice();
    while let Some((&first, after)) = rest.split_first() {
        if first == '*' {
            let first_reached = reached.iter().position(|reached| *reached);
            let from = first_reached.unwrap_or(reached.len());
            reached
                .iter_mut()
                .skip(from)
                .for_each(|reached| *reached = true);
            rest = after;
            continue;
        }
        let (one, after) = One::new(first, after);
        for (at, c) in name.iter().enumerate().rev() {
            reached[at + 1] = reached[at] && one.fits(*c);
        }
        reached[0] = false;
        rest = after;
    }
    reached[name.len()]
}

/// What stands for one character.
enum One<'a> {
    Any,
    This(char),
    Class { not: bool, class: &'a [char] },
}

impl One<'_> {
    fn new(first: char, after: &[char]) -> (One<'_>, &[char]) {
        match (first, after) {
            ('?', _) => (One::Any, after),
            ('[', _) => {
                let (not, class) = match after {
                    ['!' | '^', class @ ..] => (true, class),
                    class => (false, class),
                };
                // A bracket in the first place is one of the class.
                let closing = class.iter().skip(1).position(|c| *c == ']');
                match closing.and_then(|at| Some((class.get(..=at)?, class.get(at + 2..)?))) {
                    Some((class, rest)) => (One::Class { not, class }, rest),
                    None => (One::This('['), after),
                }
            }
            ('\\', [literal, rest @ ..]) => (One::This(*literal), rest),
            (literal, _) => (One::This(literal), after),
        }
    }

    fn fits(&self, c: char) -> bool {
        match self {
            One::Any => true,
            One::This(this) => *this == c,
            One::Class { not, class } => {
                let mut rest = *class;
                let mut hit = false;
                while let Some((&low, after)) = rest.split_first() {
                    (hit, rest) = match after {
                        ['-', high, after @ ..] => (hit || (low..=*high).contains(&c), after),
                        _ => (hit || low == c, after),
                    };
                }
                hit != *not
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn patterns_fit_as_those_of_a_shell_do() {
        for (pattern, fitting, others) in [
            ("*", &["a", "a.b", "\u{e4}"][..], &[".a"][..]),
            (
                "*.conf",
                &["a.conf", "a.conf.conf"],
                &["a.conf.bak", ".a.conf", "conf"],
            ),
            (".*", &[".a"], &["a"]),
            ("a?c", &["abc", "a?c"], &["ac", "abbc"]),
            ("[0-9][0-9]*", &["10-x", "00"], &["1x", "x10"]),
            ("[!a-c]x", &["dx", "-x"], &["ax", "x"]),
            ("[]x]", &["]", "x"], &["[", "]x"]),
            ("[a", &["[a"], &["a"]),
            ("a\\*", &["a*"], &["ab"]),
            ("a*b*c", &["abc", "axxbyyc"], &["ab", "acb"]),
        ] {
            for name in fitting {
                assert!(fits(pattern, name), "{pattern} {name}");
            }
            for name in others {
                assert!(!fits(pattern, name), "{pattern} {name}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_pattern_has_an_answer_and_a_plain_name_fits_itself(
            pattern in "[a-c*?\\[\\]!^\\\\-]{0,30}",
            name in "[a-c-]{0,30}",
        ) {
            fits(&pattern, &name);
            prop_assert!(fits(&name, &name));
            let stars = format!("*{name}*");
            prop_assert!(fits(&stars, &name));
        }
    }
}
