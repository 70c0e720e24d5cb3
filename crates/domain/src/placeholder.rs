//! Texts with `{{places}}`: found, checked and filled; never a template language (reliability.md 17).

use std::collections::{BTreeMap, BTreeSet};

use crate::template::TextParameters;

/// A text cut at its placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placeholders<'t> {
    pieces: Vec<Piece<'t>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece<'t> {
    Words(&'t str),
    Hole(&'t str),
}

/// A text and values that do not go together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// `{{` without `}}`, or an empty or malformed name.
    #[error("`{0}` is no placeholder: use a number such as 1, or a name of letters, digits and underscores")]
    Malformed(String),
    /// Numbers and names in one text.
    #[error("placeholders are either all numbers or all names")]
    Mixed,
    /// Numbers must run from 1 without a gap.
    #[error("placeholder {{{{{missing}}}}} is missing: numbers run from 1 without a gap")]
    Gap {
        /// The first number that is not there.
        missing: usize,
    },
    /// The number of values is wrong.
    #[error("{} and {}", count_needed(*.expected), count_given(*.given))]
    Count {
        /// How many the text has.
        expected: usize,
        /// How many were given.
        given: usize,
    },
    /// Values by place for a text with names, or the other way round.
    #[error("this text takes its parameters {expected}")]
    Sort {
        /// `by name` or `by place`.
        expected: &'static str,
    },
    /// Named values that are missing.
    #[error("no value for {}", .0.join(", "))]
    Missing(Vec<String>),
    /// Named values that the text does not have.
    #[error("the text has no placeholder named {}", .0.join(", "))]
    Unknown(Vec<String>),
    /// An empty value would leave a gap in front of the customer.
    #[error("the value for {0} is empty")]
    Empty(String),
}

fn count_needed(count: usize) -> String {
    match count {
        0 => "no parameter is needed".into(),
        1 => "1 parameter is needed".into(),
        n => format!("{n} parameters are needed"),
    }
}

fn count_given(count: usize) -> String {
    match count {
        0 => "none was given".into(),
        1 => "1 was given".into(),
        n => format!("{n} were given"),
    }
}

impl<'t> Placeholders<'t> {
    /// Finds the placeholders of a platform's template text: numbers from 1 without a gap, or names.
    ///
    /// # Errors
    /// [`TextError`] for a text that no parameters could fit.
    pub fn parse(text: &'t str) -> Result<Self, TextError> {
        let parsed = Self { pieces: cut(text)? };
        let names: BTreeSet<&str> = parsed.names().collect();
        let numbers: BTreeSet<usize> = names.iter().filter_map(|name| name.parse().ok()).collect();
        match numbers.len() {
            0 => {}
            n if n < names.len() => return Err(TextError::Mixed),
            n => {
                if let Some(missing) = (1..=n).find(|i| !numbers.contains(i)) {
                    return Err(TextError::Gap { missing });
                }
            }
        }
        Ok(parsed)
    }

    /// The names or numbers, in order, repeats included.
    pub fn names(&self) -> impl Iterator<Item = &'t str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Hole(name) => Some(*name),
            Piece::Words(_) => None,
        })
    }

    /// Whether the placeholders are names; false for numbers and for none at all.
    pub fn is_named(&self) -> bool {
        self.names().next().is_some_and(|name| name.parse::<usize>().is_err())
    }

    /// The text with every placeholder replaced. Values are taken as they are: braces in them mean nothing.
    ///
    /// # Errors
    /// [`TextError`] when the values are too few, too many, of the other sort, or empty.
    pub fn fill(&self, values: &TextParameters) -> Result<String, TextError> {
        let wanted: BTreeSet<&str> = self.names().collect();
        match values {
            TextParameters::Positional(list) => {
                if self.is_named() {
                    return Err(if list.is_empty() {
                        TextError::Missing(wanted.into_iter().map(str::to_owned).collect())
                    } else {
                        TextError::Sort { expected: "by name" }
                    });
                }
                if list.len() != wanted.len() {
                    return Err(TextError::Count { expected: wanted.len(), given: list.len() });
                }
                self.replace(|name| name.parse::<usize>().ok().and_then(|n| list.get(n.checked_sub(1)?)))
            }
            TextParameters::Named(map) => {
                if !(self.is_named() || wanted.is_empty() && map.is_empty()) {
                    return Err(if wanted.is_empty() {
                        TextError::Unknown(map.keys().cloned().collect())
                    } else {
                        TextError::Sort { expected: "by place" }
                    });
                }
                check_names(&wanted, map)?;
                self.replace(|name| map.get(name))
            }
        }
    }

    fn replace<'v>(&self, value: impl Fn(&str) -> Option<&'v String>) -> Result<String, TextError> {
        let mut filled = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Words(words) => filled.push_str(words),
                Piece::Hole(name) => match value(name) {
                    None => return Err(TextError::Missing(vec![(*name).to_owned()])),
                    Some(value) if value.trim().is_empty() => return Err(TextError::Empty(format!("{{{{{name}}}}}"))),
                    Some(value) => filled.push_str(value),
                },
            }
        }
        Ok(filled)
    }
}

