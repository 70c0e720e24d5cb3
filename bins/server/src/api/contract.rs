//! The JSON of questions and decisions, as the document describes it. What is read and written is the engine's own.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::marker::PhantomData;

use poem_openapi::registry::{MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type};
use poem_openapi::{Enum, Object};
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;

/// JSON described by `S`: written by serde, or read and left as it came.
#[derive(Debug)]
pub(crate) struct As<S> {
    pub(crate) value: Value,
    schema: PhantomData<fn() -> S>,
}

impl<S> As<S> {
    /// What serde makes of a value.
    pub(crate) fn of(value: &impl Serialize) -> Self {
        // Maps with keys that are no texts are what can't be written, and nobody here has any.
        Self { value: serde_json::to_value(value).unwrap_or_default(), schema: PhantomData }
    }
}

impl<S: Type> Type for As<S> {
    const IS_REQUIRED: bool = S::IS_REQUIRED;

    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        S::name()
    }

    fn schema_ref() -> MetaSchemaRef {
        S::schema_ref()
    }

    fn register(registry: &mut Registry) {
        S::register(registry);
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl<S: Type> ToJSON for As<S> {
    fn to_json(&self) -> Option<Value> {
        Some(self.value.clone())
    }
}

impl<S: ParseFromJSON> ParseFromJSON for As<S> {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        let value = value.unwrap_or_default();
        // The document's own reader finds unknown fields and wrong types; the engine reads the rest.
        S::parse_from_json(Some(value.clone())).map_err(ParseError::propagate)?;
        Ok(Self { value, schema: PhantomData })
    }
}

/// A limit; null for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit(pub(crate) Option<u32>);

impl Type for Limit {
    const IS_REQUIRED: bool = true;

    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "limit".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        let schema = MetaSchema { nullable: true, ..MetaSchema::new_with_format("integer", "uint32") };
        MetaSchemaRef::Inline(Box::new(schema))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl ToJSON for Limit {
    fn to_json(&self) -> Option<Value> {
        Some(self.0.map_or(Value::Null, Value::from))
    }
}

impl ParseFromJSON for Limit {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        Option::<u32>::parse_from_json(value).map(Self).map_err(ParseError::propagate)
    }
}

/// Who sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case", rename = "Sender")]
pub(crate) enum SenderWord {
    /// A person.
    Human,
    /// A program that answers.
    Bot,
    /// A timer or a rule: surveys, reminders.
    Automation,
    /// One text to many.
    Broadcast,
}

impl From<SenderWord> for transom_windows::Sender {
    fn from(word: SenderWord) -> Self {
        match word {
            SenderWord::Human => transom_windows::Sender::Human,
            SenderWord::Bot => transom_windows::Sender::Bot,
            SenderWord::Automation => transom_windows::Sender::Automation,
            SenderWord::Broadcast => transom_windows::Sender::Broadcast,
        }
    }
}

/// What a template is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case", rename = "Category")]
pub(crate) enum CategoryWord {
    /// Offers and news.
    Marketing,
    /// About something the customer did or asked for.
    Utility,
    /// One-time codes.
    Authentication,
}

impl From<CategoryWord> for transom_windows::Category {
    fn from(word: CategoryWord) -> Self {
        match word {
            CategoryWord::Marketing => transom_windows::Category::Marketing,
            CategoryWord::Utility => transom_windows::Category::Utility,
            CategoryWord::Authentication => transom_windows::Category::Authentication,
        }
    }
}

/// May this be sent? Everything but platform and instant may be left out.
#[derive(Debug, Object)]
#[oai(rename = "Question", deny_unknown_fields)]
pub(crate) struct QuestionBody {
    /// The platform.
    platform: String,
    /// The policy, if it is not the platform's own.
    policy: Option<String>,
    /// The instant.
    now: OffsetDateTime,
    /// Who would send; a person unless said.
    sender: Option<SenderWord>,
    /// What would be sent.
    message: Option<AskedMessage>,
    /// What the customer did.
    openings: Option<Vec<OpeningBody>>,
    /// The person.
    contact: Option<AskedContact>,
    /// The account.
    account: Option<AskedAccount>,
    /// By grant: when a message was sent that the platform refused because the window was over.
    refused: Option<BTreeMap<String, OffsetDateTime>>,
    /// By category: until when the platform takes no more.
    cooling: Option<BTreeMap<String, OffsetDateTime>>,
}

