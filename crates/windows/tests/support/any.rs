//! Any policy, any history, any instant that matters.

use std::collections::BTreeMap;
use std::fmt::Write;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use time::{Duration, OffsetDateTime, macros::datetime};
use transom_windows::{
    Account, Ask, Blocker, Category, Event, OptOutScope, PlatformRefusal, Policies, Policy, Sender, Usage, What,
};

/// A policy that comes with the crate, or one made up of everything a policy can say.
pub fn policy() -> impl Strategy<Value = Policy> {
    prop_oneof![2 => built_in(), 3 => made_up()]
}

pub fn built_in() -> impl Strategy<Value = Policy> {
    let all: Vec<Policy> = Policies::builtin().unwrap().iter().cloned().collect();
    select(all)
}

pub fn made_up() -> impl Strategy<Value = Policy> {
    let parts = (vec(quota(), 0..4), vec(grant(), 1..5), any::<bool>(), any::<bool>());
    parts.prop_filter_map("the policy contradicts itself", |(quotas, grants, every, answers)| {
        let text = document(&quotas, &grants, every, answers);
        Policy::parse("made_up.toml", &text).ok()
    })
}

fn document(quotas: &[String], grants: &[Vec<String>], every: bool, answers: bool) -> String {
    let mut text = String::from(
        "name = 'made_up'\nplatform = 'made_up'\nversion = '1'\nabout = 'any'\nsources = [{ document = 'none' }]\n",
    );
    if every {
        text += "a_refusal_ends = 'every_opening'\n";
    }
    text += "[kinds]\n\
             note = { implies = ['wrote_before', 'subscribed', 'reachable'] }\n\
             tap = { implies = ['subscribed'] }\n\
             call = { implies = ['reachable'] }\n\
             look = {}\n\
             ticket = {}\n";
    if answers {
        text += "answer = { after_a_message_of_ours = 'note' }\n";
    }
    let all = grants.concat().concat();
    let features = ["gold", "silver"].into_iter().filter(|name| all.contains(name));
    text += "[features]\n";
    for feature in features {
        writeln!(text, "{feature} = 'any'").unwrap();
    }
    for (number, quota) in quotas.iter().enumerate() {
        // Only what some grant spends may be declared.
        if all.contains(&format!("'q{number}'")) {
            write!(text, "[[quota]]\nname = 'q{number}'\n{quota}").unwrap();
        }
    }
    for (number, lines) in grants.iter().enumerate() {
        write!(text, "[[grant]]\nname = 'g{number}'\n{}", lines.concat()).unwrap();
    }
    text
}

fn quota() -> impl Strategy<Value = String> {
    let limit = 0_u32..6;
    let counts = select(vec!["requests", "recipients", "distinct_recipients"]);
    let scope = select(vec!["identity", "account", "group"]);
    let per = prop_oneof![
        4 => Just("per = 'opening'\n".to_owned()),
        1 => select(vec!["UTC", "+09:00", "-05:30"]).prop_map(|zone| format!("per = 'month'\nzone = '{zone}'\n")),
        1 => select(vec!["UTC", "+08:00"]).prop_map(|zone| format!("per = 'day'\nzone = '{zone}'\n")),
        1 => select(SPANS.to_vec()).prop_map(|span| format!("per = {{ rolling = '{span}' }}\n")),
        2 => select(SPANS.to_vec())
            .prop_map(|span| format!("per = {{ rolling_since_opening = '{span}' }}\nreset_by = ['note', 'call']\n")),
    ];
    let free = prop::option::weighted(0.2, Just("free_within = 'g0'\n"));
    (per, limit, counts, scope, free).prop_map(|(per, limit, counts, scope, free)| {
        let own = per.contains("opening");
        let scope = if own { "identity" } else { scope };
        let free = free.unwrap_or_default();
        format!("{per}limit = {}\nscope = '{scope}'\ncounts = '{counts}'\n{free}", limit.max(1))
    })
}

const SPANS: [&str; 6] = ["50s", "1m", "1h", "24h", "48h", "7d"];

