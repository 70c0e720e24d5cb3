//! Each platform's rules at their edges, as questions: one nanosecond before, at, and after.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use rstest::rstest;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime, macros::datetime};
use transom_windows::{
    Ask, Decision, Event, Facts, Policies, Question, Reason, Sender, Subject, What, WindowState, evaluate,
};

const OPENED: OffsetDateTime = datetime!(2026-11-19 10:00 UTC);
const NANO: Duration = Duration::NANOSECOND;

fn decide(question: Value) -> Decision {
    let question: Question = serde_json::from_value(question).unwrap();
    evaluate(&Policies::builtin().unwrap(), &question).unwrap()
}

/// The question of somebody who did one thing at `OPENED`, asked some time later.
fn asked(policy: &str, kind: &str, after: Duration, sender: &str) -> Value {
    let policies = Policies::builtin().unwrap();
    let policy = policies.get(policy).unwrap();
    let needs_ref = policy.kinds().iter().any(|known| known.name() == kind && known.needs_ref());
    json!({
        "platform": policy.platform(), "policy": policy.name(), "sender": sender, "now": text(OPENED + after),
        "openings": [{"kind": kind, "at": text(OPENED), "ref": needs_ref.then_some("4711")}]
    })
}

fn text(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap()
}

fn grants(decision: &Decision) -> Vec<&str> {
    decision.permits().iter().map(transom_windows::Permit::grant).collect()
}

fn reasons(decision: &Decision, grant: &str) -> Vec<Reason> {
    let refusal = decision.refusals().iter().find(|refusal| refusal.grant() == grant);
    refusal.into_iter().flat_map(transom_windows::Refusal::because).map(|because| because.reason()).collect()
}

/// Whatever a kind of event opens, it opens for exactly that long.
#[rstest]
#[case("whatsapp", "message", "human", "customer_service", Duration::hours(24))]
#[case("whatsapp", "call", "bot", "customer_service", Duration::hours(24))]
#[case("messenger", "message", "bot", "standard", Duration::hours(24))]
#[case("messenger", "postback", "automation", "standard", Duration::hours(24))]
#[case("messenger", "reaction", "human", "standard", Duration::hours(24))]
#[case("messenger", "comment", "bot", "private_reply", Duration::days(7))]
#[case("messenger", "visitor_post", "human", "private_reply", Duration::days(7))]
#[case("instagram", "story_mention", "human", "standard", Duration::hours(24))]
#[case("instagram", "comment", "human", "private_reply", Duration::days(7))]
#[case("viber", "message", "human", "session", Duration::hours(24))]
#[case("viber_sliding", "message", "human", "session", Duration::hours(24))]
#[case("viber_business", "message", "human", "session", Duration::hours(24))]
#[case("wechat", "message", "human", "message", Duration::hours(48))]
#[case("wechat", "payment", "human", "payment", Duration::hours(48))]
#[case("wechat", "menu_click", "human", "interaction", Duration::minutes(1))]
#[case("wechat", "follow", "broadcast", "interaction", Duration::minutes(1))]
#[case("wechat", "scan", "bot", "interaction", Duration::minutes(1))]
#[case("tiktok", "message", "human", "reply", Duration::hours(48))]
#[case("tiktok_b", "answer", "human", "dialogue", Duration::hours(48))]
#[case("telegram", "join_request", "bot", "join_request", Duration::minutes(5))]
#[case("telegram_business", "message", "human", "business_chat", Duration::hours(24))]
#[case("line", "reply_token", "bot", "reply", Duration::seconds(50))]
#[case("line", "message", "human", "push_to_writer", Duration::days(7))]
#[case("webchat", "visit", "automation", "invitation", Duration::minutes(1))]
fn a_window_is_half_open(
    #[case] policy: &str,
    #[case] kind: &str,
    #[case] sender: &str,
    #[case] grant: &str,
    #[case] within: Duration,
) {
    for (after, open) in [(Duration::ZERO, true), (within - NANO, true), (within, false), (within + NANO, false)] {
        let decision = decide(asked(policy, kind, after, sender));
        assert_eq!(grants(&decision).contains(&grant), open, "{policy} {kind} after {after}: {:?}", grants(&decision));
        if open {
            let permit = decision.permit(grant).unwrap();
            assert_eq!(permit.lapses_at(), Some(OPENED + within));
            let margin = permit.lapses_at().unwrap() - permit.send_before().unwrap();
            assert_eq!(
                margin,
                if policy == "whatsapp" { Duration::minutes(1) } else { Duration::seconds(5).min(within / 10) }
            );
        } else {
            assert_eq!(reasons(&decision, grant), [Reason::WindowOver]);
        }
    }
}

