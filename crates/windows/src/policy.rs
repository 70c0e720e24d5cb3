//! A policy: what one platform allows, as data.

use std::fmt;
use std::sync::Arc;

use time::Duration;

use crate::grant::Grant;
use crate::load;
use crate::policies::PolicyError;
use crate::quota::Quota;

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

    /// The kinds of events that end a grant until it is opened anew.
    pub fn ended_by(&self, grant: &Grant) -> impl Iterator<Item = &str> {
        self.0.kind_names(grant.ended_by)
    }

    /// The quotas that a message on this grant spends.
    pub fn spent_by(&self, grant: &Grant) -> impl Iterator<Item = &Quota> {
        positions(grant.spends).filter_map(|quota| self.0.quotas.get(quota))
    }

    /// Whether some template is among what it grants.
    pub fn has_templates(&self) -> bool {
        self.0.grants.iter().any(|grant| !grant.templates().is_empty())
    }

    /// Whether something that it grants depends on the person's country.
    pub fn asks_for_country(&self) -> bool {
        self.0.grants.iter().any(|grant| grant.countries.as_ref().is_some_and(|countries| countries.of_contact))
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
impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy").field("name", &self.name()).field("version", &self.version()).finish_non_exhaustive()
    }
}