/// What would be sent.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
struct AskedMessage {
    /// For a template, what it is about.
    category: Option<CategoryWord>,
    /// What it costs; 1 unless said.
    cost: Option<u32>,
}

/// Something the customer did.
#[derive(Debug, Object)]
#[oai(rename = "Opening", deny_unknown_fields)]
struct OpeningBody {
    /// The kind of event, as the policy names it.
    kind: String,
    /// The newest such event.
    at: OffsetDateTime,
    /// The start of the session, for grants that count from the first event.
    first_at: Option<OffsetDateTime>,
    /// Accepted sends booked on it.
    sent_since: Option<u32>,
    /// What it refers to, where each event is a right of its own.
    #[oai(rename = "ref")]
    reference: Option<String>,
}

/// Who blocks whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case", rename = "Blocked")]
enum BlockedWord {
    /// We block the customer.
    ByUs,
    /// The customer blocks us.
    ByCustomer,
}

/// What a customer wants no more of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case", rename = "OptedOut")]
enum OptedOutWord {
    /// Everything is welcome.
    None,
    /// No marketing.
    Marketing,
    /// Nothing at all.
    All,
}

/// The person asked about.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
struct AskedContact {
    /// Whether they ever wrote; if left out, whether an opening says so.
    wrote_before: Option<bool>,
    /// Whether they are subscribed; if left out, whether an opening says so.
    subscribed: Option<bool>,
    /// Whether they consented; yes if left out.
    consented: Option<bool>,
    /// Who blocks whom.
    blocked: Option<BlockedWord>,
    /// What they want no more of.
    opted_out: Option<OptedOutWord>,
    /// Why they can't be reached.
    unreachable: Option<String>,
    /// Their country (ISO 3166-1 alpha-2).
    country: Option<String>,
}

/// The account asked about.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
struct AskedAccount {
    /// Why it is suspended.
    suspended: Option<String>,
    /// Its country (ISO 3166-1 alpha-2).
    country: Option<String>,
    /// Its features.
    features: Option<Vec<String>>,
    /// The categories of which it has an approved template; all if left out.
    templates: Option<Vec<CategoryWord>>,
    /// By quota, its own limit; null for none.
    limits: Option<BTreeMap<String, Limit>>,
    /// By quota, what is used.
    quotas: Option<BTreeMap<String, UsageBody>>,
}

/// How much of a quota is used.
#[derive(Debug, Object)]
#[oai(rename = "Usage", deny_unknown_fields)]
struct UsageBody {
    /// How much.
    used: u32,
    /// In which period, such as `2026-11`.
    period: Option<String>,
    /// When the next room comes free, for rolling quotas.
    frees_at: Option<OffsetDateTime>,
    /// Whether this person is counted already.
    counts_me: Option<bool>,
}

/// What may be sent at an instant, and why the rest may not.
#[derive(Debug, Object)]
#[oai(rename = "Decision")]
pub(crate) struct DecisionBody {
    /// The platform.
    platform: String,
    /// The policy that decided.
    policy: String,
    /// Its version.
    policy_version: String,
    /// What may be sent, in the order of preference.
    permits: Vec<PermitBody>,
    /// The window for this sender.
    window: WindowBody,
    /// The grants that do not hold, each with every reason.
    refusals: Vec<RefusalBody>,
    /// The next instant at which a permit comes or goes, if the customer stays silent.
    next_change: Option<OffsetDateTime>,
}

/// The right to send one message to one person, until an instant.
#[derive(Debug, Object)]
#[oai(rename = "Permit")]
struct PermitBody {
    /// The grant.
    grant: String,
    /// `free_form`, `tagged`, `template` or `initiated`.
    basis: String,
    /// The platform's message tag that goes with it.
    tag: Option<String>,
    /// For templates: of which categories.
    categories: Option<Vec<CategoryWord>>,
    /// What the message must refer to.
    #[oai(rename = "ref")]
    reference: Option<String>,
    /// Whether promotional content may use it.
    promotional: bool,
    /// When it ends by itself.
    lapses_at: Option<OffsetDateTime>,
    /// Before when the message must leave.
    send_before: Option<OffsetDateTime>,
    /// How many messages are left; null: no limit.
    remaining: Option<u32>,
}