/// What opens nothing.
#[rstest]
#[case("whatsapp", "reaction")]
#[case("whatsapp", "edit")]
#[case("messenger", "comment")]
#[case("instagram", "live_comment")]
#[case("instagram", "reaction")]
#[case("viber", "follow")]
#[case("wechat", "menu_view")]
#[case("wechat", "location")]
#[case("tiktok", "comment")]
#[case("tiktok", "referral")]
fn some_events_open_no_window(#[case] policy: &str, #[case] kind: &str) {
    let decision = decide(asked(policy, kind, Duration::minutes(1), "human"));
    assert_eq!(decision.window().state, WindowState::NeverOpened, "{:?}", grants(&decision));
}

#[rstest]
#[case("telegram")]
#[case("line")]
#[case("webchat")]
#[case("sms")]
#[case("email")]
fn some_platforms_have_no_window(#[case] policy: &str) {
    for after in [Duration::ZERO, Duration::days(4_000)] {
        let decision = decide(asked(policy, "message", after, "human"));
        assert_eq!(decision.window().state, WindowState::None);
        assert!(
            decision.first().is_some_and(|permit| permit.basis().as_str() == "free_form"),
            "{:?}",
            grants(&decision)
        );
    }
}

#[test]
fn a_persons_answer_has_seven_days_where_the_app_has_the_feature() {
    for platform in ["messenger", "instagram"] {
        let at = |after: Duration, sender: &str, features: Value| {
            let mut question = asked(platform, "message", after, sender);
            question["account"] = json!({"features": features});
            decide(question)
        };
        let on = json!(["human_agent"]);
        let day = Duration::hours(24);
        assert!(grants(&at(day, "human", on.clone())).contains(&"human_agent"));
        assert_eq!(at(day, "human", on.clone()).window().closes_at, Some(OPENED + Duration::days(7)));
        assert!(!grants(&at(Duration::days(7), "human", on.clone())).contains(&"human_agent"));
        assert!(!grants(&at(day, "bot", on.clone())).contains(&"human_agent"), "never a machine");
        assert_eq!(reasons(&at(day, "broadcast", on.clone()), "human_agent"), [Reason::SenderKind]);
        assert_eq!(reasons(&at(day, "human", json!([])), "human_agent"), [Reason::FeatureOff]);

        let mut promotion = asked(platform, "message", day, "human");
        promotion["account"] = json!({"features": ["human_agent"]});
        promotion["message"] = json!({"category": "marketing"});
        assert_eq!(reasons(&decide(promotion), "human_agent"), [Reason::Category]);
    }
}

/// The three message tags ended on a date: they hold before it and not at it.
#[test]
fn the_message_tags_ended_on_a_date() {
    let at = |now: &str, sender: &str| {
        decide(
            json!({"platform": "messenger", "now": now, "sender": sender, "openings": [{"kind": "message", "at": "2026-01-01T00:00:00Z"}]}),
        )
    };
    let tags = ["confirmed_event_update", "account_update", "post_purchase_update"];
    for sender in ["human", "bot", "automation"] {
        let before = at("2026-04-26T23:59:59.999999999Z", sender);
        assert!(tags.iter().all(|tag| grants(&before).contains(tag)));
        assert_eq!(before.next_change(), Some(datetime!(2026-04-27 0:00 UTC)));
        assert_eq!(before.permit("account_update").unwrap().lapses_at(), Some(datetime!(2026-04-27 0:00 UTC)));
        let after = at("2026-04-27T00:00:00Z", sender);
        assert_eq!(grants(&after), ["utility_template"]);
        assert_eq!(reasons(&after, "account_update"), [Reason::NotInForce]);
    }
}

