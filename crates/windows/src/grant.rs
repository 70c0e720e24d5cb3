//! A grant: one way in which a platform lets a message through.

use time::{Duration, OffsetDateTime};

use crate::moment::Moment;
use crate::policy::Bits;
use crate::vocabulary::{Category, CategorySet, Country, SenderSet, one_of};

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
    pub(crate) ended_by: Bits,
    pub(crate) counted_from: CountedFrom,
    pub(crate) within: Option<Duration>,
    pub(crate) margin: Duration,
    pub(crate) needs: Condition,
    pub(crate) unless: Condition,
    pub(crate) countries: Option<Countries>,
    pub(crate) spends: Bits,
    /// The platform's words for a message that it counted by this grant.
    pub(crate) billed_as: Vec<Box<str>>,
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

    /// The platform's own words for a message that it counted by this grant, where it says so of each message.
    pub fn billed_as(&self) -> impl Iterator<Item = &str> {
        self.billed_as.iter().map(AsRef::as_ref)
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

/// The word for a category of template in a refusal and in the rules table.
pub(crate) fn category_list(categories: CategorySet) -> String {
    one_of(categories.iter().map(Category::as_str))
}
