//! The decision as JSON, to the letter: the form of the question, what is left out, the form of the answer, the errors.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use rstest::rstest;
use serde_json::{Value, json};
use transom_windows::{Policies, Question, QuestionError, evaluate};

fn answer(question: &Value) -> Value {
    serde_json::to_value(decided(question).unwrap()).unwrap()
}

fn decided(question: &Value) -> Result<transom_windows::Decision, QuestionError> {
    evaluate(&Policies::builtin().unwrap(), &Question::from_json(&question.to_string())?)
}

fn permits(answer: &Value) -> Vec<&str> {
    answer["permits"].as_array().unwrap().iter().map(|permit| permit["grant"].as_str().unwrap()).collect()
}

#[test]
fn the_answer_has_exactly_this_form() {
    let question = json!({
        "platform": "wechat", "policy": null, "now": "2026-11-20T10:00:00Z", "sender": "human", "message": {"category": null, "cost": 1},
        "openings": [{"kind": "message", "at": "2026-11-19T10:00:00Z", "first_at": null, "sent_since": 3, "ref": null}],
        "contact": {"wrote_before": true, "subscribed": true, "consented": true, "blocked": null, "opted_out": "none", "unreachable": null, "country": null},
        "account": {"suspended": null, "country": null, "features": [], "templates": ["utility"], "limits": {"message_count": 5},
                    "quotas": {"template_daily": {"used": 9999, "period": "2026-11-20", "frees_at": null, "counts_me": false}}},
        "refused": {}, "cooling": {}
    });
    assert_eq!(
        answer(&question),
        json!({
            "platform": "wechat", "policy": "wechat", "policy_version": "2026-11-21.4",
            "permits": [{
                "grant": "message", "basis": "free_form", "tag": null, "categories": null, "ref": null, "promotional": true,
                "lapses_at": "2026-11-21T10:00:00Z", "send_before": "2026-11-21T09:59:55Z", "remaining": 2
            }],
            "window": {"state": "open", "opened_at": "2026-11-19T10:00:00Z", "closes_at": "2026-11-21T10:00:00Z"},
            "refusals": [
                {"grant": "interaction", "basis": "free_form", "because": [{
                    "reason": "never_opened", "detail": "the customer has not done anything that opens it", "until": null,
                    "remedy": {"kind": "customer_event", "kinds": ["menu_click", "follow", "scan"]}
                }]},
                {"grant": "payment", "basis": "free_form", "because": [{
                    "reason": "never_opened", "detail": "the customer has not done anything that opens it", "until": null,
                    "remedy": {"kind": "customer_event", "kinds": ["payment"]}
                }]},
                {"grant": "template", "basis": "template", "because": [{
                    "reason": "feature_off", "detail": "the account needs the feature `service_account`", "until": null,
                    "remedy": {"kind": "feature"}
                }]},
                {"grant": "subscription_notice", "basis": "template", "because": [
                    {"reason": "feature_off", "detail": "the account needs the feature `subscription_notice`", "until": null, "remedy": {"kind": "feature"}},
                    {"reason": "never_opened", "detail": "the customer has not done anything that opens it", "until": null,
                     "remedy": {"kind": "customer_event", "kinds": ["template_grant"]}}
                ]},
                {"grant": "passive_reply", "basis": "tagged", "because": [
                    {"reason": "feature_off", "detail": "the account needs the feature `webhook_reply`", "until": null, "remedy": {"kind": "feature"}},
                    {"reason": "sender_kind", "detail": "this kind of sender may not use it", "until": null,
                     "remedy": {"kind": "sender", "one_of": ["bot", "automation"]}},
                    {"reason": "never_opened", "detail": "the customer has not done anything that opens it", "until": null,
                     "remedy": {"kind": "customer_event", "kinds": ["webhook_call"]}}
                ]}
            ],
            "next_change": "2026-11-21T10:00:00Z"
        })
    );
}

#[test]
fn a_template_a_tag_and_a_right_of_its_own_are_spelt_out() {
    let viber = answer(&json!({"platform": "viber", "policy": "viber_business", "now": "2026-11-20T10:00:00Z"}));
    let template = &viber["permits"][0];
    assert_eq!((&template["basis"], &template["tag"]), (&json!("template"), &json!(null)));
    assert_eq!(template["categories"], json!(["utility", "authentication"]));
    assert_eq!(
        (&template["lapses_at"], &template["send_before"], &template["remaining"]),
        (&json!(null), &json!(null), &json!(null))
    );

    let line = answer(&json!({"platform": "line", "now": "2026-11-20T10:00:00Z",
        "openings": [{"kind": "reply_token", "at": "2026-11-20T09:59:30Z", "ref": "token-1"}]}));
    let reply = &line["permits"][0];
    assert_eq!(
        (&reply["basis"], &reply["tag"], &reply["ref"]),
        (&json!("tagged"), &json!("reply_token"), &json!("token-1"))
    );
    assert_eq!(
        (&reply["lapses_at"], &reply["send_before"]),
        (&json!("2026-11-20T10:00:20Z"), &json!("2026-11-20T10:00:15Z"))
    );
    assert_eq!(reply["remaining"], json!(1));
}

