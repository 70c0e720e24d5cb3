//! Reads TOML tables key by key and collects everything that is wrong, each with its line.

use std::ops::Range;

use time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::moment::Moment;
use crate::policies::Problem;

/// What was found wrong so far.
pub(super) struct Problems<'a> {
    file: &'a str,
    text: &'a str,
    found: Vec<(usize, String)>,
}

impl<'a> Problems<'a> {
    pub(super) fn new(file: &'a str, text: &'a str) -> Self {
        Self { file, text, found: Vec::new() }
    }

    /// Notes a problem at a place in the text.
    pub(super) fn at(&mut self, span: &Range<usize>, reason: impl Into<String>) {
        let before = self.text.as_bytes().iter().take(span.start);
        let line = 1 + before.filter(|byte| **byte == b'\n').count();
        self.found.push((line, reason.into()));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The problems in the order of the file.
    pub(super) fn into_list(mut self) -> Vec<Problem> {
        self.found.sort_by_key(|(line, _)| *line);
        self.found.into_iter().map(|(line, reason)| Problem { file: self.file.to_owned(), line, reason }).collect()
    }
}

/// A value with its place.
pub(super) type Value<'t> = (&'t DeValue<'t>, Range<usize>);

/// A table being read. What is not taken out of it is unknown.
pub(super) struct Table<'t> {
    entries: Vec<(&'t str, Range<usize>, Value<'t>)>,
    asked: Vec<&'static str>,
    pub(super) span: Range<usize>,
}

impl<'t> Table<'t> {
    pub(super) fn new(table: &'t DeTable<'t>, span: Range<usize>) -> Self {
        let mut entries: Vec<_> = table
            .iter()
            .map(|(key, value)| (key.get_ref().as_ref(), key.span(), (value.get_ref(), value.span())))
            .collect();
        entries.sort_by_key(|(_, span, _)| span.start);
        Self { entries, asked: Vec::new(), span }
    }

    /// The table that a value is, or a problem.
    pub(super) fn of(value: Value<'t>, what: &str, problems: &mut Problems<'_>) -> Option<Self> {
        let (value, span) = value;
        let table = value.as_table();
        if table.is_none() {
            problems.at(&span, format!("`{what}` must be a table, not {}", kind_of(value)));
        }
        Some(Self::new(table?, span))
    }

    /// The entries in the order of the file, for tables whose keys are names that the policy chooses.
    pub(super) fn into_entries(self) -> impl Iterator<Item = (&'t str, Range<usize>, Value<'t>)> {
        self.entries.into_iter()
    }