#[test]
fn wechat_counts_in_two_buckets() {
    let question = |sent: u32, limit: Value| {
        let mut question = asked("wechat", "message", Duration::minutes(1), "human");
        question["openings"][0]["sent_since"] = json!(sent);
        question["account"] = json!({"limits": limit});
        decide(question)
    };
    assert_eq!(question(19, json!({})).permit("message").unwrap().remaining(), Some(1));
    let used = question(20, json!({}));
    assert_eq!(reasons(&used, "message"), [Reason::QuotaUsed]);
    assert_eq!(
        (used.window().state, used.window().closes_at),
        (WindowState::Closed, None),
        "a used-up count has no closing time"
    );
    assert_eq!(question(4, json!({"message_count": 5})).permit("message").unwrap().remaining(), Some(1));
    assert!(question(5, json!({"message_count": 5})).permit("message").is_none());

    // A tap, a follow and a scan share one count, which the latest starts anew.
    let shared = |scanned: &str| {
        decide(json!({"platform": "wechat", "now": "2026-11-19T10:00:50Z", "openings": [
            {"kind": "menu_click", "at": "2026-11-19T10:00:00Z", "sent_since": 3},
            {"kind": "scan", "at": scanned, "sent_since": 0}]}))
    };
    assert_eq!(shared("2026-11-19T10:00:30Z").permit("interaction").unwrap().remaining(), Some(3));
    assert!(shared("2026-11-19T09:59:59Z").permit("interaction").is_none());
    assert_eq!(
        decide(asked("wechat", "payment", Duration::hours(47), "human")).permit("payment").unwrap().remaining(),
        None
    );

    let mut left = asked("wechat", "message", Duration::minutes(1), "human");
    left["contact"] = json!({"subscribed": false});
    assert!(grants(&decide(left)).is_empty(), "whoever unfollowed gets nothing");
}

#[test]
fn viber_counts_what_it_starts() {
    let outside = |account: Value| {
        let mut question = asked("viber", "message", Duration::hours(30), "human");
        question["account"] = account;
        decide(question)
    };
    let used = |used: u32| json!({"monthly_free": {"used": used, "period": "2026-11"}});
    assert_eq!(outside(json!({"quotas": used(9_999)})).permit("initiated").unwrap().remaining(), Some(1));
    assert!(grants(&outside(json!({"quotas": used(10_000)}))).is_empty());
    assert_eq!(grants(&outside(json!({"quotas": used(10_000), "features": ["commercial_terms"]}))), ["initiated_paid"]);
    assert!(grants(&outside(json!({"features": ["no_free_messages"]}))).is_empty());
    assert_eq!(grants(&outside(json!({"features": ["no_free_messages", "commercial_terms"]}))), ["initiated_paid"]);
    assert!(grants(&outside(json!({"features": ["no_free_messages", "commercial_terms", "no_balance"]}))).is_empty());

    // A session is counted from the message that opened it; later ones change nothing until it ends.
    let session = |policy: &str| {
        decide(json!({"platform": "viber", "policy": policy, "now": "2026-11-20T10:00:00Z", "openings": [
            {"kind": "message", "at": "2026-11-20T09:00:00Z", "first_at": "2026-11-19T10:00:00Z"}]}))
    };
    assert_eq!(grants(&session("viber")), ["initiated"]);
    assert_eq!(grants(&session("viber_sliding")), ["session", "initiated"]);

    let hourly = |used: u32| {
        let mut question = asked("viber", "message", Duration::minutes(30), "human");
        question["account"] =
            json!({"quotas": {"unanswered_per_hour": {"used": used, "frees_at": text(OPENED + Duration::hours(1))}}});
        decide(question)
    };
    assert_eq!(hourly(99).permit("session").unwrap().remaining(), Some(1));
    assert!(grants(&hourly(100)).is_empty());
    assert_eq!(hourly(100).next_change(), Some(OPENED + Duration::hours(1)));
}

