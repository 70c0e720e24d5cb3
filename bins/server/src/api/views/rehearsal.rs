//! A rehearsal of a policy.

use poem_openapi::Object;
use time::OffsetDateTime;
use transom_desk::rehearse::{Allowed, Answer, Change, Page, Turn};
use uuid::Uuid;

/// A policy to rehearse.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct RehearseBody {
    /// The policy file's text.
    #[oai(validator(min_length = 1, max_length = 200_000))]
    pub(crate) policy: String,
    /// The policy in force that it would replace; the one of its own name if left out.
    pub(crate) instead_of: Option<String>,
    /// How many conversations to show at most.
    #[oai(default = "examples", validator(minimum(value = "0"), maximum(value = "100")))]
    pub(crate) examples: u32,
}

fn examples() -> u32 {
    20
}

/// What another policy would change.
#[derive(Debug, Default, Object)]
#[oai(rename = "Rehearsal")]
pub(crate) struct RehearsalView {
    /// How many conversations were looked at.
    pub(crate) looked: u64,
    /// In how many of them the answer would change.
    pub(crate) changed: u64,
    /// Whether all conversations were looked at.
    pub(crate) complete: bool,
    /// Some of those whose answer would change.
    examples: Vec<RehearsedView>,
}

impl RehearsalView {
    /// Counts a page, and keeps up to so many examples.
    pub(crate) fn add(&mut self, page: Page, examples: u32) {
        self.looked += page.looked;
        self.changed += page.changes.len() as u64;
        let room = usize::try_from(examples).unwrap_or_default().saturating_sub(self.examples.len());
        self.examples.extend(page.changes.iter().take(room).map(Into::into));
    }
}

/// A conversation whose answer would change.
#[derive(Debug, Object)]
#[oai(rename = "RehearsedConversation")]
struct RehearsedView {
    /// Which.
    conversation: Uuid,
    /// With whom.
    contact: Uuid,
    /// On which channel.
    channel: Uuid,
    /// What a person may send.
    human: TurnView,
    /// What automation may send.
    automation: TurnView,
}

impl From<&Change> for RehearsedView {
    fn from(change: &Change) -> Self {
        Self {
            conversation: change.conversation.uuid(),
            contact: change.contact.uuid(),
            channel: change.channel.uuid(),
            human: (&change.human).into(),
            automation: (&change.automation).into(),
        }
    }
}

/// An answer by the policy in force, and by the other one.
#[derive(Debug, Object)]
#[oai(rename = "RehearsedTurn")]
struct TurnView {
    /// By the policy in force.
    now: AnswerView,
    /// By the other one.
    then: AnswerView,
}

impl From<&Turn> for TurnView {
    fn from(turn: &Turn) -> Self {
        Self { now: (&turn.now).into(), then: (&turn.then).into() }
    }
}

/// What may be sent.
#[derive(Debug, Object)]
#[oai(rename = "RehearsedAnswer", skip_serializing_if_is_none)]
struct AnswerView {
    /// `none`, `never_opened`, `open` or `closed`.
    window: String,
    /// When the window closes or has closed.
    closes_at: Option<OffsetDateTime>,
    /// What is permitted, the preferred first.
    permits: Vec<AllowedView>,
}

impl From<&Answer> for AnswerView {
    fn from(answer: &Answer) -> Self {
        let permits = answer.permits.iter().map(Into::into).collect();
        Self { window: answer.window.as_str().to_owned(), closes_at: answer.closes_at, permits }
    }
}

/// One thing that is permitted.
#[derive(Debug, Object)]
#[oai(rename = "RehearsedPermit", skip_serializing_if_is_none)]
struct AllowedView {
    /// `free_form`, `tagged`, `template` or `initiated`.
    basis: String,
    /// The tag that it carries.
    tag: Option<String>,
    /// Whether it may advertise.
    promotional: bool,
    /// Until when.
    lapses_at: Option<OffsetDateTime>,
    /// How many are left of it.
    remaining: Option<u32>,
}

impl From<&Allowed> for AllowedView {
    fn from(allowed: &Allowed) -> Self {
        Self {
            basis: allowed.basis.to_owned(),
            tag: allowed.tag.clone(),
            promotional: allowed.promotional,
            lapses_at: allowed.lapses_at,
            remaining: allowed.remaining,
        }
    }
}
