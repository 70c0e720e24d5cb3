//! What is said of a contact, as facts that can be put together and taken apart.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use uuid::Uuid;

pub(super) const DISPLAY_NAME: &str = "display_name";
pub(super) const PROFILE: &str = "profile.";
pub(super) const LABEL: &str = "label.";
pub(super) const FIELD: &str = "field.";
/// The agent whom the contact belongs to.
pub(super) const AGENT: &str = "agent";

/// A fact about a contact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Told {
    pub(super) text: String,
    /// For what a profile says: when it was told, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) at: Option<i64>,
    /// For what a profile says: who wrote it, unless a platform did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) by: Option<String>,
}

/// Facts by their names: [`DISPLAY_NAME`], or one of the prefixes and what it is about.
pub(super) type Facts = BTreeMap<String, Told>;

/// The kept one's word counts, the other's fills the gaps.
pub(super) fn merged(kept: &Facts, gone: &Facts) -> Facts {
    let mut all = gone.clone();
    all.extend(kept.clone());
    all
}

/// Each fact that nobody touched since the merge is what it was before; what was told since stays.
pub(super) fn given_back(before: &Facts, became: &Facts, now: &Facts) -> Facts {
    let text = |facts: &Facts, name: &str| facts.get(name).map(|told| told.text.clone());
    let names: BTreeSet<&String> = before.keys().chain(became.keys()).chain(now.keys()).collect();
    let fact = |name: &String| {
        let untouched = text(now, name) == text(became, name);
        let told = if untouched { before.get(name) } else { now.get(name) };
        told.map(|told| (name.clone(), told.clone()))
    };
    names.into_iter().filter_map(fact).collect()
}

pub(super) fn field_of(name: &str) -> Option<Uuid> {
    name.strip_prefix(FIELD)?.parse().ok()
}

/// The columns `profile`, `profile_at` and `profile_by`; `at` keeps when emptied fields were.
pub(super) fn profile_of(facts: &Facts, at: &Json) -> (Json, Json, Json) {
    let (mut profile, mut by) = (Map::new(), Map::new());
    let mut times = at.as_object().cloned().unwrap_or_default();
    for (name, told) in facts {
        let Some(field) = name.strip_prefix(PROFILE) else { continue };
        profile.insert(field.to_owned(), told.text.clone().into());
        times.extend(told.at.map(|at| (field.to_owned(), at.into())));
        by.extend(told.by.clone().map(|by| (field.to_owned(), by.into())));
    }
    (Json::Object(profile), Json::Object(times), Json::Object(by))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn facts() -> impl Strategy<Value = Facts> {
        let told = "[ab]".prop_map(|text| Told { text, at: None, by: None });
        prop::collection::btree_map("[p-t]", told, 0..5)
    }

    proptest! {
        #![proptest_config(ProptestConfig { rng_seed: proptest::test_runner::RngSeed::Fixed(522), ..ProptestConfig::default() })]

        #[test]
        fn taken_back_at_once_it_never_was(kept in facts(), gone in facts()) {
            let became = merged(&kept, &gone);
            prop_assert!(kept.iter().all(|(name, told)| became.get(name) == Some(told)), "the kept one's word counts");
            prop_assert!(gone.keys().all(|name| became.contains_key(name)), "and the other's fills the gaps");
            prop_assert_eq!(given_back(&kept, &became, &became), kept);
        }

        #[test]
        fn what_was_told_since_stays(kept in facts(), gone in facts(), name in "[p-t]", text in "[cd]") {
            let became = merged(&kept, &gone);
            let mut now = became.clone();
            now.insert(name.clone(), Told { text: text.clone(), at: None, by: None });
            let back = given_back(&kept, &became, &now);
            prop_assert_eq!(&back.get(&name).unwrap().text, &text);
            let others = |facts: &Facts| facts.iter().filter(|(other, _)| **other != name).map(|(a, b)| (a.clone(), b.clone())).collect::<Facts>();
            prop_assert_eq!(others(&back), others(&kept));
        }
    }
}
