//! One language for searches: `status:closed label:vip platform:whatsapp "jane d"` (docs/searching.md).
//!
//! A [text](SearchText) is taken apart without a look at anything; then its values are [resolved](Names) among what the
//! workspace has, and become the conditions of a [`ConversationQuery`] or a [`ContactQuery`]. Lists, bulk changes, exports and
//! audiences read the same text.

mod fields;
mod names;
mod resolve;
mod text;

use std::fmt;

use time::OffsetDateTime;
use transom_storage::{ContactCondition, ContactQuery, ConversationCondition, ConversationQuery, Filter};

pub use fields::{Field, Subject};
pub use names::Names;
pub use text::{Clause, MAX_CHARS, MAX_CLAUSES, Place, SearchText, Word};

use crate::authorise::Caller;
use crate::{Desk, DeskError};

/// Why a search can't be read, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchError {
    /// The number of the character, from 1.
    pub at: usize,
    problem: Problem,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Problem {
    TooLong,
    TooManyClauses,
    OpenQuote,
    EmptyQuote,
    ExcludedWords,
    NoSpace,
    UnknownField(String),
    UnknownCustom { name: String, expected: String },
    NotOf(Field, Subject),
    NotExcludable(Field),
    NoValue(String),
    OneValue(Field),
    UnknownValue { field: String, value: String, expected: String },
}

impl SearchError {
    fn new(at: usize, problem: Problem) -> Self {
        Self { at, problem }
    }

    fn value(field: Field, word: &Word, expected: impl Into<String>) -> Self {
        Self::value_of(field.name(), word, expected)
    }

    fn value_of(field: &str, word: &Word, expected: impl Into<String>) -> Self {
        let problem =
            Problem::UnknownValue { field: field.to_owned(), value: word.text.clone(), expected: expected.into() };
        Self::new(word.at.0, problem)
    }
}

impl fmt::Display for SearchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at character {}: ", self.at)?;
        match &self.problem {
            Problem::TooLong => write!(f, "a search has at most {MAX_CHARS} characters"),
            Problem::TooManyClauses => write!(f, "a search has at most {MAX_CLAUSES} clauses"),
            Problem::OpenQuote => f.write_str("the quote is not closed"),
            Problem::EmptyQuote => f.write_str("there is nothing between the quotes"),
            Problem::ExcludedWords => f.write_str("words can't be excluded, only fields, as in `-label:vip`"),
            Problem::NoSpace => f.write_str("a space is missing before this"),
            Problem::UnknownField(name) => write!(
                f,
                "there is no field `{name}`: use one of {}, or put quotes around text that is looked for",
                Field::names_of(None)
            ),
            Problem::NotOf(field, subject) => write!(
                f,
                "{} have no field `{}`: use one of {}",
                match subject {
                    Subject::Conversations => "conversations",
                    Subject::Contacts => "contacts",
                },
                field.name(),
                Field::names_of(Some(*subject))
            ),
            Problem::NotExcludable(field) => write!(f, "`{}` can't be excluded", field.name()),
            Problem::UnknownCustom { name, expected } => {
                write!(f, "there is no custom field `{name}`: {expected}")
            }
            Problem::NoValue(field) => write!(f, "`{field}` needs a value"),
            Problem::OneValue(field) => write!(f, "`{}` takes one value", field.name()),
            Problem::UnknownValue { field, value, expected } => {
                write!(f, "`{value}` is no value of `{field}`: {expected}")
            }
        }
    }
}

impl std::error::Error for SearchError {}

impl From<SearchError> for DeskError {
    fn from(error: SearchError) -> Self {
        DeskError::Invalid { code: "search_invalid", field: None, detail: error.to_string() }
    }
}

/// The conditions that a search sets for conversations.
///
/// # Errors
/// [`SearchError`] for a text that can't be read, or a value that the workspace does not have.
pub fn conversations(text: &str, names: &Names) -> Result<Vec<Filter<ConversationCondition>>, SearchError> {
    resolve::conversations(&SearchText::parse(text)?, names)
}

/// The conditions that a search sets for contacts.
///
/// # Errors
/// As [`conversations`].
pub fn contacts(text: &str, names: &Names) -> Result<Vec<Filter<ContactCondition>>, SearchError> {
    resolve::contacts(&SearchText::parse(text)?, names)
}

/// The conversations that a search finds, for whoever searches, as of `now`; the newest first, 50 a page.
///
/// # Errors
/// [`DeskError::Invalid`] with `search_invalid`, which says where and why.
pub async fn conversation_query(
    desk: &Desk,
    caller: &Caller,
    text: &str,
    now: OffsetDateTime,
) -> Result<ConversationQuery, DeskError> {
    let search = SearchText::parse(text)?;
    let names = Names::load(desk, caller, &search, now).await?;
    Ok(ConversationQuery { filters: resolve::conversations(&search, &names)?, ..ConversationQuery::new(now) })
}

/// The contacts that a search finds, the newest first, 50 a page.
///
/// # Errors
/// As [`conversation_query`].
pub async fn contact_query(desk: &Desk, caller: &Caller, text: &str) -> Result<ContactQuery, DeskError> {
    let search = SearchText::parse(text)?;
    let names = Names::load(desk, caller, &search, desk.now()).await?;
    Ok(ContactQuery { filters: resolve::contacts(&search, &names)?, limit: 50, ..ContactQuery::default() })
}
