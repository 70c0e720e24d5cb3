//! The question and its answer as JSON: the same for the HTTP API, the command line and the public test vectors.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::decide::Decision;
use crate::facts::Facts;
use crate::ledger::Use;
use crate::moment::Moment;
use crate::policies::Policies;
use crate::policy::Policy;
use crate::quota::Per;
use crate::rfc3339;
use crate::snapshot::Usage;
use crate::vocabulary::{Ask, Blocker, Category, CategorySet, Country, Sender, Subject, one_of};

/// What somebody wants to know, with everything that is known. All but platform and instant may be left out.
///
/// ```
/// use transom_windows::{Policies, Question, evaluate};
///
/// let question = Question::from_json(r#"{
///     "platform": "telegram", "now": "2026-03-01T09:00:00Z",
///     "openings": [{"kind": "message", "at": "2025-01-01T00:00:00Z"}]
/// }"#)?;
/// let decision = evaluate(&Policies::builtin()?, &question)?;
/// assert_eq!(decision.first().map(|permit| permit.grant()), Some("chat"));
///
/// let error = Question::from_json(r#"{"platform": "telegram", "when": "2026-03-01T09:00:00Z"}"#).unwrap_err();
/// assert!(error.message.contains("unknown field `when`"), "{error}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// The platform.
    pub platform: String,
    /// The policy, if it is not the platform's own.
    #[serde(default)]
    pub policy: Option<String>,
    /// The instant.
    #[serde(with = "time::serde::rfc3339")]
    pub now: OffsetDateTime,
    /// Who would send; a person unless said.
    #[serde(default = "human")]
    pub sender: Sender,
    /// What would be sent.
    #[serde(default)]
    pub message: Message,
    /// What the customer did.
    #[serde(default)]
    pub openings: Vec<GivenOpening>,
    /// The person.
    #[serde(default)]
    pub contact: GivenContact,
    /// The account.
    #[serde(default)]
    pub account: GivenAccount,
    /// By grant, when a message was sent that the platform refused because the window was over.
    #[serde(default, deserialize_with = "rfc3339::map::deserialize")]
    pub refused: BTreeMap<String, OffsetDateTime>,
    /// By category, until when the platform takes no more.
    #[serde(default, deserialize_with = "rfc3339::map::deserialize")]
    pub cooling: BTreeMap<Category, OffsetDateTime>,
}

fn human() -> Sender {
    Sender::Human
}

/// What would be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Message {
    /// What it is about.
    pub category: Option<Category>,
    /// What it costs.
    pub cost: u32,
}

impl Default for Message {
    fn default() -> Self {
        Self { category: None, cost: 1 }
    }
}

/// Something the customer did.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GivenOpening {
    /// The kind of event.
    pub kind: String,
    /// The newest such event.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The start of the session, for grants that count from the first event.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub first_at: Option<OffsetDateTime>,
    /// Accepted sends booked on it.
    #[serde(default)]
    pub sent_since: u32,
    /// What it refers to, where each event is a right of its own.
    #[serde(default, rename = "ref")]
    pub reference: Option<String>,
}

/// The person asked about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GivenContact {
    /// Whether they ever wrote; if left out, whether an opening says so.
    pub wrote_before: Option<bool>,
    /// Whether they are subscribed; if left out, whether an opening says so.
    pub subscribed: Option<bool>,
    /// Whether they consented; yes if left out.
    pub consented: Option<bool>,
    /// Who blocks whom.
    pub blocked: Option<Blocker>,
    /// From what they opted out.
    pub opted_out: OptedOut,
    /// Why they can't be reached.
    pub unreachable: Option<String>,
    /// Their country.
    pub country: Option<Country>,
}

/// From what somebody opted out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptedOut {
    /// Nothing.
    #[default]
    None,
    /// Marketing, and messages nobody asked for.
    Marketing,
    /// Every message.
    All,
}

/// The account asked about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GivenAccount {
    /// Why it is suspended.
    pub suspended: Option<String>,
    /// Its country.
    pub country: Option<Country>,
    /// Its features.
    pub features: Vec<String>,
    /// The categories of which it has an approved template; all if left out.
    pub templates: Option<CategorySet>,
    /// By quota, its own limit; `null` for none.
    pub limits: BTreeMap<String, Option<u32>>,
    /// By quota, what is used.
    pub quotas: BTreeMap<String, Usage>,
}

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct QuestionError {
    /// What is wrong, as a stable word for programs.
    pub code: QuestionErrorCode,
    /// Where, such as `openings[0].kind`.
    pub field: String,
    /// What is wrong and what is expected, for people.
    pub message: String,
}