#[test]
fn whatsapps_limit_counts_people_outside_an_open_window_only() {
    let portfolio = |after: Duration, counts_me: bool| {
        let mut question = asked("whatsapp", "message", after, "broadcast");
        let usage = json!({"used": 250, "frees_at": text(OPENED + Duration::hours(40)), "counts_me": counts_me});
        question["account"] = json!({"quotas": {"messaging_limit": usage}});
        decide(question)
    };
    let inside = portfolio(Duration::hours(1), false);
    assert_eq!(inside.permit("utility_template").unwrap().remaining(), None, "nothing is counted inside");
    assert_eq!(
        inside.permit("utility_template").unwrap().lapses_at(),
        Some(OPENED + Duration::hours(24)),
        "and outside there is no room"
    );
    assert!(inside.permit("utility_template").unwrap().spends().is_empty());
    assert!(grants(&portfolio(Duration::hours(24), false)).is_empty());
    assert_eq!(portfolio(Duration::hours(24), false).next_change(), Some(OPENED + Duration::hours(40)));
    assert_eq!(grants(&portfolio(Duration::hours(24), true)).len(), 3, "somebody counted already costs nothing");
    assert_eq!(grants(&portfolio(Duration::hours(40), false)).len(), 3);
}

#[test]
fn whatsapps_marketing_has_bars_of_its_own() {
    let marketing = |contact: Value, cooling: Value, account: Value| {
        let mut question = asked("whatsapp", "message", Duration::hours(30), "broadcast");
        question["message"] = json!({"category": "marketing"});
        question["contact"] = contact;
        question["cooling"] = cooling;
        question["account"] = account;
        decide(question)
    };
    let none = || json!({});
    assert_eq!(grants(&marketing(none(), none(), none())), ["marketing_template"]);
    assert_eq!(reasons(&marketing(none(), none(), none()), "utility_template"), [Reason::Category]);
    assert_eq!(reasons(&marketing(json!({"country": "US"}), none(), none()), "marketing_template"), [Reason::Country]);
    assert_eq!(
        reasons(&marketing(json!({"opted_out": "marketing"}), none(), none()), "marketing_template"),
        [Reason::OptedOut]
    );
    assert_eq!(
        reasons(&marketing(json!({"consented": false}), none(), none()), "marketing_template"),
        [Reason::NotConsented]
    );
    assert_eq!(
        reasons(&marketing(none(), none(), json!({"templates": ["utility"]})), "marketing_template"),
        [Reason::NoTemplate]
    );
    assert_eq!(
        reasons(&marketing(none(), none(), json!({"features": ["marketing_disabled"]})), "marketing_template"),
        [Reason::SwitchedOff]
    );
    let until = text(OPENED + Duration::hours(31));
    let cooling = marketing(none(), json!({"marketing": until}), none());
    assert_eq!(reasons(&cooling, "marketing_template"), [Reason::CoolingDown]);
    assert_eq!(cooling.next_change(), Some(OPENED + Duration::hours(31)));

    let mut stopped = asked("whatsapp", "message", Duration::hours(30), "bot");
    stopped["contact"] = json!({"opted_out": "marketing"});
    assert_eq!(
        grants(&decide(stopped)),
        ["utility_template", "authentication_template"],
        "the rest still goes through"
    );
}

