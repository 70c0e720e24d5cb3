//! A policy: what one platform allows, as data.

use std::fmt;
use std::sync::Arc;

use time::{Duration, OffsetDateTime};

use crate::load;
use crate::moment::Moment;
use crate::policies::PolicyError;
use crate::vocabulary::{Category, CategorySet, Country, SenderSet};

/// What one platform allows, read from a TOML file and checked.
///
/// It lists grants and quotas: the platform lets a message through if and only if some grant holds, and the order of the
/// grants is the order in which a sender should prefer them. Cloning is cheap.
///
/// # Example: a platform of your own
///
/// ```
/// use transom_windows::Policy;
///
/// let policy = Policy::parse("pigeon.toml", r#"
///     name     = "pigeon"
///     platform = "pigeon"
///     version  = "1"
///     about    = "A loft answers for a day after a bird came in."
///     sources  = [{ document = "https://example.com/lofts" }]
///
///     [kinds]
///     message = { implies = ["wrote_before", "subscribed", "reachable"] }
///
///     [[grant]]
///     name         = "answer"
///     basis        = "free_form"
///     opened_by    = ["message"]
///     counted_from = "latest"
///     within       = "24h"
/// "#)?;
/// assert_eq!(policy.grants().len(), 1);
///
/// let error = Policy::parse("pigeon.toml", "name = 'pigeon'\nwithin = '0h'").unwrap_err();
/// assert!(error.to_string().contains("pigeon.toml:2: unknown key `within`"), "{error}");
/// # Ok::<(), transom_windows::PolicyError>(())
/// ```
#[derive(Clone)]
pub struct Policy(pub(crate) Arc<Rules>);

/// A set of the names that a policy declares, by their position in its list.
pub(crate) type Bits = u64;

/// The positions that a set holds, rising.
#[inline]
pub(crate) fn positions(mut bits: Bits) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let position = (bits != 0).then(|| bits.trailing_zeros() as usize)?;
        bits &= bits - 1;
        Some(position)
    })
}

#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) name: Box<str>,
    pub(crate) platform: Box<str>,
    pub(crate) version: Box<str>,
    pub(crate) about: Box<str>,
    pub(crate) sources: Vec<Source>,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) features: Vec<Feature>,
    pub(crate) quotas: Vec<Quota>,
    pub(crate) grants: Vec<Grant>,
    pub(crate) refusal_ends: RefusalEnds,
    pub(crate) text: Box<str>,
}

/// Where a rule was read.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Source {
    /// The platform's document.
    pub document: Box<str>,
    /// The fact sheet that restates it, with its section.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sheet: Option<Box<str>>,
    /// When it was read, as far as known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read: Option<Box<str>>,
}

/// A kind of event that a customer causes.
#[derive(Debug)]
pub struct Kind {
    pub(crate) name: Box<str>,
    pub(crate) about: Box<str>,
    pub(crate) implies: u8,
    /// The kind whose events count as this one too, when they come after a message of ours.
    pub(crate) after_send: Option<usize>,
    /// Every grant that it opens counts each event on its own, so each needs a reference.
    pub(crate) needs_ref: bool,
    /// The span of the session that its events open, for grants counted from the first.
    pub(crate) session: Option<Session>,
}

/// A session that several kinds of events open together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) kinds: Bits,
    pub(crate) within: Duration,
}

impl Kind {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is, in one sentence.
    pub fn about(&self) -> &str {
        &self.about
    }

    /// Whether each event of this kind needs a reference (a comment's id, a reply token), because each is a right of its own.
    pub fn needs_ref(&self) -> bool {
        self.needs_ref
    }
}

/// Something an account has or has not: granted by the platform, bought, or switched on.
#[derive(Debug)]
pub struct Feature {
    pub(crate) name: Box<str>,
    pub(crate) about: Box<str>,
}

impl Feature {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is, in one sentence.
    pub fn about(&self) -> &str {
        &self.about
    }
}

/// What a message that uses a grant is to the platform.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Basis {
    /// Any content.
    FreeForm,
    /// Any content, under a tag that the request must name.
    Tagged {
        /// The tag, such as `HUMAN_AGENT`, `private_reply` or `reply_token`.
        tag: Box<str>,
    },
    /// A template that the platform has approved.
    Template {
        /// What the template may be about.
        categories: CategorySet,
    },
    /// Any content, booked as started by the business.
    Initiated,
}

impl Basis {
    /// The word for it in JSON and policies.
    pub fn as_str(&self) -> &'static str {
        match self {
            Basis::FreeForm => "free_form",
            Basis::Tagged { .. } => "tagged",
            Basis::Template { .. } => "template",
            Basis::Initiated => "initiated",
        }
    }

    /// The tag, where there is one.
    pub fn tag(&self) -> Option<&str> {
        match self {
            Basis::Tagged { tag } => Some(tag),
            _ => None,
        }
    }
}

/// From which of a customer's events a grant counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CountedFrom {
    /// Each event starts it anew, one count for all the kinds that open it.
    Latest,
    /// The event that found it closed; later ones change nothing until it ends.
    First,
    /// Every event is a right of its own, with its own count and a reference that the send must carry.
    Each,
}

