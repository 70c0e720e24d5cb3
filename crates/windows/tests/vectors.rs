//! Runs the public test vectors (R-524) on this crate. `vectors/README.md` says how they read and how another product runs them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use rstest::rstest;
use serde::Deserialize;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use transom_windows::{Policies, Question, QuestionError, evaluate};

/// Every file that there is.
const SETS: [&str; 11] =
    ["email", "instagram", "line", "messenger", "sms", "telegram", "tiktok", "viber", "webchat", "wechat", "whatsapp"];
const AT_LEAST: usize = 25;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Set {
    set: String,
    format: u32,
    /// The policies asked, each with the version for which the expectations were written.
    policy_versions: BTreeMap<String, String>,
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    id: String,
    why: String,
    source: String,
    #[serde(rename = "in")]
    question: Value,
    #[serde(rename = "out")]
    expected: Map<String, Value>,
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

fn text(set: &str) -> String {
    let path = folder().join(format!("{set}.json"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn read(set: &str) -> Set {
    serde_json::from_str(&text(set)).unwrap_or_else(|error| panic!("vectors/{set}.json: {error}"))
}

#[rstest]
fn a_set_holds(
    #[values(
        "email",
        "instagram",
        "line",
        "messenger",
        "sms",
        "telegram",
        "tiktok",
        "viber",
        "webchat",
        "wechat",
        "whatsapp"
    )]
    name: &str,
) {
    let policies = Policies::builtin().unwrap();
    let set = read(name);
    assert_eq!((set.set.as_str(), set.format), (name, 1), "the head of vectors/{name}.json");
    for (policy, version) in &set.policy_versions {
        let known = policies.get(policy).unwrap_or_else(|| panic!("vectors/{name}.json: no policy `{policy}`"));
        assert_eq!(
            known.version(),
            version,
            "`{policy}` has another version: review its vectors, then name that version"
        );
    }
    assert!(set.vectors.len() >= AT_LEAST, "vectors/{name}.json has {}, which is too few", set.vectors.len());
    let failures: Vec<String> = set.vectors.iter().filter_map(|vector| fault(&policies, vector)).collect();
    assert!(failures.is_empty(), "{} of {} fail:\n\n{}", failures.len(), set.vectors.len(), failures.join("\n\n"));
}

#[test]
fn every_file_is_a_set_and_every_vector_a_line() {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let found: BTreeSet<String> = files.filter_map(|name| Some(name.strip_suffix(".json")?.to_owned())).collect();
    assert_eq!(found, SETS.iter().map(|set| (*set).to_owned()).collect());
    let mut ids = BTreeSet::new();
    for name in SETS {
        let (text, set) = (text(name), read(name));
        assert_eq!(text.lines().count(), set.vectors.len() + 2, "vectors/{name}.json: a head, a vector a line, a foot");
        for (vector, line) in set.vectors.iter().zip(text.lines().skip(1)) {
            assert!(line.starts_with(&format!("{{\"id\": \"{}\",", vector.id)), "vectors/{name}.json: {line}");
            assert!(vector.id.starts_with(name) && ids.insert(vector.id.clone()), "{}: not its own id", vector.id);
            assert!(!vector.why.is_empty() && !vector.source.is_empty(), "{}: no reason or no source", vector.id);
        }
    }
}

#[test]
fn every_grant_kind_feature_reason_and_remedy_has_a_vector() {
    let policies = Policies::builtin().unwrap();
    let mut seen = BTreeSet::new();
    let (mut reasons, mut remedies) = (BTreeSet::new(), BTreeSet::new());
    for vector in SETS.into_iter().flat_map(|name| read(name).vectors) {
        let Ok(decision) = answer(&policies, &vector.question) else { continue };
        let (policy, asked) = (decision.policy().name().to_owned(), &vector.question);
        let list = |key: &str| vector.expected.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
        let mut see = |what: &str, name: &Value| seen.insert(format!("{policy}: {what} {}", name.as_str().unwrap()));
        for permit in list("permits") {
            see("permit", &permit["grant"]);
        }
        for refusal in list("refusals") {
            see("refusal", &refusal["grant"]);
            for because in refusal["because"].as_array().unwrap() {
                reasons.insert(because["reason"].to_string());
                remedies.insert(because["remedy"]["kind"].to_string());
            }
        }
        for opening in asked["openings"].as_array().into_iter().flatten() {
            see("kind", &opening["kind"]);
        }
        for feature in asked["account"]["features"].as_array().into_iter().flatten() {
            see("feature", feature);
        }
    }
    let wanted = policies.iter().flat_map(|policy| {
        let grants = policy.grants().iter().map(transom_windows::Grant::name);
        let of = |what: &'static str| move |name: &str| format!("{}: {what} {name}", policy.name());
        grants
            .clone()
            .map(of("permit"))
            .chain(grants.map(of("refusal")))
            .chain(policy.kinds().iter().map(transom_windows::Kind::name).map(of("kind")))
            .chain(policy.features().iter().map(transom_windows::Feature::name).map(of("feature")))
            .collect::<Vec<_>>()
    });
    let missing: Vec<String> = wanted.filter(|name| !seen.contains(name)).collect();
    assert!(missing.is_empty(), "no vector shows\n{}", missing.join("\n"));
    assert_eq!((reasons.len(), remedies.len()), (20, 11), "shown are {reasons:?} and {remedies:?}");
}

#[rstest]
#[case::a_grant_too_many(r#"{"permits": []}"#, "permits")]
#[case::another_basis(r#"{"permits": [{"grant": "chat", "basis": "tagged"}]}"#, "permits[0].basis")]
#[case::another_end(
    r#"{"permits": [{"grant": "chat", "basis": "free_form", "lapses_at": "2026-11-20T10:00:00Z"}]}"#,
    "permits[0].lapses_at"
)]
#[case::another_window(r#"{"window": {"state": "open"}}"#, "window.state")]
#[case::no_such_refusal(r#"{"refusals": [{"grant": "chat", "because": []}]}"#, "refusals.chat")]
#[case::another_reason(
    r#"{"refusals": [{"grant": "join_request", "because": [{"reason": "blocked"}]}]}"#,
    "refusals.join_request"
)]
#[case::another_remedy(
    r#"{"refusals": [{"grant": "join_request", "because": [{"reason": "never_opened", "remedy": {"kind": "wait"}}]}]}"#,
    "refusals.join_request"
)]
#[case::another_turn(r#"{"next_change": "2026-11-20T10:00:00Z"}"#, "next_change")]
#[case::no_list(r#"{"permits": null}"#, "a list")]
#[case::no_error(r#"{"error": {"code": "unknown_kind"}}"#, "error")]
#[case::nothing_expected("{}", "nothing is expected")]
#[case::unknown_key(r#"{"permit": []}"#, "`permit`")]
#[case::unknown_key_of_a_permit(
    r#"{"permits": [{"grant": "chat", "basis": "free_form", "lapses": null}]}"#,
    "`lapses`"
)]
#[case::unknown_key_of_a_remedy(
    r#"{"refusals": [{"grant": "join_request", "because": [{"reason": "never_opened", "remedy": {"kinds": [], "type": 1}}]}]}"#,
    "`type`"
)]
fn a_wrong_expectation_is_reported(#[case] expected: &str, #[case] report: &str) {
    let question = r#"{"platform": "telegram", "now": "2026-11-20T10:00:00Z", "contact": {"wrote_before": true}}"#;
    let vector = Vector {
        id: "telegram-wrong".to_owned(),
        why: "it is wrong".to_owned(),
        source: "none".to_owned(),
        question: serde_json::from_str(question).unwrap(),
        expected: serde_json::from_str(expected).unwrap(),
    };
    let fault = fault(&Policies::builtin().unwrap(), &vector).expect("a fault");
    assert!(fault.starts_with("telegram-wrong: it is wrong") && fault.contains(report), "{fault}");
}