fn grant() -> impl Strategy<Value = Vec<String>> {
    let basis = prop_oneof![
        3 => Just("basis = 'free_form'\n".to_owned()),
        1 => Just("basis = 'initiated'\n".to_owned()),
        1 => Just("basis = { tagged = 'TAG' }\n".to_owned()),
        2 => select(vec!["'marketing'", "'utility'", "'utility', 'marketing'", "'authentication'"])
            .prop_map(|list| format!("basis = {{ template = [{list}] }}\n")),
    ];
    let by = prop::option::weighted(0.2, select(vec!["['human']", "['human', 'bot']", "['broadcast', 'automation']"]));
    let by = by.prop_map(|by| by.map(|by| format!("by = {by}\n")).unwrap_or_default());
    let opened = prop_oneof![
        2 => Just(String::new()),
        3 => (select(vec!["'note'", "'note', 'call'", "'tap'", "'tap', 'call', 'note'"]), select(SPANS.to_vec()), ended())
            .prop_map(|(kinds, span, ended)| format!("opened_by = [{kinds}]\ncounted_from = 'latest'\nwithin = '{span}'\n{ended}")),
        1 => (select(vec!["'answer'", "'note'"]), ended())
            .prop_map(|(kind, ended)| format!("opened_by = [{kind}]\ncounted_from = 'latest'\n{ended}")),
        2 => (select(vec!["'call'", "'note', 'call'"]), select(SPANS.to_vec()))
            .prop_map(|(kinds, span)| format!("opened_by = [{kinds}]\ncounted_from = 'first'\nwithin = '{span}'\n")),
        2 => prop::option::of(select(SPANS.to_vec())).prop_map(|span| {
            let within = span.map(|span| format!("within = '{span}'\n")).unwrap_or_default();
            format!("opened_by = ['ticket']\ncounted_from = 'each'\n{within}")
        }),
    ];
    let words = ["wrote_before", "subscribed", "consented", "feature:gold", "template:utility"];
    let needs = list("needs", select(words.to_vec()), 0.25);
    let words = ["unsubscribed", "consented", "feature:silver", "template:marketing", "opted_out:marketing"];
    let unless = list("unless", select(words.to_vec()), 0.2);
    let spends = list("spends", select(vec!["q0", "q1", "q2", "q3"]), 0.5);
    let countries = prop::option::weighted(
        0.2,
        select(vec!["only = ['AT']", "except = ['AT', 'US']", "except = ['US'], of = ['account']"]),
    );
    let countries =
        countries.prop_map(|list| list.map(|list| format!("countries = {{ {list} }}\n")).unwrap_or_default());
    let promotional = any::<bool>().prop_map(|promotional| format!("promotional = {promotional}\n"));
    let dates = [
        "from = 2026-03-03T00:00:00Z",
        "until = 2026-03-04T00:00:00Z",
        "from = 2026-03-02T12:00:00Z, until = 2026-03-09T00:00:00Z",
    ];
    let in_force = prop::option::weighted(0.2, select(dates.to_vec()));
    let in_force =
        in_force.prop_map(|dates| dates.map(|dates| format!("in_force = {{ {dates} }}\n")).unwrap_or_default());
    (basis, by, opened, needs, unless, spends, countries, promotional, in_force).prop_map(
        |(basis, by, opened, needs, unless, spends, countries, promotional, in_force)| {
            vec![basis, by, opened, needs, unless, spends, countries, promotional, in_force]
        },
    )
}

fn ended() -> impl Strategy<Value = &'static str> {
    prop_oneof![3 => Just(""), 1 => Just("ended_by = ['look']\n")]
}

fn list(key: &'static str, words: impl Strategy<Value = &'static str>, often: f64) -> impl Strategy<Value = String> {
    prop::option::weighted(often, vec(words, 1..3)).prop_map(move |words| match words {
        None => String::new(),
        Some(mut words) => {
            words.sort_unstable();
            words.dedup();
            let words: Vec<String> = words.into_iter().map(|word| format!("'{word}'")).collect();
            format!("{key} = [{}]\n", words.join(", "))
        }
    })
}

pub fn ask() -> impl Strategy<Value = Ask> {
    let sender = select(Sender::ALL.to_vec());
    let category = prop::option::weighted(0.4, select(Category::ALL.to_vec()));
    let cost = prop_oneof![5 => Just(1_u32), 1 => 2_u32..6];
    (sender, category, cost).prop_map(|(sender, category, cost)| {
        let ask = Ask::by(sender).cost(cost);
        category.map_or(ask, |category| ask.category(category))
    })
}

/// When it all begins: two days before the dates that made-up policies have, and near the turn of a month.
pub const START: OffsetDateTime = datetime!(2026-02-27 20:00 UTC);

