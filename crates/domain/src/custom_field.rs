//! Fields that a workspace makes for its contacts (R-310).

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};
use time::Date;
use time::format_description::StaticFormatDescription;
use time::macros::format_description;

use crate::CustomFieldId;

/// The longest text of a field, in characters.
const MAX_TEXT: usize = 1_000;
/// The bytes of a text that are sorted by; databases take no longer keys.
const MAX_KEY: usize = 400;
const DATE: StaticFormatDescription = format_description!("[year]-[month]-[day]");

/// A field that contacts can have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomField {
    /// Its id.
    pub id: CustomFieldId,
    /// Its name, unique in the workspace whatever its case and spacing.
    pub name: String,
    /// What its values are; never changes.
    pub kind: FieldKind,
    /// What can be chosen; empty for every other kind.
    pub options: Vec<String>,
    /// Whether it is offered no more. Its values stay.
    pub archived: bool,
}

/// What the values of a field are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldKind {
    /// Any text of up to 1,000 characters.
    #[default]
    Text,
    /// A number.
    Number,
    /// A day, without time and zone.
    Date,
    /// Yes or no.
    Boolean,
    /// One of the field's options.
    Choice,
}

impl FieldKind {
    /// Every kind.
    pub const ALL: [FieldKind; 5] =
        [FieldKind::Text, FieldKind::Number, FieldKind::Date, FieldKind::Boolean, FieldKind::Choice];

    /// The name used in the API and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            FieldKind::Text => "text",
            FieldKind::Number => "number",
            FieldKind::Date => "date",
            FieldKind::Boolean => "boolean",
            FieldKind::Choice => "choice",
        }
    }

    /// The kind of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// What a contact has in a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldValue {
    /// Any text.
    Text(String),
    /// A number.
    Number(Number),
    /// A day.
    Date(Date),
    /// Yes or no.
    Boolean(bool),
    /// An option, in the field's own writing.
    Choice(String),
}

/// A value that a field does not take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// It is of another kind.
    #[error("`{field}` takes {expected}")]
    Kind {
        /// The field's name.
        field: String,
        /// What it takes, in words.
        expected: &'static str,
    },
    /// It is none of the options.
    #[error("`{field}` takes one of {}", .options.join(", "))]
    Option {
        /// The field's name.
        field: String,
        /// Its options.
        options: Vec<String>,
    },
    /// It is too long.
    #[error("`{field}` takes at most 1,000 characters, and these are {length}")]
    Length {
        /// The field's name.
        field: String,
        /// In characters.
        length: usize,
    },
}

impl CustomField {
    /// A value as the API takes it: text, number or truth; days as `2026-11-20`; `None` for a blank text.
    ///
    /// # Errors
    /// [`FieldError`] names the field and what it takes.
    ///
    /// # Example: options ignore case, and are kept as the field writes them
    ///
    /// ```
    /// # use transom_domain::{CustomField, CustomFieldId, FieldKind, FieldValue, UuidV7};
    /// # use serde_json::json;
    /// let size = CustomField {
    ///     id: CustomFieldId::new(&UuidV7),
    ///     name: "Size".into(),
    ///     kind: FieldKind::Choice,
    ///     options: vec!["S".into(), "M".into()],
    ///     archived: false,
    /// };
    /// assert_eq!(size.read(&json!("m")), Ok(Some(FieldValue::Choice("M".into()))));
    /// assert!(size.read(&json!("XL")).is_err());
    /// ```
    pub fn read(&self, value: &Value) -> Result<Option<FieldValue>, FieldError> {
        let text = value.as_str().map(str::trim);
        if text == Some("") {
            return Ok(None);
        }
        let wrong = |expected| Err(FieldError::Kind { field: self.name.clone(), expected });
        let read = match (self.kind, value, text) {
            (FieldKind::Text, _, Some(text)) => match text.chars().count() {
                length if length > MAX_TEXT => return Err(FieldError::Length { field: self.name.clone(), length }),
                _ => FieldValue::Text(text.to_owned()),
            },
            (FieldKind::Text, ..) => return wrong("a text"),
            (FieldKind::Number, Value::Number(number), _) => FieldValue::Number(number.clone()),
            (FieldKind::Number, ..) => return wrong("a number"),
            (FieldKind::Date, _, Some(text)) => match Date::parse(text, DATE) {
                Ok(date) => FieldValue::Date(date),
                Err(_) => return wrong("a day such as 2026-11-20"),
            },
            (FieldKind::Date, ..) => return wrong("a day such as 2026-11-20"),
            (FieldKind::Boolean, Value::Bool(truth), _) => FieldValue::Boolean(*truth),
            (FieldKind::Boolean, ..) => return wrong("true or false"),
            (FieldKind::Choice, ..) => {
                let known = |text| self.options.iter().find(|option| field_key(option) == field_key(text));
                match text.and_then(known) {
                    Some(option) => FieldValue::Choice(option.clone()),
                    None => {
                        return Err(FieldError::Option { field: self.name.clone(), options: self.options.clone() });
                    }
                }
            }
        };
        Ok(Some(read))
    }

    /// A value as a line of text has it: numbers and truths too, for which `yes` and `no` will do; `None` for a blank text.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_text(&self, text: &str) -> Result<Option<FieldValue>, FieldError> {
        let text = text.trim();
        let value = match (self.kind, text.to_lowercase().as_str()) {
            (FieldKind::Number, _) => serde_json::from_str(text).map_or_else(|_| text.into(), Value::Number),
            (FieldKind::Boolean, "true" | "yes") => true.into(),
            (FieldKind::Boolean, "false" | "no") => false.into(),
            _ => text.into(),
        };
        self.read(&value)
    }
}

