//! Why a grant does not hold, and what would make it hold.

use std::borrow::Cow;

use serde::Serialize;
use smallvec::SmallVec;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::grant::{Basis, Grant, category_list};
use crate::moment::Moment;
use crate::policy::{Bits, Policy};
use crate::quota::Quota;
use crate::vocabulary::{CategorySet, Country, SenderSet, one_of};

/// Why a grant does not hold: a closed set, the same for every platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The customer never did what opens it.
    NeverOpened,
    /// The time since the customer's event is over.
    WindowOver,
    /// A quota has no room left.
    QuotaUsed,
    /// A quota has room left, but not for this message.
    CostTooHigh,
    /// This kind of sender may not use it.
    SenderKind,
    /// The account lacks a feature it needs.
    FeatureOff,
    /// Something about the account or the person switches it off.
    SwitchedOff,
    /// The person has never written.
    UnknownPerson,
    /// The person is not subscribed.
    NotSubscribed,
    /// The person has not consented.
    NotConsented,
    /// One side blocks the other.
    Blocked,
    /// The person opted out.
    OptedOut,
    /// The person cannot be reached.
    Unreachable,
    /// It does not exist in the person's or the account's country.
    Country,
    /// The platform does not honour it at this date.
    NotInForce,
    /// The platform takes no more messages of this category for some time.
    CoolingDown,
    /// The platform refused a message although the window seemed open.
    RefusedByPlatform,
    /// The platform has suspended the account.
    AccountSuspended,
    /// There is no approved template.
    NoTemplate,
    /// It carries no message of this category.
    Category,
}

impl Reason {
    /// The word for it in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::NeverOpened => "never_opened",
            Reason::WindowOver => "window_over",
            Reason::QuotaUsed => "quota_used",
            Reason::CostTooHigh => "cost_too_high",
            Reason::SenderKind => "sender_kind",
            Reason::FeatureOff => "feature_off",
            Reason::SwitchedOff => "switched_off",
            Reason::UnknownPerson => "unknown_person",
            Reason::NotSubscribed => "not_subscribed",
            Reason::NotConsented => "not_consented",
            Reason::Blocked => "blocked",
            Reason::OptedOut => "opted_out",
            Reason::Unreachable => "unreachable",
            Reason::Country => "country",
            Reason::NotInForce => "not_in_force",
            Reason::CoolingDown => "cooling_down",
            Reason::RefusedByPlatform => "refused_by_platform",
            Reason::AccountSuspended => "account_suspended",
            Reason::NoTemplate => "no_template",
            Reason::Category => "category",
        }
    }
}

/// What would make a grant hold. Where a refusal has several reasons, all their remedies are needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Remedy {
    /// The customer does one of these.
    CustomerEvent {
        /// The kinds of events.
        kinds: Vec<String>,
    },
    /// Time passes.
    Wait {
        /// Until then.
        #[serde(with = "time::serde::rfc3339")]
        until: OffsetDateTime,
    },
    /// Somebody else sends it.
    Sender {
        /// One of these.
        one_of: SenderSet,
    },
    /// The account gets the feature that the reason names.
    Feature,
    /// The person consents, or opts in again.
    Consent,
    /// We lift our block.
    Unblock,
    /// The person subscribes.
    Subscribe,
    /// A template is approved.
    Template,
    /// The account's settings or standing change.
    Account,
    /// The message is made smaller.
    Smaller {
        /// The most it may cost.
        max: u32,
    },
    /// Nothing we know of.
    None,
}

/// A remedy before its names are looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cure {
    CustomerEvent(Bits),
    /// Until the objection's own end.
    Wait,
    Sender(SenderSet),
    Feature,
    Consent,
    Unblock,
    Subscribe,
    Template,
    Account,
    Smaller(u32),
    None,
}

