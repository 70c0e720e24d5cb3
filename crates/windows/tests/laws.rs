//! The engine's laws, each over any policy and any history.
//!
//! `TRANSOM_LAW_FACTOR` multiplies the cases. The seed is fixed in `.cargo/config.toml`; `PROPTEST_RNG_SEED=random` draws new ones.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod support;

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::Index;
use support::twin::Twin;
use support::{SOMEBODY, any as some, facts, keys, permitted};
use time::{Duration, OffsetDateTime};
use transom_windows::{
    Account, Ask, Blocker, Category, Decision, Event, Facts, OptOutScope, Policy, Reason, Refusal, Remedy, Scope, What,
};

fn config(cases: u32) -> ProptestConfig {
    let factor: u32 = std::env::var("TRANSOM_LAW_FACTOR").ok().and_then(|factor| factor.parse().ok()).unwrap_or(1);
    ProptestConfig {
        cases: cases * factor,
        max_local_rejects: u32::MAX,
        max_shrink_iters: 20_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn case(most: usize) -> impl Strategy<Value = (Policy, Vec<Event>)> {
    some::policy().prop_flat_map(move |policy| {
        let history = some::history(&policy, most);
        (Just(policy), history)
    })
}

fn end(history: &[Event]) -> OffsetDateTime {
    history.iter().map(|event| event.at).max().unwrap_or(some::START)
}

fn told(policy: &Policy, history: &[Event]) -> String {
    let events: Vec<String> = history.iter().map(|event| format!("{} {:?}", event.at, event.what)).collect();
    format!("{}\n{}", policy.text(), events.join("\n"))
}

const NANO: Duration = Duration::NANOSECOND;

proptest! {
    #![proptest_config(config(1_500))]

    /// Law 1: what is permitted is the same at every instant before `next_change`, and differs at it; `null` is never.
    #[test]
    fn nothing_changes_before_the_next_change((policy, history) in case(12), ask in some::ask(), after in some::step(), at in any::<Index>()) {
        let facts = facts(&policy, &history);
        let now = end(&history) + after;
        let decision = policy.decide(&facts, ask, now);
        let permits = keys(&decision);
        let next = decision.next_change().unwrap_or(now + Duration::days(400));
        prop_assert!(next > now, "{next} is not after {now}");

        let mut points = some::turning_points(&policy, &history);
        points.extend([next, next - NANO, now + (next - now) / 2, now + (next - now) / 3]);
        points.retain(|point| *point >= now && *point < next);
        let mut probes = vec![next - NANO];
        if !points.is_empty() {
            probes.extend((0..6).map(|step| points[(at.index(points.len()) + step * 7) % points.len()]));
        }
        for probe in probes {
            prop_assert_eq!(&permitted(&policy, &facts, ask, probe), &permits, "at {}, next change {}\n{}", probe, next, told(&policy, &history));
        }
        if decision.next_change().is_some() {
            prop_assert_ne!(permitted(&policy, &facts, ask, next), permits, "nothing changes at {}\n{}", next, told(&policy, &history));
        }
    }

    /// Law 2: if nothing happens, a permit comes only at a quota's turn or release, a date in force, or a cool-down's end.
    #[test]
    fn without_events_a_permit_comes_only_at_a_turn((policy, history) in case(12), ask in some::ask(), after in some::step()) {
        let facts = facts(&policy, &history);
        let timeline = policy.timeline(&facts, ask, end(&history) + after);
        let turns = turns(&policy, &history);
        for pair in timeline.windows(2) {
            let [before, then] = pair else { unreachable!() };
            let keys = |permits: &[transom_windows::PermitRecord]| -> BTreeSet<_> {
                permits.iter().map(|permit| (permit.grant.clone(), permit.reference.clone())).collect()
            };
            prop_assert_eq!(before.until, Some(then.from));
            if !keys(&then.permits).is_subset(&keys(&before.permits)) {
                prop_assert!(turns(then.from), "grows at {}\n{}", then.from, told(&policy, &history));
            }
        }
        prop_assert_eq!(timeline.last().and_then(|last| last.until), None);
    }

    /// Law 3: an event of the customer takes nothing away, and an opt-out, a block or an unsubscription gives nothing.
    #[test]
    fn the_customers_events_only_add((policy, history) in case(10), ask in some::ask(), kind in any::<Index>(), gap in some::step()) {
        let before = facts(&policy, &history);
        let at = end(&history) + gap;
        let now = at + NANO;

        let kind = kind.get(policy.kinds());
        let mut opened = before.clone();
        let opening = if kind.needs_ref() { Event::opening_of(at, kind.name(), "fresh") } else { Event::opening(at, kind.name()) };
        opened.apply(&policy, &opening).unwrap();
        let had = permitted(&policy, &before, ask, now);
        // What a policy says in so many words is the exception: the event ends that grant and no other.
        let ends = |name: &str| policy.grants().iter().any(|grant| grant.name() == name && policy.ended_by(grant).any(|ender| ender == kind.name()));
        let kept: BTreeSet<_> = had.iter().filter(|(grant, _)| !ends(grant)).cloned().collect();
        prop_assert!(kept.is_subset(&permitted(&policy, &opened, ask, now)), "`{}` took something away\n{}", kind.name(), told(&policy, &history));

        for what in [
            What::OptOut { scope: OptOutScope::Marketing },
            What::OptOut { scope: OptOutScope::All },
            What::Blocked { by: Blocker::Us },
            What::Blocked { by: Blocker::Customer },
            What::Unsubscribed,
            What::Unreachable { reason: "bounced".to_owned() },
        ] {
            let mut less = before.clone();
            less.apply(&policy, &Event::new(at, what.clone())).unwrap();
            prop_assert!(permitted(&policy, &less, ask, now).is_subset(&had), "{what:?} gave something\n{}", told(&policy, &history));
        }
    }

    /// Law 4: whoever sends only by permits passes no quota.
    #[test]
    fn permits_pass_no_quota(policy in some::policy(), steps in prop::collection::vec((some::step(), any::<Index>(), some::ask(), 0_u8..4), 1..30)) {
        let twin = Twin::read(policy.text());
        let (mut history, mut at) = (Vec::new(), some::START);
        let mut account = Account { features: all_features(&policy), ..Account::default() };
        let mut facts = Facts::new(SOMEBODY, &policy);
        for (number, (step, index, ask, act)) in steps.into_iter().enumerate() {
            at += step.max(NANO);
            let mut apply = |event: Event| {
                facts.apply(&policy, &event).unwrap();
                history.push(event);
            };
            apply(Event::new(at, What::Account { account: Box::new(account.clone()) }));
            if act == 0 {
                let kind = index.get(policy.kinds());
                let reference = format!("right {number}");
                apply(if kind.needs_ref() { Event::opening_of(at, kind.name(), &reference) } else { Event::opening(at, kind.name()) });
            }
            let permits: Vec<_> = policy.permits(&facts, ask, at).map(|allowed| allowed.permit()).collect();
            if permits.is_empty() {
                continue;
            }
            let permit = index.get(&permits);
            let sent = What::Sent { id: number as u128, grant: permit.grant().to_owned(), reference: permit.reference().map(str::to_owned), cost: ask.costs() };
            let event = Event::new(at, sent);
            facts.apply(&policy, &event).unwrap();
            history.push(event);
            for spend in &permit.spends() {
                if spend.scope == Scope::Identity {
                    continue;
                }
                let usage = account.quotas.entry(spend.quota.clone()).or_default();
                let period = Some(spend.period.clone()).filter(|period| period != "rolling");
                if usage.period != period {
                    *usage = transom_windows::Usage { period, ..Default::default() };
                }
                usage.used += spend.cost;
                usage.counts_me = true;
                prop_assert!(spend.limit.is_none_or(|limit| usage.used <= limit), "{}: {} of {:?}\n{}", spend.quota, usage.used, spend.limit, told(&policy, &history));
            }
            prop_assert_eq!(twin.passed(&history, at), None, "{}", told(&policy, &history));
        }
    }

    /// Law 5: with all remedies of a refusal applied, the grant holds.
    #[test]
    fn the_remedies_of_a_refusal_help((policy, history) in case(12), ask in some::ask(), after in some::step(), pick in any::<Index>()) {
        let known = facts(&policy, &history);
        let now = end(&history) + after;
        let decision = policy.decide(&known, ask, now);
        for refusal in decision.refusals() {
            let remedies: Vec<Remedy> = refusal.because().map(|because| because.remedy()).collect();
            prop_assert!(!remedies.is_empty());
            if remedies.contains(&Remedy::None) {
                continue;
            }
            let cured = cure(&policy, &known, ask, now, refusal, &remedies, pick);
            let (permits, at) = cured;
            prop_assert!(
                permits.permit(refusal.grant()).is_some(),
                "`{}` refused at {} for {:?} still does not hold at {}: {:?}\n{}",
                refusal.grant(), now, refusal.because().map(|because| (because.reason(), because.remedy())).collect::<Vec<_>>(), at,
                permits.refusals().iter().find(|again| again.grant() == refusal.grant()).map(|again| again.because().map(|because| (because.reason(), because.detail().into_owned())).collect::<Vec<_>>()),
                told(&policy, &history),
            );
        }
    }

    /// Law 6: neither the order of events nor their repeats make a difference.
    #[test]
    fn order_and_repeats_make_no_difference((policy, history) in case(12), seed in any::<u64>(), ask in some::ask()) {
        prop_assume!(end(&history) - some::START < Duration::days(29));
        let straight = facts(&policy, &history);
        let mut events: Vec<&Event> = history.iter().chain(&history).collect();
        let mut state = seed | 1;
        for place in (1..events.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            events.swap(place, usize::try_from(state >> 33).unwrap() % (place + 1));
        }
        let mixed = facts(&policy, events);
        prop_assert_eq!(straight.snapshot(), mixed.snapshot(), "{}", told(&policy, &history));
        let now = end(&history);
        prop_assert_eq!(json(&policy.decide(&straight, ask, now)), json(&policy.decide(&mixed, ask, now)));
    }

    /// Facts survive storage: the same data again, and the same answers.
    #[test]
    fn facts_survive_storage((policy, history) in case(12), ask in some::ask(), after in some::step()) {
        let known = facts(&policy, &history);
        let stored = serde_json::to_string(&known.snapshot()).unwrap();
        let (read, dropped) = Facts::restore(SOMEBODY, &policy, &serde_json::from_str(&stored).unwrap());
        prop_assert_eq!(&dropped, &[]);
        prop_assert_eq!(read.snapshot(), known.snapshot());
        let now = end(&history) + after;
        prop_assert_eq!(json(&policy.decide(&read, ask, now)), json(&policy.decide(&known, ask, now)));
    }

    /// The whole answer names every grant exactly once, as permitted or as refused, and says the same as the permits alone.
    #[test]
    fn every_grant_is_answered((policy, history) in case(12), ask in some::ask(), after in some::step()) {
        let known = facts(&policy, &history);
        let now = end(&history) + after;
        let decision = policy.decide(&known, ask, now);
        prop_assert_eq!(keys(&decision), permitted(&policy, &known, ask, now));
        for grant in policy.grants() {
            let refused = decision.refusals().iter().filter(|refusal| refusal.grant() == grant.name()).count();
            prop_assert_eq!(refused == 0, decision.permit(grant.name()).is_some());
            prop_assert!(refused <= 1);
        }
        for permit in decision.permits() {
            prop_assert_eq!(permit.remaining().is_none_or(|left| left >= 1), true);
            prop_assert!(permit.lapses_at().is_none_or(|lapses| lapses > now));
            prop_assert!(permit.send_before() <= permit.lapses_at());
        }
        // Facts of another policy are read again by their names, never by their numbers.
        let again = Policy::parse("again.toml", policy.text()).unwrap();
        prop_assert_eq!(permitted(&again, &known, ask, now), keys(&decision));
        prop_assert_eq!(json(&again.decide(&known, ask, now)), json(&decision));
    }
}

fn json(decision: &Decision) -> serde_json::Value {
    serde_json::to_value(decision).unwrap()
}

fn all_features(policy: &Policy) -> BTreeSet<String> {
    let text: toml::Table = policy.text().parse().unwrap();
    let grants = text["grant"].as_array().unwrap().iter();
    let unless: BTreeSet<String> =
        grants.flat_map(|grant| words(grant.as_table().unwrap(), "unless", "feature:")).collect();
    policy.features().iter().map(|feature| feature.name().to_owned()).filter(|name| !unless.contains(name)).collect()
}

/// The words of a list that begin with a prefix, without it.
fn words(grant: &toml::Table, key: &str, prefix: &str) -> Vec<String> {
    let list = grant.get(key).and_then(toml::Value::as_array).into_iter().flatten();
    list.filter_map(|word| word.as_str().unwrap().strip_prefix(prefix)).map(str::to_owned).collect()
}

/// Whether an instant is one at which a permit may come by itself.
fn turns(policy: &Policy, history: &[Event]) -> impl Fn(OffsetDateTime) -> bool {
    let spans: Vec<Duration> = policy
        .quotas()
        .iter()
        .filter_map(|quota| match quota.per() {
            transom_windows::Per::Rolling(span) | transom_windows::Per::RollingSinceOpening(span) => Some(span),
            _ => None,
        })
        .collect();
    let mut instants: Vec<OffsetDateTime> =
        policy.grants().iter().filter_map(transom_windows::Grant::in_force_from).collect();
    for event in history {
        match &event.what {
            What::Sent { .. } => instants.extend(spans.iter().map(|span| event.at + *span)),
            What::Refused { sent_at, .. } => instants.extend(spans.iter().map(|span| *sent_at + *span)),
            What::Cooling { until, .. } => instants.push(*until),
            What::Account { account } => instants.extend(account.quotas.values().filter_map(|usage| usage.frees_at)),
            _ => {}
        }
    }
    let zones: Vec<i32> = policy
        .quotas()
        .iter()
        .filter(|quota| matches!(quota.per(), transom_windows::Per::Month | transom_windows::Per::Day))
        .map(transom_windows::Quota::zone_seconds)
        .collect();
    move |at| {
        instants.contains(&at)
            || zones.iter().any(|zone| (at + Duration::seconds((*zone).into())).time() == time::Time::MIDNIGHT)
    }
}

/// Applies every remedy and decides again.
fn cure(
    policy: &Policy,
    known: &Facts,
    ask: Ask,
    now: OffsetDateTime,
    refusal: &Refusal,
    remedies: &[Remedy],
    pick: Index,
) -> (Decision, OffsetDateTime) {
    let (mut facts, mut ask) = (known.clone(), ask);
    let text: toml::Table = policy.text().parse().unwrap();
    let grant = text["grant"]
        .as_array()
        .unwrap()
        .iter()
        .map(|grant| grant.as_table().unwrap())
        .find(|grant| grant["name"].as_str() == Some(refusal.grant()))
        .unwrap();
    let until = remedies
        .iter()
        .filter_map(|remedy| if let Remedy::Wait { until } = remedy { Some(*until) } else { None })
        .max();
    // What is done about it comes after everything that happened, and an event just ahead of the clock counts.
    let at = until.unwrap_or(now).max(now);
    let event_at = at + NANO;
    let mut account = facts.snapshot().account;
    let mut events = Vec::new();
    for because in refusal.because() {
        let mut apply = |what: What| events.push(Event::new(event_at, what));
        match &because.remedy() {
            Remedy::CustomerEvent { kinds } => {
                let kind = pick.get(kinds);
                let needs_ref = policy.kinds().iter().any(|known| known.name() == kind && known.needs_ref());
                apply(What::Opening { kind: kind.clone(), reference: needs_ref.then(|| "fresh".to_owned()) });
            }
            Remedy::Wait { .. } => {}
            Remedy::Sender { one_of } => {
                let again = Ask::by(one_of.iter().next().unwrap()).cost(ask.costs());
                ask = ask.about().map_or(again, |category| again.category(category));
            }
            Remedy::Feature => account.features.extend(words(grant, "needs", "feature:")),
            Remedy::Consent if because.reason() == Reason::NotConsented => apply(What::Consent { given: true }),
            Remedy::Consent => apply(What::OptIn { scope: OptOutScope::All }),
            Remedy::Unblock => apply(What::Unblocked { by: Blocker::Us }),
            Remedy::Subscribe => apply(What::Subscribed),
            Remedy::Template => {
                let carried =
                    grant["basis"].as_table().and_then(|basis| basis.get("template")).and_then(toml::Value::as_array);
                let carried = carried.into_iter().flatten().map(|word| word.as_str().unwrap().to_owned());
                let needed = words(grant, "needs", "template:");
                let excluded = words(grant, "unless", "template:");
                let more = carried.chain(needed).filter(|word| !excluded.contains(word));
                let more = more.map(|word| word.parse::<Category>().unwrap());
                account.templates.get_or_insert_default().extend(more);
            }
            Remedy::Account => {
                account.suspended = None;
                let excluded = words(grant, "unless", "feature:");
                account.features.retain(|feature| !excluded.contains(feature));
                account.limits.values_mut().filter(|limit| **limit == Some(0)).for_each(|limit| *limit = None);
                for excluded in words(grant, "unless", "template:") {
                    let all = || Category::ALL.iter().copied().collect();
                    account.templates.get_or_insert_with(all).remove(&excluded.parse().unwrap());
                }
            }
            Remedy::Smaller { max } => {
                let again = Ask::by(ask.sender()).cost(ask.costs().min(*max));
                ask = ask.about().map_or(again, |category| again.category(category));
            }
            Remedy::None => unreachable!(),
        }
    }
    facts.set_account(policy, &account);
    for event in &events {
        facts.apply(policy, event).unwrap();
    }
    (policy.decide(&facts, ask, at), at)
}