/// What a vector finds wrong, in one text: the vector, then each difference.
fn fault(policies: &Policies, vector: &Vector) -> Option<String> {
    let mut check = Check::default();
    let expected = Value::Object(vector.expected.clone());
    check.keys("out", &expected, &["permits", "window", "refusals", "next_change", "error"]);
    if vector.expected.is_empty() {
        check.differ("out", "nothing is expected", "-");
    }
    match (answer(policies, &vector.question), vector.expected.get("error")) {
        (Err(error), Some(wanted)) => check.error(wanted, &error),
        (Err(error), None) => check.differ("error", "none", &error.to_string()),
        (Ok(_), Some(wanted)) => check.differ("error", &wanted.to_string(), "none"),
        (Ok(decision), None) => check.decision(&expected, &serde_json::to_value(&decision).unwrap()),
    }
    let Vector { id, why, source, question, .. } = vector;
    (!check.0.is_empty()).then(|| format!("{id}: {why} [{source}]\n  in {question}\n{}", check.0.join("\n")))
}

fn answer(policies: &Policies, question: &Value) -> Result<transom_windows::Decision, QuestionError> {
    evaluate(policies, &Question::from_json(&question.to_string())?)
}

/// The differences found.
#[derive(Default)]
struct Check(Vec<String>);

impl Check {
    fn differ(&mut self, at: &str, expected: &str, actual: &str) {
        self.0.push(format!("  {at}\n    expected {expected}\n    actual   {actual}"));
    }

    fn keys(&mut self, at: &str, given: &Value, known: &[&str]) {
        match given.as_object() {
            None => self.differ(at, "an object", &given.to_string()),
            Some(object) => {
                for key in object.keys().filter(|key| !known.contains(&key.as_str())) {
                    self.differ(at, &format!("one of {known:?}"), &format!("the vector says `{key}`"));
                }
            }
        }
    }