/// What a reason is about, as far as the reason alone does not say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Particular {
    Nothing,
    Said(Option<Box<str>>),
    ByUs,
    ByCustomer,
    All,
    Marketing,
    Features(Bits),
    Consented,
    Closed(Moment),
    RefusedAt(Moment),
    Countries(Option<Country>, Option<Country>),
    Ended(Moment),
    Categories(CategorySet),
    Promotion,
    Quota { quota: usize, limit: Option<u32>, left: u32, cost: u32 },
}

/// One reason against a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Objection {
    pub(crate) reason: Reason,
    /// When this reason ends by itself, without any event. It holds at every instant before.
    pub(crate) until: Option<Moment>,
    pub(crate) cure: Cure,
    pub(crate) particular: Particular,
}

impl Objection {
    pub(crate) const fn new(reason: Reason, cure: Cure) -> Self {
        Self { reason, until: None, cure, particular: Particular::Nothing }
    }

    pub(crate) fn about(self, particular: Particular) -> Self {
        Self { particular, ..self }
    }

    /// What tells it from the other reasons against a grant.
    pub(crate) fn concerns(&self) -> (Reason, Option<usize>) {
        match self.particular {
            Particular::Quota { quota, .. } => (self.reason, Some(quota)),
            _ => (self.reason, None),
        }
    }

    pub(crate) fn until(self, until: Option<Moment>) -> Self {
        Self { until, ..self }
    }
}

pub(crate) type Objections = SmallVec<[Objection; 2]>;

/// A grant that does not hold, and why.
#[derive(Debug, Clone)]
pub struct Refusal {
    pub(crate) policy: Policy,
    pub(crate) grant: usize,
    pub(crate) objections: Objections,
}

impl Refusal {
    /// The grant's name.
    pub fn grant(&self) -> &str {
        self.rule().map_or("", Grant::name)
    }

    /// What a message that used it would be to the platform.
    pub fn basis(&self) -> &Basis {
        self.rule().map_or(&Basis::FreeForm, Grant::basis)
    }

    /// Every reason against it. At least one.
    pub fn because(&self) -> impl Iterator<Item = Because<'_>> {
        self.objections.iter().map(|objection| Because { refusal: self, objection })
    }

    fn rule(&self) -> Option<&Grant> {
        self.policy.0.grants.get(self.grant)
    }
}

/// One reason against a grant.
#[derive(Debug, Clone, Copy)]
pub struct Because<'a> {
    refusal: &'a Refusal,
    objection: &'a Objection,
}

impl<'a> Because<'a> {
    /// The reason.
    pub fn reason(&self) -> Reason {
        self.objection.reason
    }

    /// When it ends by itself, where it does.
    pub fn until(&self) -> Option<OffsetDateTime> {
        self.objection.until.map(Into::into)
    }

