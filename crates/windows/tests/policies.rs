//! Policy files: what comes with the crate loads, and what is wrong with a file is said with its line.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use rstest::rstest;
use time::{Duration, macros::datetime};
use transom_windows::{CountedFrom, Counts, Grant, Per, Policies, Policy, Scope, Sender};

/// A policy that is right, and short enough to break in one place.
const PIGEON: &str = r#"name = "pigeon"
platform = "pigeon"
version = "1"
about = "A loft answers for a day after a bird came in."
sources = [{ document = "the loft's door" }]
[kinds]
message = { implies = ["wrote_before", "subscribed", "reachable"] }
egg = { about = "one answer to each" }
[features]
hawk = "A hawk is about."
[[quota]]
name = "seeds"
limit = 3
per = "opening"
scope = "identity"
[[grant]]
name = "answer"
basis = "free_form"
opened_by = ["message"]
counted_from = "latest"
within = "24h"
unless = ["feature:hawk"]
spends = ["seeds"]
"#;

#[test]
fn what_comes_with_the_crate_loads() {
    let policies = Policies::builtin().unwrap();
    let names: Vec<&str> = policies.iter().map(Policy::name).collect();
    let expected = [
        "email",
        "instagram",
        "line",
        "messenger",
        "sms",
        "telegram",
        "telegram_business",
        "tiktok",
        "tiktok_b",
        "viber",
        "viber_business",
        "viber_sliding",
        "webchat",
        "wechat",
        "whatsapp",
    ];
    assert_eq!(names, expected);
    for policy in policies.iter() {
        assert!(
            !policy.version().is_empty() && !policy.about().is_empty() && !policy.sources().is_empty(),
            "{policy:?}"
        );
        assert!(policies.for_platform(policy.platform()).is_some(), "{} has no policy of its own", policy.platform());
        assert!(policy.kinds().iter().any(|kind| kind.name() == "message"), "{policy:?}");
    }
}