/// What is wrong with a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum QuestionErrorCode {
    /// It is no JSON, or not of this form.
    Malformed,
    /// No policy speaks for that platform.
    UnknownPlatform,
    /// There is no policy of that name, or it speaks for another platform.
    UnknownPolicy,
    /// The policy knows no such kind of event.
    UnknownKind,
    /// The policy has no such grant.
    UnknownGrant,
    /// The policy has no such quota.
    UnknownQuota,
    /// The policy knows no such feature.
    UnknownFeature,
    /// A value contradicts another, or makes no sense.
    InvalidValue,
}

impl QuestionErrorCode {
    /// The word for it in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            QuestionErrorCode::Malformed => "malformed",
            QuestionErrorCode::UnknownPlatform => "unknown_platform",
            QuestionErrorCode::UnknownPolicy => "unknown_policy",
            QuestionErrorCode::UnknownKind => "unknown_kind",
            QuestionErrorCode::UnknownGrant => "unknown_grant",
            QuestionErrorCode::UnknownQuota => "unknown_quota",
            QuestionErrorCode::UnknownFeature => "unknown_feature",
            QuestionErrorCode::InvalidValue => "invalid_value",
        }
    }
}

fn wrong(code: QuestionErrorCode, field: impl Into<String>, message: impl Into<String>) -> QuestionError {
    QuestionError { code, field: field.into(), message: message.into() }
}

fn unknown<'a>(
    code: QuestionErrorCode,
    field: impl Into<String>,
    name: &str,
    known: impl Iterator<Item = &'a str>,
) -> QuestionError {
    let name: String = name.chars().take(64).collect();
    wrong(code, field, format!("`{name}` is not known here: {} is expected", one_of(known)))
}

/// Answers a question by the policy it names.
///
/// # Errors
/// A name that the policy doesn't know, or values that contradict each other. Nothing is guessed.
pub fn evaluate(policies: &Policies, question: &Question) -> Result<Decision, QuestionError> {
    let policy = question.policy(policies)?;
    if question.message.cost == 0 {
        return Err(wrong(QuestionErrorCode::InvalidValue, "message.cost", "a message costs at least 1"));
    }
    let facts = question.facts(policy)?;
    let ask = Ask::by(question.sender).cost(question.message.cost);
    let ask = question.message.category.map_or(ask, |category| ask.category(category));
    Ok(policy.decide(&facts, ask, question.now))
}

impl Question {
    /// Reads a question.
    ///
    /// # Errors
    /// Text that is no JSON, or has a field, a type or a word that is not expected.
    pub fn from_json(text: &str) -> Result<Self, QuestionError> {
        serde_json::from_str(text).map_err(|error| wrong(QuestionErrorCode::Malformed, "question", error.to_string()))
    }