/// One way in which the platform lets a message through.
#[derive(Debug)]
pub struct Grant {
    pub(crate) name: Box<str>,
    pub(crate) about: Box<str>,
    pub(crate) basis: Basis,
    pub(crate) by: SenderSet,
    pub(crate) opened_by: Bits,
    pub(crate) counted_from: CountedFrom,
    pub(crate) within: Option<Duration>,
    pub(crate) margin: Duration,
    pub(crate) needs: Condition,
    pub(crate) unless: Condition,
    pub(crate) countries: Option<Countries>,
    pub(crate) spends: Bits,
    pub(crate) promotional: bool,
    pub(crate) from: Option<Moment>,
    pub(crate) until: Option<Moment>,
}

impl Grant {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is, in one sentence.
    pub fn about(&self) -> &str {
        &self.about
    }

    /// What a message that uses it is to the platform.
    pub fn basis(&self) -> &Basis {
        &self.basis
    }

    /// Who may use it.
    pub fn by(&self) -> SenderSet {
        self.by
    }

    /// How long it lasts after the event that opens it; `None` if it does not end by itself.
    pub fn within(&self) -> Option<Duration> {
        self.within
    }

    /// How long before its end sending stops.
    pub fn margin(&self) -> Duration {
        self.margin
    }

    /// Whether promotional content may use it.
    pub fn promotional(&self) -> bool {
        self.promotional
    }

    /// From which of a customer's events it counts; `None` if it needs none.
    pub fn counted_from(&self) -> Option<CountedFrom> {
        (self.opened_by != 0).then_some(self.counted_from)
    }

    /// The instant from which the platform honours it, if that is a date.
    pub fn in_force_from(&self) -> Option<OffsetDateTime> {
        self.from.map(Into::into)
    }

    /// The instant from which the platform no longer honours it, if that is a date.
    pub fn in_force_until(&self) -> Option<OffsetDateTime> {
        self.until.map(Into::into)
    }

    pub(crate) fn is_timed(&self) -> bool {
        self.opened_by != 0 && self.within.is_some()
    }

    /// The categories of template it carries; none unless it is for templates.
    #[inline]
    pub(crate) fn templates(&self) -> CategorySet {
        match self.basis {
            Basis::Template { categories } => categories,
            _ => CategorySet::NONE,
        }
    }
}

/// What a grant asks of a person and an account, each a bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Condition {
    pub(crate) standing: u8,
    pub(crate) features: Bits,
    pub(crate) templates: CategorySet,
}

/// The bits of [`Condition::standing`].
pub(crate) mod standing {
    pub(crate) const WROTE_BEFORE: u8 = 1;
    pub(crate) const SUBSCRIBED: u8 = 1 << 1;
    pub(crate) const UNSUBSCRIBED: u8 = 1 << 2;
    pub(crate) const CONSENTED: u8 = 1 << 3;
    pub(crate) const OPTED_OUT_OF_MARKETING: u8 = 1 << 4;
    /// Only in what a kind of event implies.
    pub(crate) const REACHABLE: u8 = 1 << 5;
}

/// Where a grant exists.
#[derive(Debug)]
pub(crate) struct Countries {
    /// Sorted.
    pub(crate) list: Vec<Country>,
    /// Whether the list says where it exists, or where it doesn't.
    pub(crate) only: bool,
    pub(crate) of_contact: bool,
    pub(crate) of_account: bool,
}

/// A number that the platform counts down.
#[derive(Debug)]
pub struct Quota {
    pub(crate) name: Box<str>,
    pub(crate) about: Box<str>,
    pub(crate) limit: Option<u32>,
    pub(crate) per: Per,
    pub(crate) scope: Scope,
    pub(crate) counts: Counts,
    /// Seconds east of UTC.
    pub(crate) zone: i32,
    pub(crate) possible: Vec<u32>,
    pub(crate) reset_by: Bits,
    /// While this grant's window is open, nothing is counted.
    pub(crate) free_within: Option<usize>,
}

impl Quota {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is, in one sentence.
    pub fn about(&self) -> &str {
        &self.about
    }

    /// The limit unless the account has another; `None` if only an account has one.
    pub fn limit(&self) -> Option<u32> {
        self.limit
    }

    /// When its count starts anew.
    pub fn per(&self) -> Per {
        self.per
    }

    /// Who shares it.
    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// What is counted.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The limits that a platform's refusals may teach us (R-515).
    pub fn possible(&self) -> &[u32] {
        &self.possible
    }

    /// The offset from UTC at which its months and days turn, in seconds.
    pub fn zone_seconds(&self) -> i32 {
        self.zone
    }
}

/// When a quota's count starts anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Per {
    /// With each opening of the grant that spends it.
    Opening,
    /// With the calendar month in its zone.
    Month,
    /// With the calendar day in its zone.
    Day,
    /// Never: each message counts for that long.
    Rolling(Duration),
    /// Each message counts for that long, or until the customer's next event that resets it.
    RollingSinceOpening(Duration),
}

