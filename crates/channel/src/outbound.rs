//! What goes out: planned parts, parts with their permit, and what the platform answers.

use transom_domain::{Address, Content, Identity, MessageId, PartId, TemplateMessage};
use transom_windows::{Basis, Permit, Subject};

use crate::{NotPermitted, PlatformReport};
use time::OffsetDateTime;

/// One request to come: what [`Channel::plan`](crate::Channel::plan) makes of content.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedPart {
    /// What the request carries.
    pub content: Content,
    /// What it takes from a quota that counts requests.
    pub cost: u32,
    /// How the platform counts or carries it, in words for the sender, where that is worth knowing before it leaves: the
    /// segments of a text, say.
    pub note: Option<String>,
}

impl PlannedPart {
    /// A part that counts as one.
    pub fn one(content: Content) -> Self {
        Self { content, cost: 1, note: None }
    }

    /// With what its sender should know of it.
    #[must_use]
    pub fn noted(self, note: impl Into<String>) -> Self {
        Self { note: Some(note.into()), ..self }
    }
}

/// A part ready to leave. It holds its permit: without one it can't be built.
///
/// [`new`](Self::new) is the only way to make one, so no code path can forget the rule.
#[derive(Debug, Clone)]
pub struct OutboundPart {
    id: PartId,
    attempt: u32,
    permit: Permit,
    to: Identity,
    thread: String,
    message: Option<MessageId>,
    accepted_at: OffsetDateTime,
    content: Content,
    sender_name: Option<String>,
    unsubscribe_link: Option<String>,
}

impl OutboundPart {
    /// Joins a permit with what it is for.
    ///
    /// # Errors
    /// [`NotPermitted`] when the permit was given for somebody else, when its time is over at `now`, or when it is not for
    /// this content.
    pub fn new(
        permit: Permit,
        identity: &Identity,
        part: (PartId, u32),
        content: Content,
        now: OffsetDateTime,
    ) -> Result<Self, NotPermitted> {
        if permit.subject() != subject_of(identity) {
            return Err(NotPermitted::ForeignPermit);
        }
        if let Some(send_before) = permit.send_before().filter(|end| now >= *end) {
            return Err(NotPermitted::Lapsed { send_before });
        }
        match (permit.basis(), content.as_template()) {
            (Basis::Template { .. }, None) => {
                return Err(NotPermitted::OtherContent { reason: "it allows an approved template only" });
            }
            (Basis::Template { categories }, Some(template))
                if !template.category.parse().is_ok_and(|category| categories.contains(category)) =>
            {
                return Err(NotPermitted::OtherContent { reason: "it does not allow templates of this category" });
            }
            _ => {}
        }
        Ok(Self {
            id: part.0,
            attempt: part.1,
            permit,
            to: identity.clone(),
            thread: String::new(),
            message: None,
            accepted_at: now,
            content,
            sender_name: None,
            unsubscribe_link: None,
        })
    }

    /// In the platform's thread, where the channel has threads.
    #[must_use]
    pub fn in_thread(mut self, thread: impl Into<String>) -> Self {
        self.thread = thread.into();
        self
    }

    /// As a part of that message: the same for all of its parts and attempts.
    #[must_use]
    pub fn of_message(mut self, message: MessageId) -> Self {
        self.message = Some(message);
        self
    }

    /// As one that was accepted then: the same for all of its attempts.
    #[must_use]
    pub fn accepted_at(mut self, at: OffsetDateTime) -> Self {
        self.accepted_at = at;
        self
    }

    /// Under a name that the customer sees, where the channel shows one.
    #[must_use]
    pub fn signed(mut self, sender_name: Option<String>) -> Self {
        self.sender_name = sender_name;
        self
    }

    /// With the address under which the person wants no more of this, by one click (RFC 8058): for what goes to many.
    #[must_use]
    pub fn unsubscribed_at(mut self, link: Option<String>) -> Self {
        self.unsubscribe_link = link;
        self
    }

    /// The part's id: the key that a platform dedupes by, and our reference in its receipts.
    pub fn id(&self) -> PartId {
        self.id
    }

    /// The same as text: what comes back as `correlation`.
    pub fn correlation(&self) -> String {
        self.id.to_string()
    }

    /// Which attempt this is, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// By what right it leaves: tags and references are written from here.
    pub fn permit(&self) -> &Permit {
        &self.permit
    }

    /// To whom.
    pub fn to(&self) -> &Identity {
        &self.to
    }

    /// In which thread; empty for none.
    pub fn thread(&self) -> &str {
        &self.thread
    }

    /// The message that it is a part of, where the sender said: the same for all of its parts and attempts.
    pub fn message(&self) -> Option<MessageId> {
        self.message
    }

    /// When it was accepted; when it was made, unless its sender said.
    pub fn accepted(&self) -> OffsetDateTime {
        self.accepted_at
    }

    /// What it says.
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// The template, if it is one.
    pub fn template(&self) -> Option<&TemplateMessage> {
        self.content.as_template()
    }

    /// The name to show.
    pub fn sender_name(&self) -> Option<&str> {
        self.sender_name.as_deref()
    }

    /// Where the person says, by one click, that they want no more of this.
    pub fn unsubscribe_link(&self) -> Option<&str> {
        self.unsubscribe_link.as_deref()
    }
}

/// The subject under which the rule engine knows a person on a channel account.
pub fn subject_of(identity: &Identity) -> Subject {
    Subject::new(identity.id.uuid().as_u128())
}

/// What a platform answered when it accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipt {
    /// The platform's id of the message; `None` where it gives none.
    pub provider_id: Option<String>,
    /// Addresses of the person that we learned from the answer.
    pub learned: Vec<Address>,
    /// The platform's own word on how it counted the message, where it says.
    pub billing: Option<String>,
    /// The platform keeps it back for now and may still refuse it.
    pub held: bool,
    /// Further readers to whom it does not go, though it goes to the person: their address, and what the platform said.
    pub refused: Vec<(String, PlatformReport)>,
}

impl Receipt {
    /// An answer with an id.
    pub fn with_id(provider_id: impl Into<String>) -> Self {
        Self { provider_id: Some(provider_id.into()), ..Self::default() }
    }
}