#[test]
fn tiktok_counts_ten_and_minds_countries() {
    let question = |sent: u32, contact: Value, account: Value| {
        let mut question = asked("tiktok", "message", Duration::hours(1), "human");
        question["openings"][0]["sent_since"] = json!(sent);
        question["contact"] = contact;
        question["account"] = account;
        decide(question)
    };
    assert_eq!(question(9, json!({}), json!({})).permit("reply").unwrap().remaining(), Some(1));
    assert_eq!(reasons(&question(10, json!({}), json!({})), "reply"), [Reason::QuotaUsed]);
    for country in ["DE", "NO", "CH", "GB"] {
        assert_eq!(reasons(&question(0, json!({"country": country}), json!({})), "reply"), [Reason::Country]);
        assert_eq!(reasons(&question(0, json!({}), json!({"country": country})), "reply"), [Reason::Country]);
    }
    assert_eq!(grants(&question(0, json!({"country": "BR"}), json!({"country": "TR"}))), ["reply"]);
}

/// What went into a silence that was none is not among the three.
#[test]
fn tiktoks_silence_is_counted_from_its_end_whenever_we_hear_of_it() {
    let policies = Policies::builtin().unwrap();
    let policy = policies.get("tiktok_b").unwrap();
    let mut facts = Facts::new(Subject::new(1), policy);
    let apply = |facts: &mut Facts, after: Duration, what: What| {
        facts.apply(policy, &Event::new(OPENED + after, what)).unwrap();
    };
    let message = || What::Opening { kind: "message".into(), reference: None };
    let sent = |id, grant: &str| What::Sent { id, grant: grant.into(), reference: None, cost: 1 };
    let left = |facts: &Facts, after: Duration| {
        let decision = policy.decide(facts, Ask::by(Sender::Human), OPENED + after);
        decision.permit("inactive").map(transom_windows::Permit::remaining)
    };
    apply(&mut facts, Duration::ZERO, message());
    apply(&mut facts, Duration::hours(1), sent(1, "initial"));
    apply(&mut facts, Duration::hours(2), message());
    apply(&mut facts, Duration::hours(51), sent(2, "inactive"));
    apply(&mut facts, Duration::hours(52), sent(3, "inactive"));
    assert_eq!(left(&facts, Duration::hours(53)), Some(Some(1)));

    // Told late: the customer wrote at the tenth hour, so that the dialogue lasted until the 58th.
    apply(&mut facts, Duration::hours(10), message());
    assert_eq!(left(&facts, Duration::hours(53)), Some(None), "nothing counts while it lasts");
    let end = Duration::hours(58);
    assert_eq!(left(&facts, end), Some(Some(3)));
    apply(&mut facts, end - NANO, sent(4, "inactive"));
    assert_eq!(left(&facts, end), Some(Some(3)), "the last nanosecond of the dialogue");
    for (id, remaining) in [(5, Some(Some(2))), (6, Some(Some(1))), (7, None)] {
        apply(&mut facts, end, sent(id, "inactive"));
        assert_eq!(left(&facts, end), remaining);
    }

    // Whoever keeps the count elsewhere hears from which instant it is taken.
    apply(&mut facts, Duration::hours(100), message());
    let silence = policy.decide(&facts, Ask::by(Sender::Human), OPENED + Duration::hours(150));
    let spends = silence.permit("inactive").map(transom_windows::Permit::spends).unwrap_or_default();
    let taken: Vec<_> = spends.iter().map(|spend| (spend.quota.as_str(), spend.period.clone())).collect();
    assert_eq!(taken, [("inactive_count", format!("since {}", text(OPENED + Duration::hours(148))))]);
}

#[test]
fn lines_month_turns_in_tokyo() {
    let used = |now: &str| {
        decide(json!({"platform": "line", "now": now, "openings": [{"kind": "follow", "at": "2026-01-01T00:00:00Z"}],
            "account": {"quotas": {"monthly_messages": {"used": 200, "period": "2026-11"}}}}))
    };
    assert!(grants(&used("2026-11-30T14:59:59.999999999Z")).is_empty());
    assert_eq!(used("2026-11-30T14:59:59.999999999Z").next_change(), Some(datetime!(2026-11-30 15:00 UTC)));
    assert_eq!(grants(&used("2026-11-30T15:00:00Z")), ["push"]);
    let unlimited = decide(json!({"platform": "line", "now": "2026-11-20T10:00:00Z", "contact": {"subscribed": true},
        "account": {"limits": {"monthly_messages": null}, "quotas": {"monthly_messages": {"used": 5_000_000}}}}));
    assert_eq!(unlimited.permit("push").unwrap().remaining(), None);
}

