//! Conversations, twice: as the raw history that the rules read, and as the phone that the page shows.

use std::collections::BTreeMap;

use serde::Serialize;
use time::OffsetDateTime;

use crate::ring::Ring;

/// Which conversation: an account, a customer, and through what (a business connection, a group), if not directly.
///
/// In a group the customer is empty: it is everybody's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ChatKey {
    pub(crate) account: String,
    pub(crate) customer: String,
    pub(crate) via: Option<String>,
}

impl ChatKey {
    pub(crate) fn direct(account: &str, customer: &str) -> Self {
        Self { account: account.to_owned(), customer: customer.to_owned(), via: None }
    }
}

/// How far a message of the business came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// The platform took it.
    Accepted,
    /// The platform sent it on.
    Sent,
    /// It is on the phone.
    Delivered,
    /// The customer has seen it.
    Read,
    /// The customer listened to it (voice notes).
    Played,
    /// The platform gave it up later.
    Failed,
}

/// Who wrote an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Author {
    /// The customer.
    Customer,
    /// The business, through the API.
    Business,
    /// The business, in the platform's own app.
    Elsewhere,
}

/// Something to tap under a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Button {
    /// What the tap carries back.
    pub data: String,
    /// What the button says.
    pub text: String,
    /// A row of a list, not a button.
    pub choice: bool,
}

/// Something under a message that opens a page or a call, and tells the business nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Link {
    /// What it says.
    pub text: String,
    /// Where it leads: a web address, or `tel:` and a number.
    pub url: String,
}

impl Link {
    pub(crate) fn new(text: impl Into<String>, url: impl Into<String>) -> Self {
        Self { text: text.into(), url: url.into() }
    }

    /// It is one that a browser may follow: no script hides in it.
    pub(crate) fn leads_out(&self) -> bool {
        ["https://", "http://", "tel:"].iter().any(|scheme| self.url.starts_with(scheme))
    }
}

/// A message as it stands on the customer's phone.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// The platform's id of the message; on Telegram `chat:message`.
    pub id: String,
    /// Who wrote it.
    pub author: Author,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The platform's word for what it is (`text`, `image`, `template`, …).
    pub kind: String,
    /// The words, header and footer included.
    pub text: String,
    /// Its first line, where that is a title.
    pub header: Option<String>,
    /// Its last line, where that is in small print.
    pub footer: Option<String>,
    /// The file shown, by its id in the sandbox.
    pub media: Option<String>,
    /// The message that is quoted.
    pub reply_to: Option<String>,
    /// What can be tapped.
    pub buttons: Vec<Button>,
    /// What leads elsewhere.
    pub links: Vec<Link>,
    /// How far it came (the business's messages).
    pub progress: Progress,
    /// Why it failed later, by the platform's code.
    pub failed: Option<i64>,
    /// The reactions on it, by who reacted.
    pub reactions: BTreeMap<String, String>,
    /// The author changed its words.
    pub edited: bool,
    /// The author took it back.
    pub deleted: bool,
}

impl Entry {
    pub(crate) fn new(
        id: impl Into<String>,
        author: Author,
        at: OffsetDateTime,
        kind: &str,
        text: impl Into<String>,
    ) -> Self {
        Self {
            id: id.into(),
            author,
            at,
            kind: kind.to_owned(),
            text: text.into(),
            header: None,
            footer: None,
            media: None,
            reply_to: None,
            buttons: Vec::new(),
            links: Vec::new(),
            progress: Progress::Accepted,
            failed: None,
            reactions: BTreeMap::new(),
            edited: false,
            deleted: false,
        }
    }
}

impl Entry {
    /// The words between header and footer.
    pub(crate) fn body(&self) -> &str {
        let mut body = self.text.as_str();
        if let Some(rest) = self.header.as_deref().and_then(|header| body.strip_prefix(header)) {
            body = rest;
        }
        if let Some(rest) = self.footer.as_deref().and_then(|footer| body.strip_suffix(footer)) {
            body = rest;
        }
        body.trim_matches('\n')
    }
}

/// One thing a customer did, as the rules count it.
#[derive(Debug, Clone)]
pub(crate) struct Happened {
    /// The event's own time, as stamped on the webhook.
    pub(crate) at: OffsetDateTime,
    /// The platform's word for it.
    pub(crate) kind: String,
}

/// One conversation.
#[derive(Debug)]
pub(crate) struct Chat {
    /// What the customer did, oldest first as it was played. The only thing the window rules read.
    pub(crate) history: Ring<Happened>,
    /// The phone's screen.
    pub(crate) entries: Ring<Entry>,
    /// The customer blocked the account.
    pub(crate) blocked: bool,
    /// The account blocked the customer.
    pub(crate) shut_out: bool,
    /// The customer wants no marketing.
    pub(crate) opted_out: bool,
    /// The platform's last message number in this chat, where it counts by chat.
    pub(crate) last_number: i64,
}

impl Default for Chat {
    fn default() -> Self {
        Self {
            history: Ring::new(2_000),
            entries: Ring::new(1_000),
            blocked: false,
            shut_out: false,
            opted_out: false,
            last_number: 0,
        }
    }
}

impl Chat {
    pub(crate) fn entry(&self, id: &str) -> Option<&Entry> {
        self.entries.iter().rev().find(|entry| entry.id == id)
    }

    pub(crate) fn entry_mut(&mut self, id: &str) -> Option<&mut Entry> {
        self.entries.iter_mut().rev().find(|entry| entry.id == id)
    }

    /// The time of the customer's latest doing of a kind that `counts`, by the raw history.
    pub(crate) fn latest(&self, counts: impl Fn(&str) -> bool) -> Option<OffsetDateTime> {
        self.history.iter().filter(|happened| counts(&happened.kind)).map(|happened| happened.at).max()
    }

    /// The business's messages that are on the phone and unread.
    pub(crate) fn unread(&self) -> Vec<String> {
        self.entries
            .iter()
            .filter(|entry| entry.author == Author::Business && entry.progress == Progress::Delivered)
            .map(|entry| entry.id.clone())
            .collect()
    }
}

/// A conversation, for the control API.
#[derive(Debug, Clone, Serialize)]
pub struct Conversation {
    /// The account.
    pub account: String,
    /// The customer; empty in a group.
    pub customer: String,
    /// The business connection or group.
    pub via: Option<String>,
    /// The customer blocked the account.
    pub blocked: bool,
    /// The customer wants no marketing.
    pub opted_out: bool,
    /// What stands on the phone, oldest first.
    pub entries: Vec<Entry>,
}