impl FieldValue {
    /// A value as [`Display`](fmt::Display) wrote it.
    pub fn of_text(kind: FieldKind, text: &str) -> Option<Self> {
        Some(match kind {
            FieldKind::Text => FieldValue::Text(text.to_owned()),
            FieldKind::Number => FieldValue::Number(serde_json::from_str(text).ok()?),
            FieldKind::Date => FieldValue::Date(Date::parse(text, DATE).ok()?),
            FieldKind::Boolean => FieldValue::Boolean(text.parse().ok()?),
            FieldKind::Choice => FieldValue::Choice(text.to_owned()),
        })
    }

    /// What sort of value it is.
    pub fn kind(&self) -> FieldKind {
        match self {
            FieldValue::Text(_) => FieldKind::Text,
            FieldValue::Number(_) => FieldKind::Number,
            FieldValue::Date(_) => FieldKind::Date,
            FieldValue::Boolean(_) => FieldKind::Boolean,
            FieldValue::Choice(_) => FieldKind::Choice,
        }
    }

    /// It as JSON.
    pub fn json(&self) -> Value {
        match self {
            FieldValue::Text(text) | FieldValue::Choice(text) => Value::String(text.clone()),
            FieldValue::Number(number) => Value::Number(number.clone()),
            FieldValue::Date(_) => Value::String(self.to_string()),
            FieldValue::Boolean(truth) => Value::Bool(*truth),
        }
    }

    /// Bytes that sort as the values of one field do. Only texts that begin with the same 400 bytes share theirs, and numbers
    /// that are the same to 64 bits of floating point.
    pub fn sort_key(&self) -> Vec<u8> {
        match self {
            FieldValue::Number(number) => {
                let bits = number.as_f64().unwrap_or_default().to_bits();
                // IEEE 754: negative numbers sort backwards and before the others.
                let ordered = if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
                ordered.to_be_bytes().to_vec()
            }
            FieldValue::Text(text) | FieldValue::Choice(text) => text.bytes().take(MAX_KEY).collect(),
            FieldValue::Date(_) | FieldValue::Boolean(_) => self.to_string().into_bytes(),
        }
    }
}

impl fmt::Display for FieldValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FieldValue::Text(text) | FieldValue::Choice(text) => f.write_str(text),
            FieldValue::Number(number) => number.fmt(f),
            FieldValue::Date(date) => f.write_str(&date.format(DATE).map_err(|_| fmt::Error)?),
            FieldValue::Boolean(truth) => truth.fmt(f),
        }
    }
}

/// A name as names are compared: in one case, with one space between words.
pub fn field_key(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::UuidV7;
    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::json;

    fn field(kind: FieldKind) -> CustomField {
        let options = if kind == FieldKind::Choice { vec!["Gold".into(), "Silver".into()] } else { Vec::new() };
        CustomField { id: CustomFieldId::new(&UuidV7), name: "It".into(), kind, options, archived: false }
    }

    #[rstest]
    #[case(FieldKind::Text, json!(" A-1 "), "A-1")]
    #[case(FieldKind::Number, json!(3), "3")]
    #[case(FieldKind::Number, json!(-1.5), "-1.5")]
    #[case(FieldKind::Date, json!("2026-02-28"), "2026-02-28")]
    #[case(FieldKind::Boolean, json!(false), "false")]
    #[case(FieldKind::Choice, json!("gold"), "Gold")]
    fn values_are_read_and_survive_text(#[case] kind: FieldKind, #[case] value: Value, #[case] text: &str) {
        let read = field(kind).read(&value).unwrap().unwrap();
        assert_eq!(read.to_string(), text);
        assert_eq!(FieldValue::of_text(kind, text), Some(read.clone()));
        assert_eq!(field(kind).read(&read.json()), Ok(Some(read)));
    }

    #[rstest]
    #[case(FieldKind::Text, json!(3))]
    #[case(FieldKind::Text, json!("x".repeat(1_001)))]
    #[case(FieldKind::Number, json!("3"))]
    #[case(FieldKind::Date, json!("2026-02-30"))]
    #[case(FieldKind::Date, json!("28.02.2026"))]
    #[case(FieldKind::Boolean, json!("yes"))]
    #[case(FieldKind::Choice, json!("Bronze"))]
    fn values_of_another_kind_are_refused(#[case] kind: FieldKind, #[case] value: Value) {
        assert!(field(kind).read(&value).unwrap_err().to_string().contains("`It`"));
    }

    #[test]
    fn a_blank_text_is_no_value() {
        assert!(FieldKind::ALL.into_iter().all(|kind| field(kind).read(&json!("  ")) == Ok(None)));
    }

    proptest! {
        #![proptest_config(ProptestConfig { rng_seed: proptest::test_runner::RngSeed::Fixed(7), ..ProptestConfig::default() })]
        #[test]
        fn numbers_sort_as_their_keys(one in -1.0e12..1.0e12_f64, other in -1.0e12..1.0e12_f64) {
            let key = |number: f64| FieldValue::Number(Number::from_f64(number).unwrap()).sort_key();
            prop_assert_eq!(key(one).cmp(&key(other)), one.partial_cmp(&other).unwrap());
        }
    }
}