#[rstest]
#[case::syntax("limit = 3", "limit = = 3", 13, "")]
#[case::unknown_key(
    "per = \"opening\"",
    "per = \"opening\"\nperiod = 2",
    15,
    "unknown key `period`: `name`, `about`, `limit`, `per`, "
)]
#[case::misspelt_section("[features]", "[feature]", 9, "unknown key `feature`")]
#[case::wrong_type("limit = 3", "limit = \"3\"", 13, "`limit` must be a whole number from 0 to 4294967295")]
#[case::negative("limit = 3", "limit = -3", 13, "`limit` must be a whole number")]
#[case::missing("version = \"1\"\n", "", 1, "`version` is missing")]
#[case::empty("version = \"1\"", "version = \" \"", 3, "`version` is empty")]
#[case::no_sources("[{ document = \"the loft's door\" }]", "[]", 5, "`sources` must be a list of tables")]
#[case::twice(
    "[[grant]]\nname = \"answer\"",
    "[[grant]]\nname = \"answer\"\nbasis = \"free_form\"\n[[grant]]\nname = \"answer\"",
    20,
    "two grants are named `answer`"
)]
#[case::no_name("[[grant]]\nname = \"answer\"", "[[grant]]", 16, "this grant has no `name`")]
#[case::bad_name("name = \"answer\"", "name = \"An Answer\"", 17, "`An Answer` is no name")]
#[case::zero_span("within = \"24h\"", "within = \"0h\"", 21, "`within` is zero: a span must last")]
#[case::no_span("within = \"24h\"", "within = \"a day\"", 21, "`within` must be a span such as")]
#[case::long_span("within = \"24h\"", "within = \"9999d\"", 21, "`within` is more than ten years")]
#[case::overflowing_span(
    "within = \"24h\"",
    "within = \"99999999999999999999d\"",
    21,
    "`within` must be a span such as"
)]
#[case::wide_margin(
    "within = \"24h\"",
    "within = \"1m\"\nmargin = \"7s\"",
    16,
    "`margin` is more than a tenth of `within`"
)]
#[case::unknown_kind(
    "opened_by = [\"message\"]",
    "opened_by = [\"massage\"]",
    19,
    "no kind is named `massage`: `message` or `egg` is expected"
)]
#[case::unknown_quota("spends = [\"seeds\"]", "spends = [\"seeds\", \"corn\"]", 23, "no quota is named `corn`")]
#[case::unknown_feature("feature:hawk", "feature:owl", 22, "no feature is named `owl`")]
#[case::unknown_condition("feature:hawk", "weather:rain", 22, "`weather:rain` is nothing that `unless` can name")]
#[case::listed_twice(
    "[\"message\"]\ncounted",
    "[\"message\", \"message\"]\ncounted",
    19,
    "`opened_by` lists `message` twice"
)]
#[case::no_counting("counted_from = \"latest\"\n", "", 16, "`counted_from` is missing")]
#[case::wrong_counting(
    "counted_from = \"latest\"",
    "counted_from = \"last\"",
    20,
    "`counted_from` is `last`: `latest`, `first` or `each`"
)]
#[case::nothing_to_count(
    "opened_by = [\"message\"]\ncounted_from = \"latest\"\n",
    "",
    16,
    "`within` is for grants with `opened_by`"
)]
#[case::opens_and_ends(
    "counted_from = \"latest\"",
    "counted_from = \"latest\"\nended_by = [\"message\"]",
    16,
    "`ended_by` names a kind that opens the same grant"
)]
#[case::ends_a_session(
    "counted_from = \"latest\"",
    "counted_from = \"first\"\nended_by = [\"message\"]",
    16,
    "`ended_by` is for grants with `opened_by` that are counted from the latest event"
)]
#[case::first_without_end(
    "\"latest\"\nwithin = \"24h\"",
    "\"first\"",
    17,
    "`answer` is counted from the first event, so it needs `within`"
)]
#[case::billed_as_nothing(
    "within = \"24h\"",
    "within = \"24h\"\nbilled_as = [\" \"]",
    22,
    "`billed_as` lists an empty word"
)]
#[case::billed_as_either(
    "spends = [\"seeds\"]",
    "spends = [\"seeds\"]\nbilled_as = [\"free\"]\n[[grant]]\nname = \"gift\"\nbasis = \"initiated\"\nbilled_as = [\"free\"]",
    17,
    "`billed_as` of `answer` and `gift` share a word"
)]
#[case::billed_by_opening(
    "spends = [\"seeds\"]",
    "spends = [\"seeds\"]\nbilled_as = [\"free\"]\n[[grant]]\nname = \"gift\"\nbasis = \"initiated\"\nbilled_as = [\"paid\"]",
    12,
    "quota `seeds` is spent by only some of the grants with `billed_as`"
)]
#[case::nobody(
    "basis = \"free_form\"",
    "basis = \"free_form\"\nby = []",
    16,
    "no message can use a grant that nobody may use"
)]
#[case::unknown_sender(
    "basis = \"free_form\"",
    "basis = \"free_form\"\nby = [\"parrot\"]",
    19,
    "`parrot` is not a sender"
)]
#[case::no_basis("basis = \"free_form\"\n", "", 16, "`basis` is missing")]
#[case::wrong_basis("basis = \"free_form\"", "basis = \"freeform\"", 18, "`basis` must be \"free_form\"")]
#[case::no_category(
    "basis = \"free_form\"",
    "basis = { template = [] }",
    18,
    "no message can use a template grant without a category"
)]
#[case::unknown_category("basis = \"free_form\"", "basis = { template = [\"news\"] }", 18, "`news` is not a category")]
#[case::contradiction(
    "unless = [\"feature:hawk\"]",
    "needs = [\"feature:hawk\"]\nunless = [\"feature:hawk\"]",
    17,
    "no message can use `answer`: it needs what it excludes"
)]
#[case::taken_away(
    "unless = [\"feature:hawk\"]",
    "unless = [\"feature:hawk\", \"wrote_before\"]",
    17,
    "`answer` cannot need or exclude that"
)]
#[case::ends_before(
    "within = \"24h\"",
    "within = \"24h\"\nin_force = { from = 2026-02-01T00:00:00Z, until = 2026-01-01T00:00:00Z }",
    22,
    "`in_force` ends before it begins"
)]
#[case::local_date(
    "within = \"24h\"",
    "within = \"24h\"\nin_force = { until = 2026-01-01 }",
    22,
    "`until` must be an instant with its offset"
)]
#[case::no_country(
    "within = \"24h\"",
    "within = \"24h\"\ncountries = { except = [\"@moon\"] }",
    22,
    "no region is named `moon`"
)]
#[case::bad_country(
    "within = \"24h\"",
    "within = \"24h\"\ncountries = { only = [\"Austria\"] }",
    22,
    "`Austria` is not a country"
)]
#[case::both_countries(
    "within = \"24h\"",
    "within = \"24h\"\ncountries = { only = [\"AT\"], except = [\"DE\"] }",
    22,
    "`countries` must hold either `only` or `except`"
)]
#[case::zero_quota("limit = 3", "limit = 0", 17, "no message can use `answer`: its quota `seeds` is 0")]
#[case::no_limit("limit = 3\n", "", 12, "quota `seeds`: `limit` is missing")]
#[case::wrong_per("per = \"opening\"", "per = \"week\"", 14, "`per` must be \"opening\", \"month\", \"day\"")]
#[case::no_zone("per = \"opening\"", "per = \"month\"", 11, "`zone` is missing")]
#[case::named_zone(
    "per = \"opening\"",
    "per = \"month\"\nzone = \"Asia/Tokyo\"",
    15,
    "`zone` is `Asia/Tokyo`: \"UTC\" or a fixed offset"
)]
#[case::needless_zone(
    "per = \"opening\"",
    "per = \"opening\"\nzone = \"UTC\"",
    15,
    "`zone` is for quotas per month or day only"
)]
#[case::wrong_scope("scope = \"identity\"", "scope = \"galaxy\"", 15, "`scope` is `galaxy`")]
#[case::scope_of_an_opening(
    "scope = \"identity\"",
    "scope = \"account\"",
    12,
    "what is counted since a person's event has the scope `identity`"
)]
#[case::one_person(
    "scope = \"identity\"",
    "scope = \"identity\"\ncounts = \"distinct_recipients\"",
    12,
    "one person is one recipient"
)]
#[case::free_of_a_month(
    "per = \"opening\"",
    "per = \"month\"\nzone = \"UTC\"\nfree_within = \"answer\"",
    12,
    "`free_within` of one person's quota is for what is counted per opening"
)]
#[case::free_within_another(
    "scope = \"identity\"\n",
    "scope = \"identity\"\nfree_within = \"gift\"\n[[grant]]\nname = \"gift\"\nbasis = \"initiated\"\nopened_by = [\"egg\"]\n\
     counted_from = \"latest\"\nwithin = \"48h\"\n",
    12,
    "the grant that it names and those that spend it are opened alike"
)]
#[case::free_within_what_is_ended(
    "spends = [\"seeds\"]",
    "spends = [\"seeds\", \"corn\"]\nended_by = [\"egg\"]\n[[quota]]\nname = \"corn\"\nlimit = 3\nper = \"opening\"\n\
     scope = \"identity\"\nfree_within = \"answer\"",
    26,
    "and it has no `ended_by`"
)]
#[case::nothing_resets(
    "per = \"opening\"",
    "per = { rolling_since_opening = \"1h\" }",
    12,
    "`reset_by` names the kinds of events"
)]
#[case::impossible("limit = 3", "limit = 3\npossible = [5, 20]", 12, "`limit` is not among the `possible` ones")]
#[case::unspent("spends = [\"seeds\"]\n", "", 12, "no grant spends the quota `seeds`")]
#[case::unused_feature("unless = [\"feature:hawk\"]\n", "", 10, "no grant names the feature `hawk`")]
#[case::mixed_kind(
    "spends = [\"seeds\"]",
    "spends = [\"seeds\"]\n[[grant]]\nname = \"each\"\nbasis = \"free_form\"\nopened_by = [\"message\"]\ncounted_from = \"each\"",
    7,
    "the kind `message` counts each event on its own for one grant and together for another"
)]
#[case::no_grants("[[grant]]", "[[grants]]", 16, "unknown key `grants`")]
fn what_is_wrong_is_said_with_its_line(
    #[case] right: &str,
    #[case] wrong: &str,
    #[case] line: usize,
    #[case] reason: &str,
) {
    assert!(PIGEON.contains(right), "the case does not fit the policy");
    let text = PIGEON.replacen(right, wrong, 1);
    let Err(error) = Policy::parse("pigeon.toml", &text) else { panic!("it loads:\n{text}") };
    let found = error.problems().iter().any(|problem| problem.line == line && problem.reason.contains(reason));
    assert!(found, "expected line {line}: {reason}\nfound:\n{error}");
    assert!(error.to_string().contains(&format!("pigeon.toml:{line}: ")), "{error}");
}