/// Steps of time at which something begins or ends, to the nanosecond.
pub fn step() -> impl Strategy<Value = Duration> {
    let spans = [0, 1, 30, 50, 60, 300, 3_600, 43_200, 86_400, 172_800, 604_800].map(Duration::seconds);
    let off = prop_oneof![
        4 => Just(Duration::ZERO), 1 => Just(Duration::NANOSECOND), 1 => Just(-Duration::NANOSECOND), 1 => (0_i64..7_200).prop_map(Duration::seconds),
    ];
    (select(spans.to_vec()), off).prop_map(|(span, off)| (span + off).max(Duration::ZERO))
}

/// A history in the order of its times: events of the customer, sends, refusals, and whatever else a policy minds.
pub fn history(policy: &Policy, most: usize) -> impl Strategy<Value = Vec<Event>> + use<> {
    vec((step(), event(policy)), 0..most).prop_map(|steps| {
        let mut at = START;
        let mut events = Vec::new();
        let mut rights = BTreeMap::new();
        for (number, (step, make)) in steps.into_iter().enumerate() {
            at += step;
            let mut event = make.at(at, number);
            // A reference names one event, which has one time: seen again, it is a repeat.
            if let What::Opening { kind, reference: Some(reference) } = &event.what {
                event.at = *rights.entry((kind.clone(), reference.clone())).or_insert(at);
            }
            events.push(event);
        }
        events
    })
}

/// An event that has no time yet.
#[derive(Debug, Clone)]
pub struct Unborn {
    what: What,
    /// How long before its event a refused message was sent.
    earlier: Duration,
}

impl Unborn {
    fn at(self, at: OffsetDateTime, number: usize) -> Event {
        let mut what = self.what;
        match &mut what {
            What::Refused { sent_at, .. } => *sent_at = at - self.earlier,
            What::Cooling { until, .. } => *until = at + self.earlier + Duration::hours(1),
            What::Sent { id, .. } => *id = number as u128,
            What::Account { account } => {
                for usage in account.quotas.values_mut() {
                    // Months and days need a period of their own form; half of the time it is left to the event's.
                    usage.frees_at = Some(at + self.earlier);
                }
            }
            _ => {}
        }
        Event::new(at, what)
    }
}

pub fn event(policy: &Policy) -> impl Strategy<Value = Unborn> + use<> {
    let kinds: Vec<(String, bool)> =
        policy.kinds().iter().map(|kind| (kind.name().to_owned(), kind.needs_ref())).collect();
    let grants: Vec<String> = policy.grants().iter().map(|grant| grant.name().to_owned()).collect();
    let quotas: Vec<String> = policy.quotas().iter().map(|quota| quota.name().to_owned()).collect();
    // No two events share a reference, of whatever kinds they are.
    let referring: Vec<String> =
        kinds.iter().filter(|(_, needs_ref)| *needs_ref).map(|(kind, _)| kind.clone()).collect();
    let referring = if referring.is_empty() { vec!["none".to_owned()] } else { referring };
    let reference = || (select(referring.clone()), 1..4).prop_map(|(kind, number)| format!("{kind} {number}"));
    let opening = (select(kinds), 1..4).prop_map(|((kind, needs_ref), number)| {
        let reference = needs_ref.then(|| format!("{kind} {number}"));
        What::Opening { kind, reference }
    });
    let sent = (select(grants.clone()), prop::option::of(reference()), 1_u32..4)
        .prop_map(|(grant, reference, cost)| What::Sent { id: 0, grant, reference, cost });
    let refused = (select(grants), prop::option::weighted(0.3, reference()), any::<Index>(), any::<bool>()).prop_map(
        move |(grant, reference, index, quota)| {
            let cause = match quotas.is_empty() || !quota {
                true => PlatformRefusal::WindowClosed,
                false => PlatformRefusal::QuotaReached { quota: index.get(&quotas).clone() },
            };
            What::Refused { grant, reference, sent_at: START, cause }
        },
    );
    let scope = || select(OptOutScope::ALL.to_vec());
    let blocker = || select(Blocker::ALL.to_vec());
    let standing = prop_oneof![
        scope().prop_map(|scope| What::OptOut { scope }),
        scope().prop_map(|scope| What::OptIn { scope }),
        blocker().prop_map(|by| What::Blocked { by }),
        blocker().prop_map(|by| What::Unblocked { by }),
        Just(What::Subscribed),
        Just(What::Unsubscribed),
        Just(What::Unreachable { reason: "bounced".to_owned() }),
        Just(What::Reachable),
        any::<bool>().prop_map(|given| What::Consent { given }),
        select(Category::ALL.to_vec()).prop_map(|category| What::Cooling { category, until: START }),
        prop::option::of(select(vec!["AT", "US", "DE"]))
            .prop_map(|country| What::Country { country: country.map(|country| country.parse().unwrap()) }),
        Just(What::WroteBefore),
    ];
    let account = account(policy).prop_map(|account| What::Account { account: Box::new(account) });
    let earlier = select(vec![0, 1, 60, 3_600, 86_400]).prop_map(Duration::seconds);
    let what = prop_oneof![8 => opening, 6 => sent, 1 => refused, 2 => standing, 1 => account];
    (what, earlier).prop_map(|(what, earlier)| Unborn { what, earlier })
}

