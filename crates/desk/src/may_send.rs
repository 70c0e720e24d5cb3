//! May it be sent? The one place that answers, at every moment the same way.

use serde::Serialize;
use serde_json::json;
use time::OffsetDateTime;
use transom_domain::{Content, Role};
use transom_windows::{Ask, Basis, Because, Category, Decision, Permit, Reason, Refusal, Scope, Sender};

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

    /// Until when it waits, if the customer's quiet hours are all that speaks against it.
    pub(crate) fn waits_until(&self) -> Option<OffsetDateTime> {
        match (&self.permit, self.house.as_slice()) {
            (Some(_), [HouseReason::QuietHours { until, .. }]) => Some(*until),
            _ => None,
        }
    }

    /// Why nobody would get a message like this over the account now, if that is all that speaks against it, and when it ends by
    /// itself: the account is off, or what it may send is used up.
    pub(crate) fn holds_all_up(&self) -> Option<(&'static str, Option<OffsetDateTime>)> {
        let of_account = |reason: &&HouseReason| {
            matches!(reason, HouseReason::AccountDisabled { .. } | HouseReason::ChannelRemoved { .. })
        };
        if let Some(reason) = self.house.iter().find(of_account) {
            return Some((reason.code(), None));
        }
        let because = self.because();
        if because == Reason::AccountSuspended.as_str() {
            return Some((because, None));
        }
        if !self.house.is_empty() || self.permit.is_some() {
            return None;
        }
        let is_shared = |because: &Because<'_>| because.quota().is_some_and(|quota| quota.scope() != Scope::Identity);
        let is_used_up = |because: &Because<'_>| because.reason() == Reason::QuotaUsed && is_shared(because);
        let shared_alone = |refusal: &&Refusal| refusal.because().all(|because| is_used_up(&because));
        // A right that lacks nothing but room would have carried it.
        let ends = self
            .decision
            .refusals()
            .iter()
            .filter(shared_alone)
            .map(|refusal| refusal.because().filter_map(|because| because.until()).max());
        // Of a limit of nothing no end is known: the first one that is known holds.
        let first = ends.reduce(|one, other| one.into_iter().chain(other).min());
        first.map(|until| (Reason::QuotaUsed.as_str(), until))
    }

    /// Whether it may be sent.
    pub fn is_allowed(&self) -> bool {
        self.permit.is_some() && self.house.is_empty()
    }

    /// The same for people.
    pub(crate) fn sentence(&self) -> String {
        match (self.house.first(), self.code()) {
            (Some(reason), _) => format!("the workspace's own rules are against this message now: {}", reason.remedy()),
            (None, "template_required") => {
                "only a template may be sent now: `decision` says of which categories, and why nothing else may"
                    .to_owned()
            }
            (None, _) => "nothing permits this message now: `decision` says why, and what would change it".to_owned(),
        }
    }

    /// What stands against it in a word, for whoever counts many: what all grants object that are for such a sender and such a
    /// message at all, else what the preferred one of them does.
    pub(crate) fn because(&self) -> &'static str {
        if !self.house.is_empty() || !self.decision.permits().is_empty() {
            return self.code();
        }
        let objects = |refusal: &Refusal, reason: Reason| refusal.because().any(|because| because.reason() == reason);
        let is_for_others =
            |refusal: &&Refusal| objects(refusal, Reason::SenderKind) || objects(refusal, Reason::Category);
        let all = self.decision.refusals();
        let theirs: Vec<&Refusal> = all.iter().filter(|refusal| !is_for_others(refusal)).collect();
        let refusals = if theirs.is_empty() { all.iter().collect() } else { theirs };
        let reasons = || refusals.iter().flat_map(|refusal| refusal.because()).map(|because| because.reason());
        let shared = reasons().find(|reason| refusals.iter().all(|refusal| objects(refusal, *reason)));
        shared.or_else(|| reasons().next()).map_or_else(|| self.code(), Reason::as_str)
    }

    /// What a message that was not sent says.
    pub(crate) fn told(&self) -> serde_json::Value {
        json!({ "reason": self.code(), "because": self.because(), "house": self.house, "decision": self.decision })
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

/// The same for what promotes something: words need a right that allows it (R-210), a template says itself what it is for.
pub(crate) fn promoting(ask: Ask, content: &Content) -> Ask {
    if content.as_template().is_none() { ask.category(Category::Marketing) } else { ask }
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

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;
    use transom_windows::{Account, Event, Facts, Policy, Subject, Usage};

    const TWO_CAPS: &str = r#"
        name     = "two_caps"
        platform = "post"
        version  = "1"
        about    = "Two ways to write, each with a cap that all share."
        sources  = [{ document = "none", sheet = "none", read = "2026" }]

        [kinds]
        message = { implies = ["wrote_before", "subscribed", "reachable"], about = "a message" }

        [[quota]]
        name   = "cards"
        about  = "Cards in a month."
        limit  = 5
        per    = "month"
        zone   = "UTC"
        scope  = "account"

        [[quota]]
        name   = "letters"
        about  = "Letters in a month."
        limit  = 5
        per    = "month"
        zone   = "UTC"
        scope  = "account"

        [[grant]]
        name   = "card"
        about  = "A card."
        basis  = "free_form"
        needs  = ["wrote_before"]
        spends = ["cards"]

        [[grant]]
        name   = "letter"
        about  = "A letter."
        basis  = "free_form"
        needs  = ["wrote_before"]
        spends = ["letters"]
    "#;

    /// Nobody knows when a limit of nothing ends; what is told is when the other cap does.
    #[test]
    fn an_end_that_is_known_is_told() {
        let (now, turn) = (datetime!(2026-11-20 10:00 UTC), datetime!(2026-12-01 00:00 UTC));
        let policy = Policy::parse("two_caps.toml", TWO_CAPS).unwrap();
        let holds = |nothing: &[&str]| {
            let mut facts = Facts::new(Subject::new(7), &policy);
            facts.apply(&policy, &Event::opening(now, "message")).unwrap();
            let used = Usage { used: 5, period: Some("2026-11".to_owned()), ..Usage::default() };
            let account = Account {
                limits: nothing.iter().map(|name| ((*name).to_owned(), Some(0))).collect(),
                quotas: ["cards", "letters"].map(|name| (name.to_owned(), used.clone())).into(),
                ..Account::default()
            };
            assert_eq!(facts.set_account(&policy, &account), []);
            let decision = policy.decide(&facts, Ask::by(Sender::Human), now);
            Verdict { decision, house: Vec::new(), permit: None }.holds_all_up()
        };
        let cases: [(&[&str], _); 4] =
            [(&[], Some(turn)), (&["cards"], Some(turn)), (&["letters"], Some(turn)), (&["cards", "letters"], None)];
        for (nothing, until) in cases {
            assert_eq!(holds(nothing), Some(("quota_used", until)), "{nothing:?}");
        }
    }
}
