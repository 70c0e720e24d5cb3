//! The conversation's window, as an inbox shows it.

use serde::Serialize;
use time::OffsetDateTime;

use crate::grant::{Basis, CountedFrom, Grant};
use crate::judge::Case;
use crate::moment::Moment;
use crate::opened::Opened;
use crate::policy::Policy;
use crate::reason::{Objections, Reason};
use crate::vocabulary::Ask;

/// How long somebody may answer this person.
///
/// It is the latest lapse among the sender's timed free-form and tagged grants: no template, no message that counts as
/// started by the business, no private reply. When templates are all that is left, the window is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Window {
    /// Whether there is a window, and whether it is open.
    pub state: WindowState,
    /// When the event happened from which it counts.
    #[serde(with = "time::serde::rfc3339::option")]
    pub opened_at: Option<OffsetDateTime>,
    /// When it closes or has closed. Closed without this: its count is used up, or something else bars it.
    #[serde(with = "time::serde::rfc3339::option")]
    pub closes_at: Option<OffsetDateTime>,
}

/// Whether there is a window, and whether it is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WindowState {
    /// The platform has none: no customer's event is needed, or none opens anything for this sender.
    None,
    /// Only the customer can open it, and never has.
    NeverOpened,
    /// Answers go through.
    Open,
    /// It is over, used up or barred.
    Closed,
}

impl WindowState {
    /// The word for it in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            WindowState::None => "none",
            WindowState::NeverOpened => "never_opened",
            WindowState::Open => "open",
            WindowState::Closed => "closed",
        }
    }
}

/// Whether a grant is part of the window.
fn is_windowed(grant: &Grant) -> bool {
    let answers = matches!(grant.basis, Basis::FreeForm | Basis::Tagged { .. });
    answers && grant.is_timed() && grant.counted_from != CountedFrom::Each
}

/// Whether a grant is a free answer at any time, so that the platform has no window.
fn is_windowless(grant: &Grant) -> bool {
    grant.basis == Basis::FreeForm && grant.opened_by == 0
}

/// One grant as it was judged, as far as the window minds.
pub(crate) struct View<'a> {
    grant: &'a Grant,
    opened: Option<&'a Opened>,
    /// When it lapses, if it holds.
    lapses: Option<Moment>,
    /// It is nothing to this sender at all, whatever the customer does.
    foreign: bool,
}

impl<'a> View<'a> {
    pub(crate) fn held(case: &Case<'a>, lapses: Option<Moment>) -> Self {
        Self { grant: case.grant, opened: case.opened, lapses, foreign: false }
    }

    pub(crate) fn refused(case: &Case<'a>, objections: &Objections) -> Self {
        let foreign = objections.iter().any(|objection| {
            matches!(
                objection.reason,
                Reason::SenderKind
                    | Reason::FeatureOff
                    | Reason::SwitchedOff
                    | Reason::NotInForce
                    | Reason::Country
                    | Reason::Category
            )
        });
        Self { grant: case.grant, opened: case.opened, lapses: None, foreign }
    }
}

impl Window {
    const NONE: Self = Self { state: WindowState::None, opened_at: None, closes_at: None };

    pub(crate) fn of(policy: &Policy, views: &[View<'_>], ask: Ask, now: Moment) -> Self {
        let mine = |grant: &Grant| grant.by.contains(ask.sender());
        if policy.grants().iter().any(|grant| mine(grant) && is_windowless(grant)) {
            return Self::NONE;
        }
        let windowed = || views.iter().filter(|view| mine(view.grant) && is_windowed(view.grant));
        if windowed().next().is_none() {
            return Self::NONE;
        }
        let open = windowed().filter_map(|view| Some((view.lapses?, view.opened.map(|opened| opened.start))));
        if let Some((closes, opened)) = open.max() {
            return Self::new(WindowState::Open, opened, Some(closes));
        }
        let ended = windowed().filter(|view| !view.foreign).filter_map(|view| {
            let opened = view.opened?;
            Some((opened.end?, opened.start))
        });
        match ended.max() {
            Some((closed, opened)) => {
                Self::new(WindowState::Closed, Some(opened), Some(closed).filter(|closed| *closed <= now))
            }
            None if windowed().any(|view| view.opened.is_some()) => Self::new(WindowState::Closed, None, None),
            None => Self::new(WindowState::NeverOpened, None, None),
        }
    }

    fn new(state: WindowState, opened_at: Option<Moment>, closes_at: Option<Moment>) -> Self {
        Self { state, opened_at: opened_at.map(Into::into), closes_at: closes_at.map(Into::into) }
    }
}