    /// The quota that has no room, where that is the reason.
    pub fn quota(&self) -> Option<&'a Quota> {
        match self.objection.particular {
            Particular::Quota { quota, .. } => self.refusal.policy.0.quotas.get(quota),
            _ => None,
        }
    }

    /// What would lift it.
    pub fn remedy(&self) -> Remedy {
        match self.objection.cure {
            Cure::CustomerEvent(kinds) => {
                Remedy::CustomerEvent { kinds: self.refusal.policy.0.kind_names(kinds).map(str::to_owned).collect() }
            }
            Cure::Wait => self.until().map_or(Remedy::None, |until| Remedy::Wait { until }),
            Cure::Sender(one_of) => Remedy::Sender { one_of },
            Cure::Feature => Remedy::Feature,
            Cure::Consent => Remedy::Consent,
            Cure::Unblock => Remedy::Unblock,
            Cure::Subscribe => Remedy::Subscribe,
            Cure::Template => Remedy::Template,
            Cure::Account => Remedy::Account,
            Cure::Smaller(max) => Remedy::Smaller { max },
            Cure::None => Remedy::None,
        }
    }

    /// The reason in a sentence for people, in English, lower case and without a full stop.
    pub fn detail(&self) -> Cow<'a, str> {
        let rules = &self.refusal.policy.0;
        let reason = self.objection.reason;
        match &self.objection.particular {
            Particular::Nothing | Particular::Said(None) => Cow::Borrowed(plain(reason)),
            Particular::Said(Some(said)) => format!("{}: {said}", plain(reason)).into(),
            Particular::ByUs => "we block this person".into(),
            Particular::ByCustomer => "the person blocks us".into(),
            Particular::All => "the person opted out of every message".into(),
            Particular::Marketing => "the person opted out of marketing and of messages nobody asked for".into(),
            Particular::Features(features) => {
                let names = one_of(rules.feature_names(*features));
                match reason {
                    Reason::FeatureOff => format!("the account needs the feature {names}").into(),
                    _ => format!("the account has the feature {names}").into(),
                }
            }
            Particular::Consented => "for people who have not consented".into(),
            Particular::Closed(at) => format!("the window closed at {}", text(*at)).into(),
            Particular::RefusedAt(at) => format!(
                "the platform refused a message sent at {} and the customer has not been heard since",
                text(*at)
            )
            .into(),
            Particular::Countries(contact, account) => countries(*contact, *account).into(),
            Particular::Ended(at) => format!("the platform has not honoured it since {}", text(*at)).into(),
            Particular::Categories(categories) => {
                let categories = category_list(*categories);
                match reason {
                    Reason::NoTemplate => {
                        format!("the account has no approved template of the category {categories}").into()
                    }
                    Reason::CoolingDown => {
                        format!("the platform takes no messages of the category {categories} for now").into()
                    }
                    _ => format!("it carries templates of the category {categories} only").into(),
                }
            }
            Particular::Promotion => "no promotional content may use it".into(),
            Particular::Quota { quota, limit, left, cost } => {
                let name = rules.quotas.get(*quota).map_or("", |quota| &quota.name);
                match (reason, limit) {
                    (Reason::QuotaUsed, Some(limit)) => format!("`{name}` is used up: {limit} of {limit}").into(),
                    (Reason::QuotaUsed, None) => format!("`{name}` is used up, says the platform").into(),
                    _ => format!("`{name}` has room for {left}, and the message costs {cost}").into(),
                }
            }
        }
    }
}

fn plain(reason: Reason) -> &'static str {
    match reason {
        Reason::NeverOpened => "the customer has not done anything that opens it",
        Reason::WindowOver => "the window is over before that",
        Reason::QuotaUsed => "a quota is used up",
        Reason::CostTooHigh => "the message costs more than is left",
        Reason::SenderKind => "this kind of sender may not use it",
        Reason::FeatureOff => "the account lacks a feature",
        Reason::SwitchedOff => "it is switched off",
        Reason::UnknownPerson => "the person has never written",
        Reason::NotSubscribed => "the person is not subscribed",
        Reason::NotConsented => "the person has not consented to messages that the business starts",
        Reason::Blocked => "one side blocks the other",
        Reason::OptedOut => "the person opted out",
        Reason::Unreachable => "the person cannot be reached",
        Reason::Country => "it does not exist in this country",
        Reason::NotInForce => "the platform does not honour it yet",
        Reason::CoolingDown => "the platform takes no more for now",
        Reason::RefusedByPlatform => "the platform refused a message, and the customer has not been heard since",
        Reason::AccountSuspended => "the platform has suspended the account",
        Reason::NoTemplate => "there is no approved template",
        Reason::Category => "it carries no message of this category",
    }
}

fn countries(contact: Option<Country>, account: Option<Country>) -> String {
    let name = |country: Option<Country>| country.map_or_else(|| "not known".to_owned(), |country| country.to_string());
    format!("it does not exist there: the person's country is {}, the account's {}", name(contact), name(account))
}

fn text(at: Moment) -> String {
    OffsetDateTime::from(at).format(&Rfc3339).unwrap_or_default()
}
