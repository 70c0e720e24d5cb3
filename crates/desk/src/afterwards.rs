//! What is left once a window has run out.

use serde::Serialize;
use transom_windows::{Ask, Basis, CategorySet, Decision, Facts, Permit, Policy, WindowState};

/// One way to write: a grant that holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Way {
    /// The grant.
    pub grant: String,
    /// `free_form`, `tagged`, `template` or `initiated`.
    pub basis: &'static str,
    /// The platform's message tag that goes with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// For templates: of which categories.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub categories: Option<CategorySet>,
}

impl Way {
    fn of(permit: &Permit) -> Self {
        let basis = permit.basis();
        Self {
            grant: permit.grant().to_owned(),
            basis: basis.as_str(),
            tag: basis.tag().map(str::to_owned),
            categories: matches!(basis, Basis::Template { .. }).then(|| permit.categories()),
        }
    }
}

/// What whoever `decision` was made for may send once their window has run out, if the customer stays silent: by what holds when
/// it closes, or now where it is closed or never was open. `None` for a window that no time ends.
pub(crate) fn afterwards(policy: &Policy, facts: &Facts, ask: Ask, decision: &Decision) -> Option<Vec<Way>> {
    let window = decision.window();
    let mut ways: Vec<Way> = match (window.state, window.closes_at) {
        (WindowState::NeverOpened | WindowState::Closed, _) => decision.permits().iter().map(Way::of).collect(),
        // Half-open: at its end a window is over.
        (WindowState::Open, Some(end)) => policy.permits(facts, ask, end).map(|held| Way::of(&held.permit())).collect(),
        (WindowState::Open, None) | (WindowState::None, _) => return None,
    };
    // Where each comment is a right of its own, they are one way.
    ways.dedup();
    Some(ways)
}
