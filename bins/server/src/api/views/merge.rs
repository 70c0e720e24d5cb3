//! Duplicates of contacts, and what contacts allow us.

use poem_openapi::{Enum, Object};
use time::OffsetDateTime;
use transom_desk::consent::Standing;
use transom_desk::merge::Suggestion;
use transom_storage::{Consent, StoredMerge};
use transom_windows::OptOutScope;
use uuid::Uuid;

use super::contact::{AddressView, ContactView};
use super::people::ActorView;

/// With whom to make one contact: exactly one of these.
#[derive(Debug, Object)]
#[oai(rename = "NewMerge", deny_unknown_fields)]
pub(crate) struct MergeBody {
    /// The contact that is kept; this one becomes a part of it.
    pub(crate) into: Option<Uuid>,
    /// The contact that becomes a part of this one.
    pub(crate) from: Option<Uuid>,
}

/// Two contacts made one.
#[derive(Debug, Object)]
#[oai(rename = "Merge", skip_serializing_if_is_none)]
pub(crate) struct MergeView {
    /// Its id, to take it back by.
    id: Uuid,
    /// The contact that stayed.
    kept: Uuid,
    /// The one that became a part of it.
    gone: Uuid,
    /// Where both said something else: what counts, and what gave way.
    conflicts: Vec<ConflictView>,
    /// The identities that came over.
    identities: Vec<Uuid>,
    /// Who did it.
    by: ActorView,
    /// When.
    at: OffsetDateTime,
    /// Who took it back.
    undone_by: Option<ActorView>,
    /// When it was taken back.
    undone_at: Option<OffsetDateTime>,
}

/// Something that two contacts said differently.
#[derive(Debug, Object)]
#[oai(rename = "MergeConflict")]
struct ConflictView {
    /// `display_name`, a field of the profile such as `email`, or `field.` and the id of a custom field.
    field: String,
    /// What the kept contact says.
    kept: String,
    /// What gave way.
    lost: String,
}

impl From<&StoredMerge> for MergeView {
    fn from(merge: &StoredMerge) -> Self {
        let conflicts = merge.conflicts.iter().cloned();
        Self {
            id: merge.id.uuid(),
            kept: merge.kept.uuid(),
            gone: merge.gone.uuid(),
            conflicts: conflicts.map(|of| ConflictView { field: of.field, kept: of.kept, lost: of.lost }).collect(),
            identities: merge.moved.iter().map(|id| id.uuid()).collect(),
            by: (&merge.by).into(),
            at: merge.at,
            undone_by: merge.undone.as_ref().map(|(by, _)| by.into()),
            undone_at: merge.undone.as_ref().map(|(_, at)| *at),
        }
    }
}

/// The merges of a contact.
#[derive(Debug, Object)]
pub(crate) struct MergeList {
    /// The merges, newest first.
    pub(crate) items: Vec<MergeView>,
}

/// A contact that may be the same person.
#[derive(Debug, Object)]
#[oai(rename = "MergeSuggestion")]
pub(crate) struct SuggestionView {
    /// The other contact.
    contact: ContactView,
    /// What both are known by.
    because: Vec<AddressView>,
}

impl From<&Suggestion> for SuggestionView {
    fn from(suggestion: &Suggestion) -> Self {
        Self {
            contact: (&suggestion.contact).into(),
            because: suggestion.because.iter().map(AddressView::from).collect(),
        }
    }
}

/// Contacts that may be the same person.
#[derive(Debug, Object)]
pub(crate) struct SuggestionList {
    /// The suggestions, those with most in common first.
    pub(crate) items: Vec<SuggestionView>,
}

/// What an opt-out or a consent covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case", rename = "ConsentScope")]
pub(crate) enum ScopeWord {
    /// Marketing, and mail that nobody asked for.
    Marketing,
    /// Every message.
    All,
}