fn check_names(wanted: &BTreeSet<&str>, given: &BTreeMap<String, String>) -> Result<(), TextError> {
    let missing: Vec<String> =
        wanted.iter().filter(|name| !given.contains_key(**name)).map(|name| (*name).to_owned()).collect();
    if !missing.is_empty() {
        return Err(TextError::Missing(missing));
    }
    let unknown: Vec<String> = given.keys().filter(|name| !wanted.contains(name.as_str())).cloned().collect();
    if unknown.is_empty() { Ok(()) } else { Err(TextError::Unknown(unknown)) }
}

fn cut(text: &str) -> Result<Vec<Piece<'_>>, TextError> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, tail)) = after.split_once("}}") else {
            return Err(TextError::Malformed(format!("{{{{{}", after.chars().take(40).collect::<String>())));
        };
        // As the platforms read them: no spaces, and no leading zero in a number.
        let padded = name.len() > 1 && name.starts_with('0') && name.bytes().all(|b| b.is_ascii_digit());
        if name.is_empty() || padded || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(TextError::Malformed(format!("{{{{{}}}}}", name.chars().take(40).collect::<String>())));
        }
        if !before.is_empty() {
            pieces.push(Piece::Words(before));
        }
        pieces.push(Piece::Hole(name));
        rest = tail;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Words(rest));
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn named(pairs: &[(&str, &str)]) -> TextParameters {
        TextParameters::Named(pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect())
    }

    fn places(values: &[&str]) -> TextParameters {
        TextParameters::Positional(values.iter().map(ToString::to_string).collect())
    }

    #[rstest]
    #[case("Hi {{1}} and {{1}}", places(&["Mara"]), Ok("Hi Mara and Mara"))]
    #[case("Hi {{first_name}}", named(&[("first_name", "{{1}}")]), Ok("Hi {{1}}"))]
    #[case("Hi {{ 1 }}", places(&["a"]), Err(TextError::Malformed("{{ 1 }}".into())))]
    #[case("Hi {{01}}", places(&["a"]), Err(TextError::Malformed("{{01}}".into())))]
    #[case("no places", places(&[]), Ok("no places"))]
    #[case("{{1}} {{3}}", places(&["a", "b"]), Err(TextError::Gap { missing: 2 }))]
    #[case("{{1}} {{name}}", places(&["a"]), Err(TextError::Mixed))]
    #[case("{{name}}", places(&["a"]), Err(TextError::Sort { expected: "by name" }))]
    #[case("{{name}}", places(&[]), Err(TextError::Missing(vec!["name".into()])))]
    #[case("{{1}}", places(&["  "]), Err(TextError::Empty("{{1}}".into())))]
    #[case("{{1", places(&["a"]), Err(TextError::Malformed("{{1".into())))]
    #[case("{{a}}", named(&[("a", "x"), ("b", "y")]), Err(TextError::Unknown(vec!["b".into()])))]
    fn texts_are_filled_or_refused(
        #[case] text: &str,
        #[case] values: TextParameters,
        #[case] expected: Result<&str, TextError>,
    ) {
        let filled = Placeholders::parse(text).and_then(|holes| holes.fill(&values));
        assert_eq!(filled, expected.map(str::to_owned));
    }
}
