//! Did you mean: the nearest of the names that exist.

/// The candidate nearest to `word`, if any is near enough to be a slip of the hand.
pub(super) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // A third of the letters: more, and short words suggest each other at random.
    let far = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= far)
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_of_the_hand_finds_its_name_and_a_strange_word_finds_none() {
        let names = ["listen", "heartbeat", "expire"];
        assert_eq!(nearest("hartbeat", names), Some("heartbeat"));
        assert_eq!(nearest("lisetn", names), Some("listen"));
        assert_eq!(nearest("expires", names), Some("expire"));
        assert_eq!(nearest("tls_certificate", names), None);
    }
}