/// Who shares a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// One person on one account.
    Identity,
    /// Everybody on one account.
    Account,
    /// All accounts of a group, such as the numbers of a portfolio.
    Group,
}

impl Scope {
    /// The word for it in JSON and policies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Scope::Identity => "identity",
            Scope::Account => "account",
            Scope::Group => "group",
        }
    }
}

/// What a quota counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Counts {
    /// Requests, or parts of a message.
    Requests,
    /// Recipients of a message.
    Recipients,
    /// People, each once: somebody who is already counted costs nothing.
    DistinctRecipients,
}

/// What a refused send proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum RefusalEnds {
    /// The grant it used is over.
    ItsGrant,
    /// Whatever the customer had opened is over: the platform is not told which grant a request uses.
    EveryOpening,
}

impl Policy {
    /// Reads and checks a policy. `file` is only named in problems.
    pub fn parse(file: &str, toml: &str) -> Result<Self, PolicyError> {
        load::policy(file, toml).map(|rules| Self(Arc::new(rules)))
    }

    /// Its name, by which accounts choose it.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The platform it speaks for.
    pub fn platform(&self) -> &str {
        &self.0.platform
    }

    /// Its version: it changes whenever a rule does.
    pub fn version(&self) -> &str {
        &self.0.version
    }

    /// What it is, in one sentence.
    pub fn about(&self) -> &str {
        &self.0.about
    }

    /// Where its rules were read.
    pub fn sources(&self) -> &[Source] {
        &self.0.sources
    }

    /// Its grants, in the order in which a sender should prefer them.
    pub fn grants(&self) -> &[Grant] {
        &self.0.grants
    }

    /// Its quotas.
    pub fn quotas(&self) -> &[Quota] {
        &self.0.quotas
    }

    /// The kinds of events it knows, those that open nothing included.
    pub fn kinds(&self) -> &[Kind] {
        &self.0.kinds
    }

    /// The features an account may have.
    pub fn features(&self) -> &[Feature] {
        &self.0.features
    }

    /// The grant of that name.
    pub fn grant(&self, name: &str) -> Option<&Grant> {
        self.0.grants.iter().find(|grant| &*grant.name == name)
    }

    /// The quota of that name.
    pub fn quota(&self, name: &str) -> Option<&Quota> {
        self.0.quotas.iter().find(|quota| &*quota.name == name)
    }

    /// The kinds of events that open the grant of that name; none if it needs no opening.
    pub fn opened_by(&self, grant: &Grant) -> impl Iterator<Item = &str> {
        self.0.kind_names(grant.opened_by)
    }

    /// The quotas that a message on this grant spends.
    pub fn spent_by(&self, grant: &Grant) -> impl Iterator<Item = &Quota> {
        positions(grant.spends).filter_map(|quota| self.0.quotas.get(quota))
    }

    /// Whether some template is among what it grants.
    pub fn has_templates(&self) -> bool {
        self.0.grants.iter().any(|grant| !grant.templates().is_empty())
    }

    /// The file's text.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    #[inline]
    pub(crate) fn is(&self, other: &Policy) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Rules {
    pub(crate) fn kind(&self, name: &str) -> Option<usize> {
        self.kinds.iter().position(|kind| &*kind.name == name)
    }

    pub(crate) fn feature(&self, name: &str) -> Option<usize> {
        self.features.iter().position(|feature| &*feature.name == name)
    }

    pub(crate) fn quota(&self, name: &str) -> Option<usize> {
        self.quotas.iter().position(|quota| &*quota.name == name)
    }

    pub(crate) fn grant(&self, name: &str) -> Option<usize> {
        self.grants.iter().position(|grant| &*grant.name == name)
    }

    pub(crate) fn kind_names(&self, bits: Bits) -> impl Iterator<Item = &str> {
        positions(bits).filter_map(|kind| Some(&*self.kinds.get(kind)?.name))
    }

    pub(crate) fn feature_names(&self, bits: Bits) -> impl Iterator<Item = &str> {
        positions(bits).filter_map(|feature| Some(&*self.features.get(feature)?.name))
    }

    /// The kinds whose events imply that about a person.
    pub(crate) fn kinds_implying(&self, standing: u8) -> Bits {
        self.kinds
            .iter()
            .enumerate()
            .filter(|(_, kind)| kind.implies & standing != 0)
            .fold(0, |bits, (position, _)| bits | 1 << position)
    }
}

impl Countries {
    /// Whether the grant exists between that contact and that account. Where a country is not known, a list of
    /// exceptions lets through and a list of places doesn't.
    pub(crate) fn allow(&self, contact: Option<Country>, account: Option<Country>) -> bool {
        let fits = |country: Option<Country>| match country {
            Some(country) => self.list.binary_search(&country).is_ok() == self.only,
            None => !self.only,
        };
        (!self.of_contact || fits(contact)) && (!self.of_account || fits(account))
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy").field("name", &self.name()).field("version", &self.version()).finish_non_exhaustive()
    }
}

/// The word for a category of template in a refusal and in the rules table.
pub(crate) fn category_list(categories: CategorySet) -> String {
    crate::vocabulary::one_of(categories.iter().map(Category::as_str))
}
