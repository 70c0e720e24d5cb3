//! The fields of a search, as a table.

use std::fmt::Write;

/// A field of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Field {
    /// Whose conversations.
    Inbox,
    /// The tab that shows them.
    Tab,
    /// Their stored status.
    Status,
    /// The customer's id.
    Contact,
    /// The platform.
    Platform,
    /// The channel account, by id or name.
    Channel,
    /// The agent, by id or name.
    Assignee,
    /// The team, by id or name.
    Team,
    /// A label of the customer.
    Label,
    /// A tag of the conversation.
    Tag,
    /// The last score that the customer gave.
    Score,
    /// Whether something besides templates may be sent.
    Window,
    /// Within what time the window ends.
    ClosingWithin,
    /// Before when the customer last wrote.
    InboundBefore,
    /// After when the customer last wrote.
    InboundAfter,
    /// Whether the customer is blocked.
    Blocked,
    /// Words of a name.
    Name,
    /// An email address.
    Email,
    /// A phone number.
    Phone,
    /// A user name.
    Username,
    /// The platform's id of the customer.
    Id,
}

/// What a list shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// Conversations.
    Conversations,
    /// Contacts.
    Contacts,
}

impl Field {
    /// Every field.
    pub const ALL: [Field; 21] = [
        Field::Inbox,
        Field::Tab,
        Field::Status,
        Field::Contact,
        Field::Platform,
        Field::Channel,
        Field::Assignee,
        Field::Team,
        Field::Label,
        Field::Tag,
        Field::Score,
        Field::Window,
        Field::ClosingWithin,
        Field::InboundBefore,
        Field::InboundAfter,
        Field::Blocked,
        Field::Name,
        Field::Email,
        Field::Phone,
        Field::Username,
        Field::Id,
    ];

    /// The field of that name, in upper or lower case.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name().eq_ignore_ascii_case(name))
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Field::Inbox => "inbox",
            Field::Tab => "tab",
            Field::Status => "status",
            Field::Contact => "contact",
            Field::Platform => "platform",
            Field::Channel => "channel",
            Field::Assignee => "assignee",
            Field::Team => "team",
            Field::Label => "label",
            Field::Tag => "tag",
            Field::Score => "score",
            Field::Window => "window",
            Field::ClosingWithin => "closing_within",
            Field::InboundBefore => "inbound_before",
            Field::InboundAfter => "inbound_after",
            Field::Blocked => "blocked",
            Field::Name => "name",
            Field::Email => "email",
            Field::Phone => "phone",
            Field::Username => "username",
            Field::Id => "id",
        }
    }

    /// Whether lists of such things know it.
    pub const fn is_of(self, subject: Subject) -> bool {
        match subject {
            Subject::Conversations => true,
            Subject::Contacts => matches!(
                self,
                Field::Contact
                    | Field::Platform
                    | Field::Channel
                    | Field::Label
                    | Field::Blocked
                    | Field::Name
                    | Field::Email
                    | Field::Phone
                    | Field::Username
                    | Field::Id
            ),
        }
    }

    /// Whether a `-` before it makes sense.
    pub const fn may_be_excluded(self) -> bool {
        matches!(
            self,
            Field::Tab
                | Field::Status
                | Field::Contact
                | Field::Platform
                | Field::Channel
                | Field::Assignee
                | Field::Team
                | Field::Label
                | Field::Tag
                | Field::Score
        )
    }

    /// Whether it takes several values.
    pub const fn takes_many(self) -> bool {
        !matches!(
            self,
            Field::Inbox
                | Field::Window
                | Field::ClosingWithin
                | Field::InboundBefore
                | Field::InboundAfter
                | Field::Blocked
        )
    }

    /// The names of those that lists of such things know.
    pub(super) fn names_of(subject: Option<Subject>) -> String {
        let mut names = String::new();
        let known = Self::ALL.into_iter().filter(|field| subject.is_none_or(|subject| field.is_of(subject)));
        for (at, field) in known.enumerate() {
            // Writing to a string never fails.
            let _ = write!(names, "{}{}", if at == 0 { "" } else { ", " }, field.name());
        }
        names
    }
}
