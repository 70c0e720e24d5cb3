//! What lists are filtered by: a flat tree of conditions, each of which must hold, or must not.

use time::OffsetDateTime;
use transom_domain::{AgentId, ChannelAccountId, ContactId, CustomFieldId, FieldValue, Tab, TeamId};

use super::lists::WindowState;

/// One condition of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter<C> {
    /// Whether the condition must hold; if not, it must not.
    pub holds: bool,
    /// The condition.
    pub condition: C,
}

impl<C> Filter<C> {
    /// The condition must hold.
    pub fn is(condition: C) -> Self {
        Self { holds: true, condition }
    }

    /// The condition must not hold.
    pub fn is_not(condition: C) -> Self {
        Self { holds: false, condition }
    }
}

/// What may be asked of a conversation. Of several values any will do; of none, none does. Those with a time have no opposite: they
/// are asked as they stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConversationCondition {
    /// In one of these tabs.
    Tab(Vec<Tab>),
    /// Assigned to one of these agents.
    Agent(Vec<AgentId>),
    /// Assigned to one of these teams.
    Team(Vec<TeamId>),
    /// Assigned to nobody.
    Unassigned,
    /// On one of these platforms.
    Platform(Vec<String>),
    /// Over one of these accounts.
    Account(Vec<ChannelAccountId>),
    /// With one of these tags.
    Tag(Vec<String>),
    /// Whose customer last gave one of these scores.
    Score(Vec<u8>),
    /// Whose window is so at the query's `now`.
    Window(WindowState),
    /// Whose window, or free text, ends after the query's `now` and before this.
    ClosingBefore(OffsetDateTime),
    /// The customer wrote, and last wrote before this.
    InboundBefore(OffsetDateTime),
    /// The customer last wrote after this.
    InboundAfter(OffsetDateTime),
    /// With such a customer.
    Contact(ContactCondition),
}

/// What may be asked of a contact. Of several values any will do; of none, none does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContactCondition {
    /// One of these.
    Id(Vec<ContactId>),
    /// With one of these labels.
    Label(Vec<String>),
    /// Blocked, or not.
    Blocked(bool),
    /// Known on one of these platforms.
    Platform(Vec<String>),
    /// Known over one of these accounts.
    Account(Vec<ChannelAccountId>),
    /// With such a value in a custom field.
    Field(CustomFieldId, FieldTest),
    /// Found by one of these.
    Found(Vec<Find>),
}

/// What a custom field must hold. One that holds nothing passes no test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldTest {
    /// One of these, exactly; numbers are the same if they are so to 64 bits of floating point.
    OneOf(Vec<FieldValue>),
    /// What compares so with this number or day.
    Compared(Comparison, FieldValue),
}

/// How a value compares with another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// Less, or earlier.
    Less,
    /// Not more, or not later.
    AtMost,
    /// More, or later.
    More,
    /// Not less, or not earlier.
    AtLeast,
}

impl Comparison {
    /// The sign in a statement and in a search.
    pub const fn sign(self) -> &'static str {
        match self {
            Comparison::Less => "<",
            Comparison::AtMost => "<=",
            Comparison::More => ">",
            Comparison::AtLeast => ">=",
        }
    }
}

/// What to look for, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Find {
    /// Where.
    pub by: FindBy,
    /// What, as it was typed.
    pub text: String,
    /// The digits of the international number that the text stands for, if it is a number as people of the workspace's country
    /// write it.
    pub number: Option<String>,
}

/// Where to look. How each compares: docs/searching.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FindBy {
    /// In any of the others.
    Anything,
    /// Each word of the text begins a word of a name.
    Name,
    /// An email address begins so.
    Email,
    /// A phone number ends with these digits, 4 at least.
    Phone,
    /// A user name begins so, with or without `@`.
    Username,
    /// The platform's own id, or any other address, is this.
    Id,
}

impl Find {
    /// Looks for a text wherever there is something to look in.
    pub fn anything(text: impl Into<String>) -> Self {
        Self { by: FindBy::Anything, text: text.into(), number: None }
    }
}
