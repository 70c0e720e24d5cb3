//! May it be sent? The one place that answers, at every moment the same way.

use serde::Serialize;
use time::OffsetDateTime;
use transom_domain::{Content, Role};
use transom_windows::{Ask, Basis, Decision, Permit, Sender};

use crate::house::{HouseReason, HouseRules};
use crate::situation::Situation;
use crate::{DeskError, house};

/// What platform, consent and house say about a message now.
#[derive(Debug, Serialize)]
pub struct Verdict {
    /// What the rule engine says, grant by grant.
    pub decision: Decision,
    /// What the workspace's own rules say against it; empty when nothing.
    pub house: Vec<HouseReason>,
    /// Whether the content has a fitting permit: text needs more than a template's.
    #[serde(skip)]
    pub permit: Option<Permit>,
}

impl Verdict {
    /// The permit to send by, if nothing speaks against it.
    ///
    /// # Errors
    /// [`DeskError::NotPermitted`] with everything that speaks against it.
    pub(crate) fn into_permit(self) -> Result<Permit, DeskError> {
        match &self.permit {
            Some(permit) if self.house.is_empty() => Ok(permit.clone()),
            _ => Err(DeskError::NotPermitted(Box::new(self))),
        }
    }

    /// Whether it may be sent.
    pub fn is_allowed(&self) -> bool {
        self.permit.is_some() && self.house.is_empty()
    }

    /// The stable code of a refusal.
    pub fn code(&self) -> &'static str {
        match (self.house.first(), self.decision.permits().is_empty()) {
            (Some(reason), _) => reason.code(),
            (None, false) => "template_required",
            (None, true) => "not_permitted",
        }
    }
}

/// Who sends, as the rule engine asks.
pub(crate) fn sender_of(role: Role) -> Sender {
    if role.is_person() { Sender::Human } else { Sender::Bot }
}

/// What the rule engine is asked for this content.
///
/// # Errors
/// [`DeskError::Invalid`] when a template has a category that no policy knows.
pub(crate) fn ask_for(sender: Sender, content: &Content, cost: u32) -> Result<Ask, DeskError> {
    let ask = Ask::by(sender).cost(cost);
    match content.as_template() {
        None => Ok(ask),
        Some(template) => {
            let category = template.category.parse().map_err(|error| {
                DeskError::invalid("unknown_template_category", "template", format!("the template's category: {error}"))
            })?;
            Ok(ask.category(category))
        }
    }
}

/// May this content be sent to this person now?
///
/// Window view, accept and dispatch all come here. `tag` is the platform's message tag, if the sender insists on one.
pub(crate) fn may_send(
    situation: &Situation,
    house: &HouseRules,
    ask: Ask,
    content: &Content,
    tag: Option<&str>,
    now: OffsetDateTime,
) -> Verdict {
    let decision = situation.policy.decide(&situation.facts, ask, now);
    let fitting = || decision.permits().iter().filter(|permit| fits(permit, content, tag, now));
    let permit = fitting().find(|permit| !house.unsolicited || is_for_anything(situation, permit)).cloned();
    let mut reasons = house::reasons(house, ask.sender());
    if permit.is_none() && fitting().next().is_some() {
        reasons.push(HouseReason::ANSWERS_ONLY);
    }
    Verdict { permit, house: reasons, decision }
}

/// Whether a permit is for more than an answer: no event of the person's opened it.
fn is_for_anything(situation: &Situation, permit: &Permit) -> bool {
    let policy = &situation.policy;
    let grant = policy.grants().iter().find(|grant| grant.name() == permit.grant());
    grant.is_some_and(|grant| policy.opened_by(grant).next().is_none())
}

/// Whether a permit is for this content, and can still be used before its margin.
fn fits(permit: &Permit, content: &Content, tag: Option<&str>, now: OffsetDateTime) -> bool {
    let in_time = permit.send_before().is_none_or(|end| now < end);
    let for_content = match permit.basis() {
        Basis::Template { .. } => content.as_template().is_some_and(|template| {
            // A right of its own to send a template is for the one that it names.
            let is_named = permit.reference().is_none_or(|name| name == template.name);
            is_named && template.category.parse().is_ok_and(|category| permit.categories().contains(category))
        }),
        // A template goes out by a template's right only, so that it never uses up what free text needs.
        Basis::FreeForm | Basis::Tagged { .. } | Basis::Initiated => content.as_template().is_none(),
    };
    let with_tag = tag.is_none_or(|tag| permit.basis().tag() == Some(tag));
    in_time && for_content && with_tag
}