impl From<ScopeWord> for OptOutScope {
    fn from(word: ScopeWord) -> Self {
        match word {
            ScopeWord::Marketing => OptOutScope::Marketing,
            ScopeWord::All => OptOutScope::All,
        }
    }
}

impl From<OptOutScope> for ScopeWord {
    fn from(scope: OptOutScope) -> Self {
        match scope {
            OptOutScope::Marketing => ScopeWord::Marketing,
            OptOutScope::All => ScopeWord::All,
        }
    }
}

/// What a customer said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case", rename = "ConsentState")]
pub(crate) enum ConsentWord {
    /// They want it.
    OptedIn,
    /// They want no more of it.
    OptedOut,
}

impl ConsentWord {
    pub(crate) fn is_allowed(self) -> bool {
        self == ConsentWord::OptedIn
    }
}

/// What a customer told somebody of yours.
#[derive(Debug, Object)]
#[oai(rename = "NewConsent", deny_unknown_fields)]
pub(crate) struct ConsentBody {
    /// On which channel.
    pub(crate) channel: Uuid,
    /// What it covers.
    pub(crate) scope: ScopeWord,
    /// What they said.
    pub(crate) state: ConsentWord,
    /// How you know, such as `phone call`; never `platform`.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub(crate) source: String,
    /// What was said or shown.
    #[oai(validator(max_length = 2_000))]
    pub(crate) text: Option<String>,
    /// When they said so; now unless said.
    pub(crate) at: Option<OffsetDateTime>,
}

/// How a contact stands to us on one channel.
#[derive(Debug, Object)]
#[oai(rename = "Standing", skip_serializing_if_is_none)]
struct StandingView {
    /// The channel.
    channel: Uuid,
    /// Who they are there.
    identity: Uuid,
    /// What they want no more of; left out for nothing.
    opted_out: Option<ScopeWord>,
    /// Since when.
    since: Option<OffsetDateTime>,
    /// Whether an opt-out was recorded by hand, and can be taken back so.
    by_hand: bool,
    /// Whether the customer blocks us on the platform.
    blocked_by_customer: bool,
}

/// What a contact once allowed or forbade.
#[derive(Debug, Object)]
#[oai(rename = "Consent", skip_serializing_if_is_none)]
struct ConsentView {
    /// Its id.
    id: Uuid,
    /// The channel.
    channel: Uuid,
    /// What it covers.
    scope: ScopeWord,
    /// What they said.
    state: ConsentWord,
    /// How we know: `platform` where it came over the channel.
    source: String,
    /// What was said or shown.
    text: Option<String>,
    /// Who recorded it.
    by: ActorView,
    /// When they said so.
    at: OffsetDateTime,
    /// When it was recorded.
    recorded_at: OffsetDateTime,
}

/// What a contact allows.
#[derive(Debug, Object)]
#[oai(rename = "Consents")]
pub(crate) struct ConsentsView {
    /// How it stands to us on each channel.
    channels: Vec<StandingView>,
    /// What was recorded, the newest first.
    records: Vec<ConsentView>,
}

impl ConsentsView {
    pub(crate) fn new(standings: &[Standing], records: &[Consent]) -> Self {
        let standing = |standing: &Standing| StandingView {
            channel: standing.account.uuid(),
            identity: standing.identity.uuid(),
            opted_out: standing.opted_out.map(Into::into),
            since: standing.since,
            by_hand: standing.by_hand,
            blocked_by_customer: standing.blocked_by_customer,
        };
        let record = |consent: &Consent| ConsentView {
            id: consent.id.uuid(),
            channel: consent.account.uuid(),
            scope: consent.scope.into(),
            state: if consent.allowed { ConsentWord::OptedIn } else { ConsentWord::OptedOut },
            source: consent.source.clone(),
            text: consent.detail.clone(),
            by: (&consent.by).into(),
            at: consent.at,
            recorded_at: consent.recorded_at,
        };
        Self { channels: standings.iter().map(standing).collect(), records: records.iter().map(record).collect() }
    }
}
