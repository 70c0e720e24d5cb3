//! A permit is for one person, until an instant, and for nothing else.

#![allow(clippy::unwrap_used, reason = "a test")]

use time::{Duration, OffsetDateTime, macros::datetime};
use transom_windows::{Account, Ask, Event, Facts, Permit, Policies, Policy, Scope, Sender, Subject, Usage, What};

const NOW: OffsetDateTime = datetime!(2026-11-20 10:00 UTC);

fn policy(name: &str) -> Policy {
    Policies::builtin().unwrap().get(name).unwrap().clone()
}

fn permit(policy: &Policy, grant: &str, cost: u32, events: &[Event]) -> Permit {
    let mut facts = Facts::new(Subject::new(7), policy);
    for event in events {
        facts.apply(policy, event).unwrap();
    }
    policy.decide(&facts, Ask::by(Sender::Human).cost(cost), NOW).permit(grant).unwrap().clone()
}

#[test]
fn it_is_for_one_person_until_its_margin() {
    let permit =
        permit(&policy("whatsapp"), "customer_service", 1, &[Event::opening(NOW - Duration::hours(23), "message")]);
    let end = NOW + Duration::hours(1) - Duration::minutes(1);
    assert_eq!(permit.send_before(), Some(end));
    assert!(permit.is_valid_for(Subject::new(7), NOW));
    assert!(permit.is_valid_for(Subject::new(7), end - Duration::NANOSECOND));
    assert!(!permit.is_valid_for(Subject::new(7), end), "inside the margin");
    assert!(!permit.is_valid_for(Subject::new(8), NOW), "another person");
    assert!(!permit.is_valid_for(Subject::new(7), NOW - Duration::minutes(1)), "decided for later");
}

#[test]
fn it_travels_between_threads_and_says_what_it_is() {
    fn travels<T: Clone + Send + Sync + std::fmt::Debug + 'static>(_: &T) {}
    let permit = permit(&policy("messenger"), "private_reply", 1, &[Event::opening_of(NOW, "comment", "c-1")]);
    travels(&permit);
    assert_eq!((permit.basis().tag(), permit.reference()), (Some("private_reply"), Some("c-1")));
    assert_eq!(
        (permit.policy().name(), permit.subject(), permit.sender()),
        ("messenger", Subject::new(7), Sender::Human)
    );
    assert!(format!("{permit:?}").contains("private_reply"));
    let record = permit.record();
    let stored: transom_windows::PermitRecord = serde_json::from_str(&serde_json::to_string(&record).unwrap()).unwrap();
    assert_eq!(stored, record);
    assert_eq!(
        (stored.grant.as_str(), stored.reference.as_deref(), stored.decided_at),
        ("private_reply", Some("c-1"), NOW)
    );
}

/// What a storage layer reserves: which quota, whose, in which stretch of time, how much, of how much.
#[test]
fn it_names_what_it_spends() {
    let spends = |policy: &str, grant: &str, event: Event| {
        let spends = permit(&self::policy(policy), grant, 2, &[event]).spends();
        spends
            .into_iter()
            .map(|spend| (spend.quota, spend.scope, spend.period, spend.cost, spend.limit))
            .collect::<Vec<_>>()
    };
    let opened = NOW - Duration::hours(30);
    assert_eq!(
        spends("viber", "initiated", Event::opening(opened, "message")),
        [
            ("monthly_free".to_owned(), Scope::Account, "2026-11".to_owned(), 2, Some(10_000)),
            ("unanswered_per_hour".to_owned(), Scope::Identity, "rolling".to_owned(), 2, Some(100)),
        ]
    );
    assert_eq!(
        spends("wechat", "message", Event::opening(opened, "message")),
        [("message_count".to_owned(), Scope::Identity, "since 2026-11-19T04:00:00Z".to_owned(), 2, Some(20))]
    );
    assert_eq!(
        spends("whatsapp", "utility_template", Event::opening(opened, "message")),
        [("messaging_limit".to_owned(), Scope::Group, "rolling".to_owned(), 1, Some(250))],
        "people are counted once, whatever the message costs"
    );
    assert_eq!(
        spends("whatsapp", "utility_template", Event::opening(NOW, "message")),
        [],
        "nothing is counted in an open window"
    );
}

/// A month is spent in the account's zone, and a new month starts at nothing.
#[test]
fn accounts_are_counted_by_their_ledger() {
    let line = policy("line");
    let mut facts = Facts::new(Subject::new(7), &line);
    facts.apply(&line, &Event::opening(NOW, "follow")).unwrap();
    let usage = Usage { used: 199, period: Some("2026-11".to_owned()), ..Usage::default() };
    let account = Account { quotas: [("monthly_messages".to_owned(), usage)].into(), ..Account::default() };
    assert_eq!(facts.set_account(&line, &account), []);
    let remaining = |now| line.permits(&facts, Ask::by(Sender::Human), now).next().unwrap().remaining();
    assert_eq!(remaining(NOW), Some(1));
    assert_eq!(remaining(datetime!(2026-11-30 15:00 UTC)), Some(200));
}

/// A late event neither gives messages back nor eats any.
#[test]
fn a_count_starts_with_the_customers_own_time() {
    let wechat = policy("wechat");
    let sent = |id: u128, at| Event::new(at, What::Sent { id, grant: "message".to_owned(), reference: None, cost: 1 });
    let mut facts = Facts::new(Subject::new(7), &wechat);
    for event in [
        Event::opening(NOW - Duration::hours(5), "message"),
        sent(1, NOW - Duration::hours(4)),
        sent(2, NOW - Duration::hours(2)),
        sent(2, NOW - Duration::hours(2)),
    ] {
        facts.apply(&wechat, &event).unwrap();
    }
    let remaining = |facts: &Facts| wechat.permits(facts, Ask::by(Sender::Human), NOW).next().unwrap().remaining();
    assert_eq!(remaining(&facts), Some(18), "a repeat counts once");
    facts.apply(&wechat, &Event::opening(NOW - Duration::hours(3), "message")).unwrap();
    assert_eq!(remaining(&facts), Some(19), "the message sent after the late one still counts");
    facts.apply(&wechat, &Event::opening(NOW - Duration::hours(9), "message")).unwrap();
    assert_eq!(remaining(&facts), Some(19), "an older one changes nothing");
}

/// Facts that are read again under a changed policy lose only what that policy no longer has.
#[test]
fn a_changed_policy_makes_nobody_unreadable() {
    let old = policy("instagram");
    let mut facts = Facts::new(Subject::new(7), &old);
    for event in
        [Event::opening(NOW, "message"), Event::opening(NOW, "reaction"), Event::opening_of(NOW, "comment", "c-1")]
    {
        facts.apply(&old, &event).unwrap();
    }
    let reaction = old.text().lines().filter(|line| !line.starts_with("reaction ")).collect::<Vec<_>>().join("\n");
    let new = Policy::parse("instagram.toml", &reaction).unwrap();
    let (read, dropped) = Facts::restore(Subject::new(7), &new, &facts.snapshot());
    let dropped: Vec<String> = dropped.iter().map(ToString::to_string).collect();
    assert_eq!(dropped, ["openings: the policy `instagram` has no `reaction`"]);
    assert_eq!(new.permits(&read, Ask::by(Sender::Human), NOW).count(), 2);
    let unknown = facts.apply(&new, &Event::opening(NOW, "reaction")).unwrap_err();
    assert_eq!(unknown.to_string(), "the policy `instagram` has no kind `reaction`");
}
