//! A channel on trial: what the laws do again and again.

use std::sync::Arc;

use time::Duration;
use transom_domain::{Content, Identity, PartId};
use transom_windows::{Ask, Basis, Event, Facts, Permit, Policies, Policy, Sender, What};

use super::{Accepted, Fault, Harness, Verdict, Violation, must};
use crate::{Channel, NextStep, OutboundPart, PlannedPart, Receipt, SendError, SettingValues, subject_of};

/// A channel, connected, with its harness.
pub(super) struct Trial<'h> {
    pub(super) harness: &'h Harness,
    pub(super) channel: Arc<dyn Channel>,
}

impl<'h> Trial<'h> {
    /// Connects the channel with its settings.
    pub(super) fn of(harness: &'h Harness) -> Result<Self, Violation> {
        Self::with(harness, &harness.settings)
    }

    /// Connects it with others.
    pub(super) fn with(harness: &'h Harness, settings: &SettingValues) -> Result<Self, Violation> {
        let channel = harness.platform.connect(settings, &harness.ports);
        let channel = channel.map_err(|error| Violation::new(format!("the channel does not connect: {error}")))?;
        Ok(Self { harness, channel })
    }

    /// The policy that the harness names.
    pub(super) fn policy(&self) -> Result<Policy, Violation> {
        let failed = |error: &dyn std::fmt::Display| Violation::new(format!("the policies do not load: {error}"));
        let mut policies = Policies::builtin().map_err(|error| failed(&error))?;
        for (file, text) in self.harness.platform.policies() {
            policies.add(file, text).map_err(|error| failed(&error))?;
        }
        let name = self.harness.policy;
        policies.get(name).cloned().ok_or_else(|| Violation::new(format!("there is no policy `{name}`")))
    }

    /// A permit of the real engine, for a customer who opened the window a second ago.
    fn permit(&self, to: &Identity, content: &Content) -> Result<Permit, Violation> {
        let (policy, now) = (self.policy()?, self.harness.ports.clock.now());
        let (kind, reference) = &self.harness.opening;
        let opening = What::Opening { kind: (*kind).to_owned(), reference: reference.clone() };
        let mut facts = Facts::new(subject_of(to), &policy);
        facts
            .apply(&policy, &Event { at: now - Duration::SECOND, what: opening })
            .map_err(|unknown| Violation::new(format!("the harness's opening: {unknown}")))?;
        let category = content.as_template().and_then(|template| template.category.parse().ok());
        let ask = category.map_or(Ask::by(Sender::Human), |category| Ask::by(Sender::Human).category(category));
        let decision = policy.decide(&facts, ask, now);
        let is_template = content.as_template().is_some();
        let fitting = |permit: &&Permit| matches!(permit.basis(), Basis::Template { .. }) == is_template;
        let permit = decision.permits().iter().find(fitting).or_else(|| decision.permits().first());
        permit
            .cloned()
            .ok_or_else(|| Violation::new(format!("policy `{}` permits nothing after `{kind}`", policy.name())))
    }

    /// A part for the harness's customer.
    pub(super) fn part(&self, content: Content) -> Result<OutboundPart, Violation> {
        self.part_to(&self.harness.identity, content)
    }

    /// A part for somebody.
    pub(super) fn part_to(&self, to: &Identity, content: Content) -> Result<OutboundPart, Violation> {
        let id = PartId::new(self.harness.ports.ids.as_ref());
        let now = self.harness.ports.clock.now();
        OutboundPart::new(self.permit(to, &content)?, to, (id, 1), content, now)
            .map_err(|error| Violation::new(format!("no part can be built: {error}")))
    }

    /// Sends one part that carries just this.
    pub(super) async fn send(&self, content: Content) -> Result<Result<Receipt, SendError>, Violation> {
        let part = self.part(content)?;
        Ok(self.channel.send(&part).await)
    }

    /// Sends a text into a fault.
    pub(super) async fn send_into(&self, fault: Fault, text: &str) -> Result<Result<Receipt, SendError>, Violation> {
        self.harness.double.fail_next(fault).await;
        self.send(Content::text(text)).await
    }

    /// Plans what must be possible.
    pub(super) fn plan(&self, content: &Content, what: &str) -> Result<Vec<PlannedPart>, Violation> {
        let parts =
            self.channel.plan(content).map_err(|refused| Violation::new(format!("{what} is refused: {refused}")))?;
        must!(!parts.is_empty(), "{what} is planned as nothing at all");
        Ok(parts)
    }

    /// Plans and sends what must be possible, and says what the platform accepted of it.
    pub(super) async fn carry(&self, content: &Content, what: &str) -> Result<Vec<Accepted>, Violation> {
        let before = self.harness.double.accepted().await.len();
        for part in self.plan(content, what)? {
            if let Err(error) = self.send(part.content).await? {
                return Err(Violation::new(format!("{what} is planned and not sent: {error}")));
            }
        }
        Ok(self.harness.double.accepted().await.split_off(before))
    }

    /// Holds a channel to what it says of itself: it carries this, or refuses it.
    pub(super) async fn carries_or_refuses(&self, offered: bool, content: &Content, what: &str) -> Verdict {
        if offered { self.carry(content, what).await.map(drop) } else { self.never_leaves(content, what).await }
    }

    /// Both ways out must be shut: the plan, and a part that was made by hand.
    pub(super) async fn never_leaves(&self, content: &Content, what: &str) -> Verdict {
        let planned = self.channel.plan(content);
        must!(planned.is_err(), "{what} is planned, though the capabilities leave it out");
        self.never_sent(&self.part(content.clone())?, what).await
    }

    /// A part that must be refused without a request.
    pub(super) async fn never_sent(&self, part: &OutboundPart, what: &str) -> Verdict {
        let before = self.harness.double.requests().await;
        let sent = self.channel.send(part).await;
        let requests = self.harness.double.requests().await - before;
        must!(requests == 0, "{what} leaves: {requests} request(s) were made");
        match sent {
            Err(error) if error.next_step() == NextStep::GiveUp => Ok(()),
            other => Err(Violation::new(format!("{what}: send must refuse it for good, and said {other:?}"))),
        }
    }
}
