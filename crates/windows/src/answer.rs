//! The decision as JSON, to the letter of its contract.

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use time::OffsetDateTime;

use crate::decide::Decision;
use crate::grant::Basis;
use crate::permit::{Permit, rfc3339};
use crate::reason::{Because, Reason, Refusal, Remedy};
use crate::vocabulary::CategorySet;

impl Serialize for Decision {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut answer = serializer.serialize_struct("Decision", 7)?;
        answer.serialize_field("platform", self.policy.platform())?;
        answer.serialize_field("policy", self.policy.name())?;
        answer.serialize_field("policy_version", self.policy.version())?;
        answer.serialize_field("permits", &self.permits.iter().map(PermitView::of).collect::<Vec<_>>())?;
        answer.serialize_field("window", &self.window)?;
        answer.serialize_field("refusals", &self.refusals)?;
        answer.serialize_field("next_change", &self.next_change().map(rfc3339))?;
        answer.end()
    }
}

#[derive(Serialize)]
struct PermitView<'a> {
    grant: &'a str,
    basis: &'a str,
    tag: Option<&'a str>,
    categories: Option<CategorySet>,
    r#ref: Option<&'a str>,
    promotional: bool,
    #[serde(with = "time::serde::rfc3339::option")]
    lapses_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    send_before: Option<OffsetDateTime>,
    remaining: Option<u32>,
}

impl<'a> PermitView<'a> {
    fn of(permit: &'a Permit) -> Self {
        Self {
            grant: permit.grant(),
            basis: permit.basis().as_str(),
            tag: permit.basis().tag(),
            categories: matches!(permit.basis(), Basis::Template { .. }).then(|| permit.categories()),
            r#ref: permit.reference(),
            promotional: permit.promotional(),
            lapses_at: permit.lapses_at(),
            send_before: permit.send_before(),
            remaining: permit.remaining(),
        }
    }
}

impl Serialize for Refusal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut refusal = serializer.serialize_struct("Refusal", 3)?;
        refusal.serialize_field("grant", self.grant())?;
        refusal.serialize_field("basis", self.basis().as_str())?;
        refusal
            .serialize_field("because", &self.because().map(|because| BecauseView::of(&because)).collect::<Vec<_>>())?;
        refusal.end()
    }
}

#[derive(Serialize)]
struct BecauseView<'a> {
    reason: Reason,
    detail: std::borrow::Cow<'a, str>,
    #[serde(with = "time::serde::rfc3339::option")]
    until: Option<OffsetDateTime>,
    remedy: Remedy,
}

impl<'a> BecauseView<'a> {
    fn of(because: &Because<'a>) -> Self {
        Self { reason: because.reason(), detail: because.detail(), until: because.until(), remedy: because.remedy() }
    }
}