#[test]
fn all_but_platform_and_now_may_be_left_out() {
    let least = answer(&json!({"platform": "whatsapp", "now": "2026-11-20T10:00:00Z"}));
    assert_eq!(
        permits(&least),
        ["utility_template", "authentication_template", "marketing_template"],
        "consented, with every template"
    );
    assert_eq!(least["window"], json!({"state": "never_opened", "opened_at": null, "closes_at": null}));
    assert_eq!(least["next_change"], json!(null));

    // wrote_before and subscribed follow from the openings, unless they are given.
    let telegram = |contact: Value, kind: &str| {
        answer(&json!({"platform": "telegram", "now": "2026-11-20T10:00:00Z", "contact": contact,
            "openings": [{"kind": kind, "at": "2020-01-01T00:00:00Z"}]}))
    };
    assert_eq!(permits(&telegram(json!({}), "message")), ["chat"]);
    assert!(permits(&telegram(json!({"wrote_before": false}), "message")).is_empty());
    assert!(permits(&telegram(json!({}), "follow")).is_empty());
    let line = |kind: &str| {
        answer(
            &json!({"platform": "line", "now": "2026-11-20T10:00:00Z", "openings": [{"kind": kind, "at": "2020-01-01T00:00:00Z"}]}),
        )
    };
    assert_eq!(permits(&line("follow")), ["push"]);
    assert_eq!(permits(&line("message")), ["push"]);
    assert!(permits(&answer(&json!({"platform": "line", "now": "2026-11-20T10:00:00Z"}))).is_empty());
}

#[test]
fn another_period_than_nows_counts_as_nothing_used() {
    let viber = |period: Value| {
        answer(&json!({"platform": "viber", "now": "2026-11-30T23:59:59.999999999Z", "contact": {"subscribed": true},
            "account": {"quotas": {"monthly_free": {"used": 10_000, "period": period}}}}))
    };
    assert!(permits(&viber(json!("2026-11"))).is_empty());
    assert!(permits(&viber(json!(null))).is_empty(), "a period left out is now's");
    assert_eq!(permits(&viber(json!("2026-10"))), ["initiated"]);
    assert_eq!(viber(json!("2026-11"))["next_change"], json!("2026-12-01T00:00:00Z"));
    assert_eq!(
        viber(json!("2026-12"))["permits"][0]["lapses_at"],
        json!("2026-12-01T00:00:00Z"),
        "next month is full already"
    );
}

#[test]
fn an_event_ahead_of_the_clock_counts_as_open() {
    let ahead = answer(&json!({"platform": "instagram", "now": "2026-11-20T10:00:00Z", "sender": "bot",
        "openings": [{"kind": "message", "at": "2026-11-20T10:03:00Z"}]}));
    assert_eq!(permits(&ahead), ["standard"]);
    assert_eq!(ahead["window"]["closes_at"], json!("2026-11-21T10:03:00Z"));
}

