//! Values of which the newest wins, so that events may come in any order.

use crate::moment::Moment;
use crate::snapshot::Account;
use crate::vocabulary::{Blocker, Category, Country};

/// Values of which the newest wins; of two at the same instant, the more cautious.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Registers {
    pub(crate) wrote_before: bool,
    pub(crate) first_sent: Option<Moment>,
    pub(crate) unsubscribed: Option<(Moment, bool)>,
    pub(crate) withdrawn: Option<(Moment, bool)>,
    pub(crate) blocked_by_us: Option<(Moment, bool)>,
    pub(crate) blocked_by_customer: Option<(Moment, bool)>,
    pub(crate) out_of_all: Option<(Moment, bool)>,
    pub(crate) out_of_marketing: Option<(Moment, bool)>,
    pub(crate) unreachable: Option<(Moment, Option<Box<str>>)>,
    pub(crate) country: Option<(Moment, Option<Country>)>,
    /// By category, the latest end of a cool-down.
    pub(crate) cooling: [Option<Moment>; Category::ALL.len()],
    pub(crate) account: Option<(Moment, Box<Account>)>,
}

/// The newest value wins; of two at the same instant, the greater.
pub(crate) fn settle<T: Ord>(register: &mut Option<(Moment, T)>, at: Moment, value: T) {
    let newer = (at, value);
    if register.as_ref().is_none_or(|known| newer > *known) {
        *register = Some(newer);
    }
}

impl Registers {
    pub(crate) fn block(&mut self, by: Blocker) -> &mut Option<(Moment, bool)> {
        match by {
            Blocker::Us => &mut self.blocked_by_us,
            Blocker::Customer => &mut self.blocked_by_customer,
        }
    }

    pub(crate) fn cool(&mut self, category: Category, until: Moment) {
        if let Some(known) = self.cooling.get_mut(category as usize) {
            *known = (*known).max(Some(until));
        }
    }
}
