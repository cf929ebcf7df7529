//! What was probably meant.

use strsim::osa_distance;

/// The one of `known` that is nearest to `word`, if it is near enough to be a slip of the finger.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted: String = word.to_lowercase().replace('_', "-").chars().take(64).collect();
    let limit = (wanted.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|name| (osa_distance(&wanted, name), name))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        let known = ["path", "reserve", "low-space", "on-failure"];
        for (word, meant) in [
            ("rserve", Some("reserve")),
            ("resevre", Some("reserve")),
            ("low_space", Some("low-space")),
            ("onfailure", Some("on-failure")),
            ("Path", Some("path")),
            ("recipients", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), meant, "{word}");
        }
    }
}