    /// The policy it asks.
    fn policy<'p>(&self, policies: &'p Policies) -> Result<&'p Policy, QuestionError> {
        let mine = || policies.iter().filter(|policy| policy.platform() == self.platform);
        if mine().next().is_none() {
            let mut platforms: Vec<&str> = policies.iter().map(Policy::platform).collect();
            platforms.dedup();
            let error = unknown(QuestionErrorCode::UnknownPlatform, "platform", &self.platform, platforms.into_iter());
            return Err(error);
        }
        let named = match &self.policy {
            Some(name) => mine().find(|policy| policy.name() == name),
            None => policies.for_platform(&self.platform),
        };
        named.ok_or_else(|| {
            let name = self.policy.as_deref().unwrap_or(&self.platform);
            unknown(QuestionErrorCode::UnknownPolicy, "policy", name, mine().map(Policy::name))
        })
    }

    /// What the question says, as facts.
    fn facts(&self, policy: &Policy) -> Result<Facts, QuestionError> {
        let mut facts = Facts::new(Subject::new(0), policy);
        for (index, opening) in self.openings.iter().enumerate() {
            open(&mut facts, policy, index, opening)?;
        }
        self.account(&mut facts, policy)?;
        self.contact(&mut facts);
        for (name, at) in &self.refused {
            let grant = policy.0.grant(name).ok_or_else(|| {
                let known = policy.grants().iter().map(|grant| &*grant.name);
                unknown(QuestionErrorCode::UnknownGrant, format!("refused.{name}"), name, known)
            })?;
            facts.refuse(grant, None, None, (*at).into());
        }
        for (category, until) in &self.cooling {
            facts.registers.cool(*category, (*until).into());
        }
        facts.derive();
        Ok(facts)
    }

    /// What is given stands; what is left out follows from the openings, or is what is known of nobody.
    fn contact(&self, facts: &mut Facts) {
        let GivenContact { wrote_before, subscribed, consented, blocked, opted_out, unreachable, country } =
            &self.contact;
        let registers = &mut facts.registers;
        let now = Moment::from(self.now);
        if let Some(wrote_before) = wrote_before {
            registers.wrote_before = *wrote_before;
        }
        if let Some(subscribed) = subscribed {
            registers.unsubscribed = Some((now, !subscribed));
        }
        registers.withdrawn = consented.map(|consented| (now, !consented));
        registers.blocked_by_us = None;
        registers.blocked_by_customer = None;
        if let Some(by) = blocked {
            *registers.block(*by) = Some((now, true));
        }
        registers.out_of_marketing = Some((now, *opted_out == OptedOut::Marketing));
        registers.out_of_all = Some((now, *opted_out == OptedOut::All));
        registers.unreachable = unreachable.as_deref().map(|reason| (now, Some(reason.into())));
        registers.country = Some((now, *country));
    }

    fn account(&self, facts: &mut Facts, policy: &Policy) -> Result<(), QuestionError> {
        let GivenAccount { suspended, country, features, templates, limits, quotas } = &self.account;
        // What is used is as of now, or of an event that is ahead of the clock.
        let reported = facts.rows.iter().map(|row| row.at).max().max(Some(self.now.into())).unwrap_or(self.now.into());
        let ledger = &mut facts.ledger;
        ledger.suspended = suspended.as_deref().map(Into::into);
        ledger.country = *country;
        ledger.templates = templates.unwrap_or(CategorySet::ALL);
        for (index, name) in features.iter().enumerate() {
            let feature = policy.0.feature(name).ok_or_else(|| {
                let known = policy.features().iter().map(|feature| &*feature.name);
                unknown(QuestionErrorCode::UnknownFeature, format!("account.features[{index}]"), name, known)
            })?;
            ledger.features |= 1 << feature;
        }
        let find = |field: String, name: &str| {
            let position = policy.0.quota(name).and_then(|position| Some((position, policy.0.quotas.get(position)?)));
            position.ok_or_else(|| {
                unknown(QuestionErrorCode::UnknownQuota, field, name, policy.quotas().iter().map(|quota| &*quota.name))
            })
        };
        for (name, limit) in limits {
            ledger.limit(find(format!("account.limits.{name}"), name)?.0, *limit);
        }
        for (name, usage) in quotas {
            let field = format!("account.quotas.{name}");
            let (position, quota) = find(field.clone(), name)?;
            let used = Use::read(quota, usage, Some(self.now.into()), Some(reported)).ok_or_else(|| {
                let expected = match quota.per {
                    Per::Opening => "it is counted by each opening: give `sent_since` there",
                    Per::Month => "`period` must be a month such as `2026-11`",
                    _ => "`period` must be a day such as `2026-11-20`",
                };
                wrong(QuestionErrorCode::InvalidValue, field, expected)
            })?;
            ledger.set(position, used);
        }
        Ok(())
    }
}

fn open(facts: &mut Facts, policy: &Policy, index: usize, opening: &GivenOpening) -> Result<(), QuestionError> {
    let kind = policy.0.kind(&opening.kind).ok_or_else(|| {
        let known = policy.kinds().iter().map(|kind| &*kind.name);
        unknown(QuestionErrorCode::UnknownKind, format!("openings[{index}].kind"), &opening.kind, known)
    })?;
    let at = Moment::from(opening.at);
    let first = opening.first_at.map(Moment::from);
    if first.is_some_and(|first| first > at) {
        let message = "a session cannot begin after its newest event, `at`";
        return Err(wrong(QuestionErrorCode::InvalidValue, format!("openings[{index}].first_at"), message));
    }
    for event in
        first.into_iter().filter(|_| policy.kinds().get(kind).is_some_and(|kind| kind.session.is_some())).chain([at])
    {
        facts.open(kind, opening.reference.as_deref(), event).map_err(|_| {
            let message = format!("each `{}` is a right of its own, so it needs what it refers to", opening.kind);
            wrong(QuestionErrorCode::InvalidValue, format!("openings[{index}].ref"), message)
        })?;
    }
    // Where the same opening is given twice, the newer one counts.
    let same = facts.rows.iter_mut().find(|row| {
        row.kind == kind && (row.reference.is_none() || row.reference.as_deref() == opening.reference.as_deref())
    });
    if let Some(row) = same.filter(|row| row.at == at) {
        row.sent = row.sent.max(opening.sent_since);
    }
    Ok(())
}