fn account(policy: &Policy) -> impl Strategy<Value = Account> + use<> {
    let features: Vec<String> = policy.features().iter().map(|feature| feature.name().to_owned()).collect();
    let most = features.len();
    let features = proptest::sample::subsequence(features, 0..=most);
    let templates = prop::option::weighted(0.3, proptest::sample::subsequence(Category::ALL.to_vec(), 0..=3));
    let suspended = prop::option::weighted(0.1, Just("policy".to_owned()));
    let country = prop::option::of(select(vec!["AT", "US"]));
    let counted: Vec<String> = policy.quotas().iter().map(|quota| quota.name().to_owned()).collect();
    let used: Vec<(String, transom_windows::Per)> = policy
        .quotas()
        .iter()
        .filter(|quota| quota.per() != transom_windows::Per::Opening)
        .map(|quota| (quota.name().to_owned(), quota.per()))
        .collect();
    let limits = vec((any::<Index>(), prop::option::weighted(0.9, 0_u32..5)), 0..2);
    let usages = vec((any::<Index>(), 0_u32..6, any::<bool>(), 0_usize..4), 0..3);
    (features, templates, suspended, country, limits, usages).prop_map(
        move |(features, templates, suspended, country, limits, usages)| Account {
            suspended,
            country: country.map(|country| country.parse().unwrap()),
            features: features.into_iter().collect(),
            templates: templates.map(|list| list.into_iter().collect()),
            limits: limits
                .into_iter()
                .filter(|_| !counted.is_empty())
                .map(|(index, limit)| (index.get(&counted).clone(), limit))
                .collect(),
            quotas: usages
                .into_iter()
                .filter(|_| !used.is_empty())
                .map(|(index, amount, counts_me, period)| {
                    let (name, per) = index.get(&used).clone();
                    let period = match per {
                        transom_windows::Per::Month => {
                            [None, Some("2026-02"), Some("2026-03"), Some("2026-04")][period]
                        }
                        transom_windows::Per::Day => {
                            [None, Some("2026-02-28"), Some("2026-03-01"), Some("2026-03-02")][period]
                        }
                        _ => None,
                    };
                    (name, Usage { used: amount, period: period.map(str::to_owned), frees_at: None, counts_me })
                })
                .collect(),
        },
    )
}

/// The instants around which something in this history may begin or end.
pub fn turning_points(policy: &Policy, history: &[Event]) -> Vec<OffsetDateTime> {
    let mut spans: Vec<Duration> = policy.grants().iter().filter_map(transom_windows::Grant::within).collect();
    spans.extend(policy.quotas().iter().filter_map(|quota| match quota.per() {
        transom_windows::Per::Rolling(span) | transom_windows::Per::RollingSinceOpening(span) => Some(span),
        _ => None,
    }));
    spans.push(Duration::ZERO);
    let mut points: Vec<OffsetDateTime> = Vec::new();
    for event in history {
        let mut bases = vec![event.at];
        match &event.what {
            What::Refused { sent_at, .. } => bases.push(*sent_at),
            What::Cooling { until, .. } => bases.push(*until),
            What::Account { account } => bases.extend(account.quotas.values().filter_map(|usage| usage.frees_at)),
            _ => {}
        }
        points.extend(bases.iter().flat_map(|base| spans.iter().map(|span| *base + *span)));
    }
    let dates = policy.grants().iter().flat_map(|grant| [grant.in_force_from(), grant.in_force_until()]);
    points.extend(dates.flatten());
    for quota in policy.quotas() {
        let zone = Duration::seconds(quota.zone_seconds().into());
        for turn in [
            datetime!(2026-03-01 0:00 UTC),
            datetime!(2026-03-02 0:00 UTC),
            datetime!(2026-04-01 0:00 UTC),
            datetime!(2026-05-01 0:00 UTC),
        ] {
            points.push(turn - zone);
        }
    }
    points.sort_unstable();
    points.dedup();
    points
}