    fn list<'v>(&mut self, at: &str, given: &'v Value) -> Vec<&'v Value> {
        if !given.is_array() {
            self.differ(at, "a list", &given.to_string());
        }
        given.as_array().into_iter().flatten().collect()
    }

    fn error(&mut self, expected: &Value, actual: &QuestionError) {
        self.keys("error", expected, &["code", "field"]);
        let code = expected.get("code").and_then(Value::as_str);
        let field = expected.get("field").and_then(Value::as_str);
        if code != Some(actual.code.as_str()) || field.is_some_and(|field| field != actual.field) {
            self.differ("error", &expected.to_string(), &format!("{} at {actual}", actual.code.as_str()));
        }
    }

    fn decision(&mut self, expected: &Value, actual: &Value) {
        if let Some(permits) = expected.get("permits") {
            let (permits, found) = (self.list("permits", permits), self.list("permits", &actual["permits"]));
            self.permits(&in_order(permits), &in_order(found));
        }
        if let Some(window) = expected.get("window") {
            self.keys("window", window, &["state", "opened_at", "closes_at"]);
            self.given("window", window, &actual["window"]);
        }
        if let Some(refusals) = expected.get("refusals") {
            for refusal in self.list("refusals", refusals) {
                self.refusal(refusal, &actual["refusals"]);
            }
        }
        if expected.get("next_change").is_some_and(|next| !same("next_change", next, &actual["next_change"])) {
            self.differ("next_change", &expected["next_change"].to_string(), &actual["next_change"].to_string());
        }
    }

    /// The list is complete, in the order of preference.
    fn permits(&mut self, expected: &[&Value], actual: &[&Value]) {
        let names = |permits: &[&Value]| permits.iter().map(|permit| permit["grant"].to_string()).collect::<Vec<_>>();
        if names(expected) != names(actual) {
            self.differ("permits", &names(expected).join(", "), &names(actual).join(", "));
        }
        for (place, permit) in expected.iter().enumerate() {
            let at = format!("permits[{place}]");
            self.keys(
                &at,
                permit,
                &["grant", "basis", "tag", "categories", "ref", "promotional", "lapses_at", "send_before", "remaining"],
            );
            if let Some(actual) = actual.get(place).filter(|actual| actual["grant"] == permit["grant"]) {
                self.given(&at, permit, actual);
            }
        }
    }

    /// The grant must be refused, for these reasons and no others.
    fn refusal(&mut self, expected: &Value, actual: &Value) {
        let at = format!("refusals.{}", expected["grant"].as_str().unwrap_or("?"));
        self.keys(&at, expected, &["grant", "basis", "because"]);
        let reasons = self.list(&at, &expected["because"]);
        for reason in &reasons {
            self.keys(&at, reason, &["reason", "until", "remedy"]);
            if let Some(remedy) = reason.get("remedy") {
                self.keys(&at, remedy, &["kind", "kinds", "until", "one_of", "max"]);
            }
        }
        let Some(refused) = actual.as_array().unwrap().iter().find(|refused| refused["grant"] == expected["grant"])
        else {
            return self.differ(&at, &expected["because"].to_string(), "it is not refused");
        };
        let found = refused["because"].as_array().unwrap();
        let met = |wanted: &Value| found.iter().any(|reason| contains(wanted, reason));
        let known = |reason: &Value| reasons.iter().any(|wanted| contains(wanted, reason));
        if !reasons.iter().all(|wanted| met(wanted)) || !found.iter().all(known) {
            self.differ(&at, &expected["because"].to_string(), &refused["because"].to_string());
        }
    }

    /// Each key that is given.
    fn given(&mut self, at: &str, expected: &Value, actual: &Value) {
        for (key, wanted) in expected.as_object().into_iter().flatten() {
            if !same(key, wanted, &actual[key.as_str()]) {
                self.differ(&format!("{at}.{key}"), &wanted.to_string(), &actual[key.as_str()].to_string());
            }
        }
    }
}

/// The permits in their order; those of one grant, one for each reference, by reference.
fn in_order(mut permits: Vec<&Value>) -> Vec<&Value> {
    for run in permits.chunk_by_mut(|one, other| one["grant"] == other["grant"]) {
        run.sort_by_key(|permit| permit["ref"].to_string());
    }
    permits
}

/// Whether all that is given is found, at any depth.
fn contains(given: &Value, found: &Value) -> bool {
    let given = given.as_object().into_iter().flatten();
    given.into_iter().all(|(key, wanted)| match wanted {
        Value::Object(_) => contains(wanted, &found[key.as_str()]),
        _ => same(key, wanted, &found[key.as_str()]),
    })
}

/// Whether two values are the same: instants in any offset, sets in any order.
fn same(key: &str, one: &Value, other: &Value) -> bool {
    let instant = |value: &Value| OffsetDateTime::parse(value.as_str()?, &Rfc3339).ok();
    let set = |value: &Value| value.as_array().map(|list| list.iter().map(Value::to_string).collect::<BTreeSet<_>>());
    match key {
        "lapses_at" | "send_before" | "opened_at" | "closes_at" | "next_change" | "until" if one.is_string() => {
            instant(one).is_some() && instant(one) == instant(other)
        }
        "categories" | "kinds" | "one_of" if one.is_array() => set(one) == set(other),
        _ => one == other,
    }
}
