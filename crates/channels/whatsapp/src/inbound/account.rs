//! What Meta tells about the account, the number and the templates.

use serde_json::Value;
use transom_channel::{AccountEffect, AccountNotice, Inbound, Item, SendError};
use transom_meta::{GraphError, Refusal, template};

use super::{Scene, list, short, text};
use crate::error::{self, About, MESSAGING_LIMIT};

/// The longest text of a notice, in characters.
const LONGEST_TEXT: usize = 500;
/// Marketing templates are switched off for this account.
const MARKETING_OFF: i64 = 131_063;

impl Scene<'_> {
    /// A change that is about no message; `None` for one that we don't know. It is about every number of its business account.
    pub(super) fn notice(&self) -> Option<Inbound> {
        let item = match self.field {
            field if field.contains("template") => template::notice(field, self.value).map(Item::TemplateNotice),
            "phone_number_quality_update" => Some(self.account_notice(limit(self.value, &["current_limit"]))),
            "business_capability_update" => {
                let limits = ["max_daily_conversations_per_business", "max_daily_conversation_per_phone"];
                Some(self.account_notice(limit(self.value, &limits)))
            }
            "account_update" | "account_alerts" => Some(self.account_notice(standing(self.value))),
            "account_review_update" | "phone_number_name_update" | "security" => Some(self.account_notice(None)),
            _ => None,
        };
        let group = Some(&self.entry.id).filter(|id| !id.is_empty()).unwrap_or(&self.account);
        item.filter(|_| self.value.is_object()).map(|item| Inbound { account: group.clone(), ..self.item(item) })
    }

    /// An element of `value.errors`: trouble of the number that belongs to no message.
    pub(super) fn account_error(&self, error: &Value) -> Inbound {
        let Some(read) = GraphError::read(error) else {
            return self.unread("an error without a code", error, false);
        };
        let refusal = Refusal::reported(read);
        let effect = match (refusal.error.code, error::classify(&refusal, About::default())) {
            (MARKETING_OFF, _) => Some(AccountEffect::Feature { name: "marketing_disabled".to_owned(), granted: true }),
            // Locked or restricted. Payment and names are mended by people, and no call would say that they are.
            (131_031 | 368, Some(SendError::AccountStopped { .. })) => Some(AccountEffect::Suspended),
            _ => None,
        };
        let notice =
            AccountNotice { what: format!("error {}", refusal.error.code), text: refusal.error.message, effect };
        Inbound { item: Item::AccountNotice(notice), ..self.unread("error", error, false) }
    }

    fn account_notice(&self, effect: Option<AccountEffect>) -> Item {
        let event = text(self.value, "event")
            .or_else(|| text(self.value, "decision"))
            .or_else(|| alert(self.value, "alert_type"));
        let what = event.map_or_else(|| self.field.to_owned(), |event| format!("{}: {event}", self.field));
        Item::AccountNotice(AccountNotice { what: short(&what), text: words(self.value), effect })
    }
}

fn alert<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get("alert_info").and_then(|alert| text(alert, name))
}

/// The notice for people: Meta's own description, or its fields one after the other.
fn words(value: &Value) -> String {
    let shown = |(name, value): (&String, &Value)| match value {
        Value::Null => None,
        Value::String(text) => Some(format!("{name}: {text}")),
        other => Some(format!("{name}: {other}")),
    };
    let fields = || value.as_object().into_iter().flatten().filter_map(shown).collect::<Vec<_>>().join(", ");
    let words = alert(value, "alert_description").map_or_else(fields, str::to_owned);
    words.chars().take(LONGEST_TEXT).collect()
}

/// A limit of the portfolio, from the first of these fields that states one.
fn limit(value: &Value, fields: &[&str]) -> Option<AccountEffect> {
    let tier = fields.iter().find_map(|field| value.get(*field).and_then(Tier::read))?;
    Some(AccountEffect::Limit { quota: MESSAGING_LIMIT.to_owned(), limit: tier.limit() })
}

/// A messaging limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tier {
    /// So many people.
    People(u32),
    /// Everybody.
    Unlimited,
}

impl Tier {
    /// As Meta writes it: `TIER_250`, `TIER_2K`, `TIER_UNLIMITED`, 250 or -1. `None` for what is none of these.
    pub(crate) fn read(value: &Value) -> Option<Self> {
        if let Some(number) = value.as_i64() {
            return match u32::try_from(number) {
                Ok(limit) => Some(Tier::People(limit)).filter(|_| limit > 0),
                Err(_) => (number == -1).then_some(Tier::Unlimited),
            };
        }
        let word = value.as_str()?.trim().to_ascii_uppercase();
        let tier = word.strip_prefix("TIER_").unwrap_or(&word);
        if tier == "UNLIMITED" {
            return Some(Tier::Unlimited);
        }
        let (digits, times) = match (tier.strip_suffix('K'), tier.strip_suffix('M')) {
            (Some(digits), _) => (digits, 1_000),
            (None, Some(digits)) => (digits, 1_000_000),
            (None, None) => (tier, 1),
        };
        let limit: u32 = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())??;
        limit.checked_mul(times).filter(|limit| *limit > 0).map(Tier::People)
    }

    /// The limit; `None`: none at all.
    pub(crate) fn limit(self) -> Option<u32> {
        match self {
            Tier::People(limit) => Some(limit),
            Tier::Unlimited => None,
        }
    }
}

/// Whether the account may still send.
fn standing(value: &Value) -> Option<AccountEffect> {
    let ban = value.get("ban_info");
    // A word, or a list of them.
    let states: Vec<&str> = ban
        .map(|ban| {
            list(ban, "waba_ban_state").iter().filter_map(Value::as_str).chain(text(ban, "waba_ban_state")).collect()
        })
        .unwrap_or_default();
    if states.contains(&"REINSTATE") {
        return Some(AccountEffect::Restored);
    }
    let is_over = states.contains(&"DISABLE") || text(value, "event") == Some("ACCOUNT_DELETED");
    is_over.then_some(AccountEffect::Suspended)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    #[rstest]
    #[case(json!("TIER_50"), Some(Tier::People(50)))]
    #[case(json!("TIER_250"), Some(Tier::People(250)))]
    #[case(json!("TIER_1K"), Some(Tier::People(1_000)))]
    #[case(json!("TIER_2K"), Some(Tier::People(2_000)))]
    #[case(json!("tier_2k"), Some(Tier::People(2_000)))]
    #[case(json!("TIER_10K"), Some(Tier::People(10_000)))]
    #[case(json!("TIER_100K"), Some(Tier::People(100_000)))]
    #[case(json!("TIER_UNLIMITED"), Some(Tier::Unlimited))]
    #[case(json!(250), Some(Tier::People(250)))]
    #[case(json!(-1), Some(Tier::Unlimited))]
    #[case(json!("TIER_NOT_SET"), None)]
    #[case(json!("TIER_"), None)]
    #[case(json!("TIER_99999999999999999999K"), None)]
    #[case(json!(0), None)]
    #[case(json!(null), None)]
    fn tiers_are_read(#[case] written: Value, #[case] expected: Option<Tier>) {
        assert_eq!(Tier::read(&written), expected);
    }
}