    /// Takes the value of a key out, if it is there.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Value<'t>> {
        self.asked.push(key);
        let position = self.entries.iter().position(|(name, ..)| *name == key)?;
        Some(self.entries.remove(position).2)
    }

    /// Takes a text out.
    pub(super) fn text(&mut self, key: &'static str, problems: &mut Problems<'_>) -> Option<(&'t str, Range<usize>)> {
        let (value, span) = self.take(key)?;
        let text = value.as_str();
        if text.is_none() {
            problems.at(&span, format!("`{key}` must be a text, not {}", kind_of(value)));
        }
        Some((text?, span))
    }

    /// Takes out a text that must be there and say something.
    pub(super) fn required_text(&mut self, key: &'static str, problems: &mut Problems<'_>) -> Box<str> {
        let known = problems.found.len();
        match self.text(key, problems) {
            Some((text, _)) if !text.trim().is_empty() => text.into(),
            Some((_, span)) => {
                problems.at(&span, format!("`{key}` is empty"));
                Box::default()
            }
            None if problems.found.len() > known => Box::default(),
            None => {
                problems.at(&self.span, format!("`{key}` is missing"));
                Box::default()
            }
        }
    }

    /// Takes a list of texts out; a single text is a list of one.
    pub(super) fn texts(
        &mut self,
        key: &'static str,
        problems: &mut Problems<'_>,
    ) -> Option<Vec<(&'t str, Range<usize>)>> {
        let (value, span) = self.take(key)?;
        Some(list(value, span, key, problems))
    }

    pub(super) fn number(&mut self, key: &'static str, problems: &mut Problems<'_>) -> Option<u32> {
        let (value, span) = self.take(key)?;
        number(value, &span, key, problems)
    }

    pub(super) fn numbers(&mut self, key: &'static str, problems: &mut Problems<'_>) -> Vec<u32> {
        let Some((value, span)) = self.take(key) else { return Vec::new() };
        let Some(array) = value.as_array() else {
            problems.at(&span, format!("`{key}` must be a list of numbers, not {}", kind_of(value)));
            return Vec::new();
        };
        array.iter().filter_map(|item| number(item.get_ref(), &item.span(), key, problems)).collect()
    }

    pub(super) fn flag(&mut self, key: &'static str, problems: &mut Problems<'_>) -> Option<bool> {
        let (value, span) = self.take(key)?;
        let flag = value.as_bool();
        if flag.is_none() {
            problems.at(&span, format!("`{key}` must be true or false, not {}", kind_of(value)));
        }
        flag
    }

    /// Takes a span of time out, such as `24h`.
    pub(super) fn duration(&mut self, key: &'static str, problems: &mut Problems<'_>) -> Option<Duration> {
        let (text, span) = self.text(key, problems)?;
        duration(text, &span, key, problems)
    }

    /// Takes an instant out: a TOML date-time with an offset.
    pub(super) fn instant(&mut self, key: &'static str, problems: &mut Problems<'_>) -> Option<Moment> {
        let (value, span) = self.take(key)?;
        let instant = value.as_datetime().filter(|at| at.offset.is_some()).and_then(|at| {
            let text = at.to_string();
            time::OffsetDateTime::parse(&text, &time::format_description::well_known::Rfc3339).ok()
        });
        if instant.is_none() {
            problems.at(&span, format!("`{key}` must be an instant with its offset, such as 2026-04-27T00:00:00Z"));
        }
        Some(Moment::from(instant?))
    }

    /// Reports what nobody asked for.
    pub(super) fn finish(self, problems: &mut Problems<'_>) {
        for (key, span, _) in &self.entries {
            let known = crate::vocabulary::one_of(self.asked.iter().copied());
            problems.at(span, format!("unknown key `{key}`: {known} is expected here"));
        }
    }
}

/// The texts of a list, or of a single text.
pub(super) fn list<'t>(
    value: &'t DeValue<'t>,
    span: Range<usize>,
    key: &str,
    problems: &mut Problems<'_>,
) -> Vec<(&'t str, Range<usize>)> {
    if let Some(text) = value.as_str() {
        return vec![(text, span)];
    }
    let Some(array) = value.as_array() else {
        problems.at(&span, format!("`{key}` must be a list of texts, not {}", kind_of(value)));
        return Vec::new();
    };
    let mut texts = Vec::new();
    for item in array {
        match Spanned::get_ref(item).as_str() {
            Some(text) if texts.iter().any(|(known, _)| *known == text) => {
                problems.at(&item.span(), format!("`{key}` lists `{text}` twice"));
            }
            Some(text) => texts.push((text, item.span())),
            None => problems.at(&item.span(), format!("`{key}` must list texts only")),
        }
    }
    texts
}

fn number(value: &DeValue<'_>, span: &Range<usize>, key: &str, problems: &mut Problems<'_>) -> Option<u32> {
    let number = value.as_integer().and_then(|number| u32::from_str_radix(number.as_str(), number.radix()).ok());
    if number.is_none() {
        problems.at(span, format!("`{key}` must be a whole number from 0 to {}", u32::MAX));
    }
    number
}

/// A span such as `24h`: a whole number and `s`, `m`, `h` or `d`, more than nothing and at most ten years.
pub(super) fn duration(text: &str, span: &Range<usize>, key: &str, problems: &mut Problems<'_>) -> Option<Duration> {
    let unit = text.char_indices().last().and_then(|(at, unit)| {
        let seconds = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => return None,
        };
        Some((text.get(..at)?, seconds))
    });
    let seconds = unit
        .filter(|(digits, _)| digits.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|(digits, unit)| digits.parse::<i64>().ok()?.checked_mul(unit));
    match seconds {
        None => {
            problems
                .at(span, format!("`{key}` must be a span such as \"50s\", \"5m\", \"24h\" or \"7d\", not `{text}`"));
            None
        }
        Some(0) => {
            problems.at(span, format!("`{key}` is zero: a span must last"));
            None
        }
        Some(seconds) if seconds > 3_653 * 86_400 => {
            problems.at(span, format!("`{key}` is more than ten years: leave it out if there is no end"));
            None
        }
        Some(seconds) => Some(Duration::seconds(seconds)),
    }
}

fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