#[test]
fn every_problem_is_said_at_once() {
    let text = PIGEON.replace("24h", "0h").replace("\"opening\"", "\"week\"").replace("version", "verzion");
    let error = Policy::parse("pigeon.toml", &text).unwrap_err();
    let lines: Vec<usize> = error.problems().iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [1, 3, 14, 21], "{error}");
}

#[rstest]
#[case("")]
#[case("=")]
#[case("name")]
#[case("\u{feff}name = 1")]
#[case("[kinds]\nmessage = 1\n[[grant]]\n[[quota]]")]
#[case("grant = 1\nquota = []\nkinds = 3\nsources = [1]\nregions = 2\nfeatures = []")]
fn nonsense_is_refused_without_a_panic(#[case] text: &str) {
    assert!(!Policy::parse("nonsense.toml", text).unwrap_err().problems().is_empty());
}

#[test]
fn a_policy_replaces_the_one_of_its_name_and_a_wrong_one_changes_nothing() {
    let mut policies = Policies::builtin().unwrap();
    let stricter =
        policies.get("wechat").unwrap().text().replace("limit    = 20", "limit    = 5").replace("2026-11-21.4", "mine");
    policies.add("wechat.toml", &stricter).unwrap();
    let wechat = policies.get("wechat").unwrap().clone();
    assert_eq!((wechat.version(), wechat.quota("message_count").unwrap().limit()), ("mine", Some(5)));

    let error = policies.add("wechat.toml", &stricter.replace("\"48h\"", "\"48 hours\"")).unwrap_err();
    assert!(error.to_string().contains("\"48h\"") || error.to_string().contains("must be a span"), "{error}");
    assert_eq!(policies.get("wechat").unwrap().version(), "mine");
}