#[rstest]
#[case::no_json("{", "malformed", "question")]
#[case::no_object("[]", "malformed", "question")]
#[case::no_platform(r#"{"now": "2026-11-20T10:00:00Z"}"#, "malformed", "question")]
#[case::no_instant(r#"{"platform": "line", "now": "today"}"#, "malformed", "question")]
#[case::unknown_field(
    r#"{"platform": "line", "now": "2026-11-20T10:00:00Z", "openings": [], "opening": []}"#,
    "malformed",
    "question"
)]
#[case::unknown_contact_field(
    r#"{"platform": "line", "now": "2026-11-20T10:00:00Z", "contact": {"vip": true}}"#,
    "malformed",
    "question"
)]
#[case::unknown_sender(
    r#"{"platform": "line", "now": "2026-11-20T10:00:00Z", "sender": "robot"}"#,
    "malformed",
    "question"
)]
#[case::unknown_category(
    r#"{"platform": "line", "now": "2026-11-20T10:00:00Z", "message": {"category": "spam"}}"#,
    "malformed",
    "question"
)]
#[case::bad_country(
    r#"{"platform": "line", "now": "2026-11-20T10:00:00Z", "contact": {"country": "Japan"}}"#,
    "malformed",
    "question"
)]
#[case::negative_use(
    r#"{"platform": "line", "now": "2026-11-20T10:00:00Z", "account": {"quotas": {"monthly_messages": {"used": -1}}}}"#,
    "malformed",
    "question"
)]
#[case::unknown_platform(r#"{"platform": "icq", "now": "2026-11-20T10:00:00Z"}"#, "unknown_platform", "platform")]
#[case::unknown_policy(
    r#"{"platform": "viber", "policy": "viper", "now": "2026-11-20T10:00:00Z"}"#,
    "unknown_policy",
    "policy"
)]
#[case::foreign_policy(
    r#"{"platform": "viber", "policy": "line", "now": "2026-11-20T10:00:00Z"}"#,
    "unknown_policy",
    "policy"
)]
#[case::unknown_kind(r#"{"platform": "line", "now": "2026-11-20T10:00:00Z", "openings": [{"kind": "massage", "at": "2026-11-20T10:00:00Z"}]}"#, "unknown_kind", "openings[0].kind")]
#[case::no_reference(r#"{"platform": "line", "now": "2026-11-20T10:00:00Z", "openings": [{"kind": "reply_token", "at": "2026-11-20T10:00:00Z"}]}"#, "invalid_value", "openings[0].ref")]
#[case::backwards(r#"{"platform": "viber", "now": "2026-11-20T10:00:00Z", "openings": [{"kind": "message", "at": "2026-11-20T10:00:00Z", "first_at": "2026-11-20T10:00:01Z"}]}"#, "invalid_value", "openings[0].first_at")]
#[case::unknown_feature(
    r#"{"platform": "line", "now": "2026-11-20T10:00:00Z", "account": {"features": ["standby", "sitdown"]}}"#,
    "unknown_feature",
    "account.features[1]"
)]
#[case::unknown_limit(
    r#"{"platform": "line", "now": "2026-11-20T10:00:00Z", "account": {"limits": {"daily": 1}}}"#,
    "unknown_quota",
    "account.limits.daily"
)]
#[case::unknown_quota(
    r#"{"platform": "line", "now": "2026-11-20T10:00:00Z", "account": {"quotas": {"daily": {"used": 1}}}}"#,
    "unknown_quota",
    "account.quotas.daily"
)]
#[case::bad_period(r#"{"platform": "line", "now": "2026-11-20T10:00:00Z", "account": {"quotas": {"monthly_messages": {"used": 1, "period": "2026-11-20"}}}}"#, "invalid_value", "account.quotas.monthly_messages")]
#[case::counted_by_openings(
    r#"{"platform": "wechat", "now": "2026-11-20T10:00:00Z", "account": {"quotas": {"message_count": {"used": 1}}}}"#,
    "invalid_value",
    "account.quotas.message_count"
)]
#[case::unknown_grant(
    r#"{"platform": "line", "now": "2026-11-20T10:00:00Z", "refused": {"pull": "2026-11-20T10:00:00Z"}}"#,
    "unknown_grant",
    "refused.pull"
)]
#[case::unknown_cooling(
    r#"{"platform": "line", "now": "2026-11-20T10:00:00Z", "cooling": {"spam": "2026-11-20T10:00:00Z"}}"#,
    "malformed",
    "question"
)]
#[case::costs_nothing(
    r#"{"platform": "line", "now": "2026-11-20T10:00:00Z", "message": {"cost": 0}}"#,
    "invalid_value",
    "message.cost"
)]
fn a_wrong_question_says_what_is_wrong(#[case] question: &str, #[case] code: &str, #[case] field: &str) {
    let asked = Question::from_json(question).and_then(|question| evaluate(&Policies::builtin().unwrap(), &question));
    let Err(error) = asked else { panic!("it is answered") };
    assert_eq!((error.code.as_str(), error.field.as_str()), (code, field), "{error}");
    assert!(!error.message.is_empty());
}

#[test]
fn an_error_names_what_is_expected() {
    let error = decided(&json!({"platform": "telegram", "now": "2026-11-20T10:00:00Z", "openings": [{"kind": "massage", "at": "2026-11-20T10:00:00Z"}]})).unwrap_err();
    assert!(
        error.to_string().contains("openings[0].kind: `massage` is not known here: `message`, `callback`"),
        "{error}"
    );
    let error = decided(&json!({"platform": "icq", "now": "2026-11-20T10:00:00Z"})).unwrap_err();
    assert!(error.to_string().contains("`email`, `instagram`"), "{error}");
}
