//! Lists of names with wildcards, such as those of environment variables.

use std::fmt;

/// A list of names, in which `*` stands for any run of characters, also an empty one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    patterns: Vec<String>,
    /// Upper and lower case (of ASCII) are the same.
    any_case: bool,
}

impl Names {
    /// The list as it was written.
    pub fn new(patterns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { patterns: patterns.into_iter().map(Into::into).collect(), any_case: false }
    }

    /// The same list, where upper and lower case are the same.
    pub fn in_any_case(self) -> Self {
        Self { any_case: true, ..self }
    }

    /// Whether `name` is one of them.
    pub fn contains(&self, name: &str) -> bool {
        let is_it = |pattern: &String| match self.any_case {
            true => matches(&pattern.to_ascii_lowercase(), &name.to_ascii_lowercase()),
            false => matches(pattern, name),
        };
        self.patterns.iter().any(is_it)
    }

    /// Those that are no names of variables, nor patterns of such: with what a shell or another list has there (`$`, `=`, `?`, a comma).
    pub fn of_nothing(&self) -> impl Iterator<Item = &str> {
        let foreign = |c: char| c.is_whitespace() || "$={}[]?,;:'\"".contains(c);
        self.patterns.iter().map(String::as_str).filter(move |pattern| pattern.contains(foreign))
    }

    /// The list as it was written.
    pub fn patterns(&self) -> &[String] {
        &self.patterns
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.patterns.join(", "))
    }
}

/// Whether `text` is what `pattern` means. Takes time proportional to the product of both lengths, at most.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = pieces.next_back() else { return rest.is_empty() };
    for piece in pieces {
        let Some(at) = rest.find(piece) else { return false };
        rest = rest.get(at + piece.len()..).unwrap_or_default();
    }
    rest.ends_with(last)
}

/// Length of the shortest beginning of `text` that is what `pattern` means: each piece is taken where it comes first. Takes time
/// proportional to the length of the text for each piece, at most.
pub(super) fn shortest_match(pattern: &str, text: &str) -> Option<usize> {
    let mut pieces = pattern.split('*');
    let mut end = pieces.next().filter(|first| text.starts_with(first))?.len();
    for piece in pieces {
        end = end.checked_add(text.get(end..)?.find(piece)?)?.checked_add(piece.len())?;
    }
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_match_is_the_first_beginning_that_matches() {
        let texts = ["", "A", "AxByBzC", "x_PASSWORD=y_PASSWORD=z", "añb=ñ=", "--password=--password="];
        for pattern in ["", "A", "A*", "*", "**", "A*B", "A*B*C", "*_PASSWORD=", "--password=", "*=", "ñ*"] {
            for text in texts {
                let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
                let first = ends.into_iter().find(|end| matches(pattern, &text[..*end]));
                assert_eq!(shortest_match(pattern, text), first, "{pattern} {text}");
            }
        }
    }

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, text, expected) in [
            ("LANG", "LANG", true),
            ("LANG", "LANGUAGE", false),
            ("LC_*", "LC_ALL", true),
            ("LC_*", "LC_", true),
            ("*TOKEN*", "GITHUB_TOKEN", true),
            ("*TOKEN*", "TOKENS", true),
            ("*TOKEN*", "github_token", false),
            ("*", "", true),
            ("A*A", "A", false),
            ("A*B*C", "AxByBzC", true),
            ("A*B*C", "ACB", false),
            ("", "", true),
            ("", "x", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