/// What the sheets say, read back from the policies.
#[test]
fn the_policies_say_what_the_sheets_say() {
    let policies = Policies::builtin().unwrap();
    let policy = |name: &str| policies.get(name).unwrap().clone();
    let hours = |policy: &Policy, grant: &str| policy.grant(grant).and_then(Grant::within).map(Duration::whole_hours);

    assert_eq!(hours(&policy("whatsapp"), "customer_service"), Some(24));
    assert_eq!(policy("whatsapp").grant("customer_service").unwrap().margin().whole_seconds(), 60);
    let limit = policy("whatsapp");
    let limit = limit.quota("messaging_limit").unwrap();
    assert_eq!((limit.limit(), limit.scope(), limit.counts()), (Some(250), Scope::Group, Counts::DistinctRecipients));

    let messenger = policy("messenger");
    for tag in ["confirmed_event_update", "account_update", "post_purchase_update"] {
        assert_eq!(messenger.grant(tag).unwrap().in_force_until(), Some(datetime!(2026-04-27 0:00 UTC)));
    }
    for meta in ["messenger", "instagram"] {
        let agent = policy(meta);
        let agent = agent.grant("human_agent").unwrap();
        assert_eq!((agent.within().unwrap().whole_days(), agent.promotional()), (7, false));
        assert_eq!(agent.by().iter().collect::<Vec<_>>(), [Sender::Human]);
        assert_eq!(policy(meta).grant("private_reply").unwrap().counted_from(), Some(CountedFrom::Each));
    }
    assert!(!policy("instagram").has_templates());

    assert_eq!(policy("viber").grant("session").unwrap().counted_from(), Some(CountedFrom::First));
    assert_eq!(policy("viber_sliding").grant("session").unwrap().counted_from(), Some(CountedFrom::Latest));
    assert_eq!(policy("viber").quota("monthly_free").unwrap().limit(), Some(10_000));
    assert_eq!(policy("viber_business").quota("session_messages").unwrap().limit(), Some(60));

    let wechat = policy("wechat");
    assert_eq!(wechat.quota("message_count").unwrap().possible(), [5, 20]);
    assert_eq!(wechat.grant("interaction").unwrap().within().unwrap().whole_seconds(), 60);
    assert_eq!(
        wechat.opened_by(wechat.grant("interaction").unwrap()).collect::<Vec<_>>(),
        ["menu_click", "follow", "scan"]
    );
    assert_eq!(wechat.spent_by(wechat.grant("payment").unwrap()).count(), 0);

    assert_eq!(policy("tiktok").quota("reply_count").unwrap().limit(), Some(10));
    let monthly = policy("line");
    let monthly = monthly.quota("monthly_messages").unwrap();
    assert_eq!((monthly.per(), monthly.zone_seconds()), (Per::Month, 9 * 3_600));
    assert_eq!(policy("line").grant("reply").unwrap().within().unwrap().whole_seconds(), 50);
    assert_eq!(policy("telegram").grant("join_request").unwrap().within().unwrap().whole_minutes(), 5);
    assert_eq!(hours(&policy("telegram_business"), "business_chat"), Some(24));
    assert!(policy("whatsapp").grant("marketing_template").unwrap().promotional());
}