#[rstest]
#[case("sms")]
#[case("email")]
#[case("whatsapp")]
#[case("webchat")]
fn an_opt_out_of_everything_bars_everything(#[case] policy: &str) {
    let mut question = asked(policy, "message", Duration::minutes(1), "human");
    question["contact"] = json!({"opted_out": "all"});
    let decision = decide(question);
    assert!(grants(&decision).is_empty());
    assert!(
        decision.refusals().iter().all(|refusal| refusal.because().any(|because| because.reason() == Reason::OptedOut))
    );
}

#[test]
fn an_unsubscribe_from_mail_leaves_answers() {
    let mut question = asked("email", "message", Duration::days(90), "human");
    question["contact"] = json!({"opted_out": "marketing"});
    let decision = decide(question);
    assert_eq!(grants(&decision), ["answer"]);
    assert_eq!(reasons(&decision, "unsolicited"), [Reason::OptedOut]);
}

#[test]
fn blocks_suspensions_and_dead_addresses_bar_everything() {
    for (part, value, reason) in [
        ("contact", json!({"blocked": "by_us"}), Reason::Blocked),
        ("contact", json!({"blocked": "by_customer"}), Reason::Blocked),
        ("contact", json!({"unreachable": "deactivated"}), Reason::Unreachable),
        ("account", json!({"suspended": "policy"}), Reason::AccountSuspended),
    ] {
        for policy in Policies::builtin().unwrap().iter() {
            let mut question = asked(policy.name(), "message", Duration::ZERO, "human");
            question[part] = value.clone();
            let decision = decide(question);
            assert!(grants(&decision).is_empty(), "{}", policy.name());
            assert!(
                decision.refusals().iter().all(|refusal| refusal.because().any(|because| because.reason() == reason))
            );
        }
    }
}

/// A refused message is evidence: what was opened before it is over, and a later event opens it again.
#[test]
fn a_refusal_ends_what_was_opened_before() {
    let refused = |at: OffsetDateTime| {
        let mut question = asked("whatsapp", "message", Duration::hours(2), "human");
        question["refused"] = json!({"customer_service": text(at)});
        decide(question)
    };
    assert_eq!(reasons(&refused(OPENED + NANO), "customer_service"), [Reason::RefusedByPlatform]);
    assert_eq!(refused(OPENED + NANO).window().state, WindowState::Closed);
    assert!(refused(OPENED - NANO).permit("customer_service").is_some());
}

/// A leap day is a day like any other, and a policy may change while a window is open.
#[test]
fn spans_are_elapsed_time() {
    let leap = decide(
        json!({"platform": "instagram", "now": "2028-02-29T09:59:59.999999999Z", "openings": [{"kind": "message", "at": "2028-02-28T10:00:00Z"}]}),
    );
    assert_eq!(leap.permit("standard").unwrap().lapses_at(), Some(datetime!(2028-02-29 10:00 UTC)));
    let mut policies = Policies::builtin().unwrap();
    let halved =
        policies.get("instagram").unwrap().text().replacen("within       = \"24h\"", "within       = \"12h\"", 1);
    policies.add("instagram.toml", &halved).unwrap();
    let question = json!({"platform": "instagram", "now": "2026-11-20T00:00:00Z", "openings": [{"kind": "message", "at": text(OPENED)}]});
    let question: Question = serde_json::from_value(question).unwrap();
    assert!(evaluate(&policies, &question).unwrap().permit("standard").is_none());
    assert!(evaluate(&Policies::builtin().unwrap(), &question).unwrap().permit("standard").is_some());
}