/// The window as a whole.
#[derive(Debug, Object)]
#[oai(rename = "Window")]
pub(crate) struct WindowBody {
    /// `none`, `never_opened`, `open` or `closed`.
    state: String,
    /// When it opened.
    opened_at: Option<OffsetDateTime>,
    /// When it closes or closed.
    closes_at: Option<OffsetDateTime>,
}

/// One way to write to a customer.
#[derive(Debug, Object)]
#[oai(rename = "Way", skip_serializing_if_is_none)]
pub(crate) struct WayBody {
    /// The grant.
    grant: String,
    /// `free_form`, `tagged`, `template` or `initiated`.
    basis: String,
    /// The platform's message tag that goes with it.
    tag: Option<String>,
    /// For templates: of which categories.
    categories: Option<Vec<CategoryWord>>,
}

/// A grant that does not hold.
#[derive(Debug, Object)]
#[oai(rename = "Refusal")]
struct RefusalBody {
    /// The grant.
    grant: String,
    /// `free_form`, `tagged`, `template` or `initiated`.
    basis: String,
    /// Every reason.
    because: Vec<BecauseBody>,
}

/// One reason against a grant.
#[derive(Debug, Object)]
#[oai(rename = "Because")]
struct BecauseBody {
    /// `never_opened`, `window_over`, `quota_used`, `cost_too_high`, `sender_kind`, `feature_off`, `switched_off`,
    /// `unknown_person`, `not_subscribed`, `not_consented`, `blocked`, `opted_out`, `unreachable`, `country`, `not_in_force`,
    /// `cooling_down`, `refused_by_platform`, `account_suspended`, `no_template` or `category`.
    reason: String,
    /// The reason in a sentence.
    detail: String,
    /// When it ends by itself.
    until: Option<OffsetDateTime>,
    /// What would lift it.
    remedy: RemedyBody,
}

/// What would lift a reason.
#[derive(Debug, Object)]
#[oai(rename = "Remedy")]
struct RemedyBody {
    /// `customer_event`, `wait`, `sender`, `feature`, `consent`, `unblock`, `subscribe`, `template`, `account`, `smaller` or
    /// `none`.
    kind: String,
    /// For `customer_event`: one of these.
    kinds: Option<Vec<String>>,
    /// For `wait`.
    until: Option<OffsetDateTime>,
    /// For `sender`: one of these.
    one_of: Option<Vec<SenderWord>>,
    /// For `smaller`: the most it may cost.
    max: Option<u32>,
}

/// What may be sent during a stretch of time.
#[derive(Debug, Object)]
#[oai(rename = "Interval")]
pub(crate) struct IntervalBody {
    /// From then on.
    from: OffsetDateTime,
    /// Until then, exclusive; null: for ever.
    until: Option<OffsetDateTime>,
    /// What may be sent.
    permits: Vec<PermitRecordBody>,
}

/// What a permit said, as a record.
#[derive(Debug, Object)]
#[oai(rename = "PermitRecord")]
pub(crate) struct PermitRecordBody {
    /// The policy.
    policy: String,
    /// Its version.
    policy_version: String,
    /// The grant.
    grant: String,
    /// `free_form`, `tagged`, `template` or `initiated`.
    basis: String,
    /// The platform's message tag that goes with it.
    tag: Option<String>,
    /// For templates: of which categories.
    categories: Option<Vec<CategoryWord>>,
    /// What the message must refer to.
    #[oai(rename = "ref")]
    reference: Option<String>,
    /// Whether promotional content may use it.
    promotional: bool,
    /// Who may send.
    sender: SenderWord,
    /// When it was decided.
    decided_at: OffsetDateTime,
    /// When it ends by itself.
    lapses_at: Option<OffsetDateTime>,
    /// Before when the message must leave.
    send_before: Option<OffsetDateTime>,
    /// How many messages were left; null: no limit.
    remaining: Option<u32>,
}
