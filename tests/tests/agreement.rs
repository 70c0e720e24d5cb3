//! Engine and sandbox agree: random conversations through HTTP find no message that Transom let through and the platform
//! refused for window or quota, and none that Transom refused and the platform would have taken.
//!
//! `TRANSOM_AGREEMENT_STEPS` (500) and `TRANSOM_AGREEMENT_SEED` (fixed in `.cargo/config.toml`, `random` for chance; printed) can
//! be set; the long run is
//! `TRANSOM_AGREEMENT_STEPS=10000 cargo test --release -p transom-tests --test agreement`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test stops at the first surprise"
)]

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};
use transom_desk::channels::{ChannelPatch, change};
use transom_domain::{ConversationId, SettableClock};
use transom_sandbox::{AccountPatch, Act, Action, Ask, NewCustomer};
use transom_storage::both_databases;
use transom_storage::test_support::TestDatabase;
use transom_tests::{Stage, instant};

/// Begins before a leap day, so that some runs cross it.
const BEGIN: OffsetDateTime = datetime!(2028-02-27 09:00 UTC);
const CUSTOMERS: [&str; 5] = ["ada", "bob", "cleo", "dan", "eve"];
/// Few enough that the quota is met often.
const PORTFOLIO_LIMIT: u32 = 3;
/// What Transom keeps clear of on purpose, and what a second's rounding on the wire may shift.
const MARGIN: Duration = Duration::seconds(61);

fn steps() -> u32 {
    std::env::var("TRANSOM_AGREEMENT_STEPS").ok().and_then(|n| n.parse().ok()).unwrap_or(500)
}

fn seed() -> u64 {
    let given = std::env::var("TRANSOM_AGREEMENT_SEED").ok().and_then(|n| n.parse().ok());
    given.unwrap_or_else(|| rand::rng().random())
}

both_databases! {
    async fn whatsapp(db: TestDatabase) {
        play("whatsapp", db, &["utility", "marketing"]).await;
    }
}

both_databases! {
    async fn telegram(db: TestDatabase) {
        play("telegram", db, &[]).await;
    }
}

struct Run {
    stage: Stage,
    platform: &'static str,
    account: String,
    random: StdRng,
    conversations: BTreeMap<&'static str, ConversationId>,
    counts: BTreeMap<&'static str, u32>,
}

async fn play(platform: &'static str, db: TestDatabase, categories: &[&'static str]) {
    let seed = seed();
    eprintln!("agreement on {platform}: TRANSOM_AGREEMENT_SEED={seed} TRANSOM_AGREEMENT_STEPS={}", steps());
    let stage = Stage::set(db, SettableClock::frozen(BEGIN)).await.unwrap();
    let account = prepare(&stage, platform).await;
    let random = StdRng::seed_from_u64(seed);
    let mut run = Run { stage, platform, account, random, conversations: BTreeMap::new(), counts: BTreeMap::new() };
    for step in 0..steps() {
        run.step(step, categories).await;
    }
    eprintln!("agreement on {platform}: {:?}", run.counts);
    for wanted in ["let through", "refused by both"] {
        let applies = platform == "whatsapp" || wanted == "let through";
        assert!(
            !applies || run.counts.get(wanted).is_some_and(|n| *n > 5),
            "{wanted} happened too seldom: {:?}",
            run.counts
        );
    }
    run.stage.strike().await;
}

/// The same settings on both sides: a small quota, and no pacing, which is about speed and not about rights.
async fn prepare(stage: &Stage, platform: &str) -> String {
    let account = stage.world.account(platform).unwrap().clone();
    let control = stage.world.control();
    let mut settings = json!({ "pacing": false });
    if platform == "whatsapp" {
        settings["messaging_limit"] = json!(PORTFOLIO_LIMIT);
        stage.world.add_templates().await.unwrap();
        let limits = Some(BTreeMap::from([("messaging_limit".to_owned(), Some(PORTFOLIO_LIMIT))]));
        let patch = ChannelPatch { limits, ..ChannelPatch::default() };
        change(stage.world.desk(), &stage.world.caller, account.ours.id, patch).await.unwrap();
    }
    let patch = AccountPatch { settings: Some(settings), ..AccountPatch::default() };
    control.patch_account(&account.at_sandbox, patch).unwrap();
    for (index, name) in CUSTOMERS.iter().enumerate() {
        let new = NewCustomer::named(name, name, &format!("+49155501020{index:02}"));
        control.create_customer(NewCustomer { username: Some((*name).into()), ..new }).unwrap();
    }
    account.at_sandbox
}

impl Run {
    async fn step(&mut self, step: u32, categories: &[&'static str]) {
        let who = *CUSTOMERS.choose(&mut self.random).unwrap();
        let known = self.conversations.contains_key(who);
        match self.random.random_range(0..100) {
            _ if !known => self.writes(who, Duration::ZERO).await,
            0..15 => self.writes(who, Duration::ZERO).await,
            15..20 => {
                // A webhook that the platform delivers late: it counts from its own time.
                let late = Duration::seconds(self.random.random_range(1..40 * 3_600));
                self.writes(who, late).await;
            }
            20..50 => self.time_passes(who),
            50..80 => self.agent_sends(step, who, None).await,
            _ => match categories.choose(&mut self.random) {
                Some(category) => self.agent_sends(step, who, Some(category)).await,
                None => self.agent_sends(step, who, None).await,
            },
        }
    }

    async fn writes(&mut self, who: &'static str, ago: Duration) {
        let control = self.stage.world.control();
        let act = Action::from(Act::Text { text: format!("hello from {who}") }).at(self.stage.world.now() - ago);
        control.act(&self.account, who, act).unwrap();
        self.stage.quiet().await.unwrap();
        if !self.conversations.contains_key(who) {
            let (_, conversation) = self.stage.world.conversation_with(self.platform, who).await.unwrap();
            self.conversations.insert(who, conversation);
        }
    }

    /// Minutes, hours, or exactly to an edge of the customer's window.
    fn time_passes(&mut self, who: &str) {
        let now = self.stage.world.now();
        let verdict = self.stage.platform_says(&self.account, who, &Ask::free_form()).unwrap();
        let edge = instant(&verdict["window"]["closes_at"]).filter(|closes_at| *closes_at > now);
        let by = match (self.random.random_range(0..10), edge) {
            (0..3, Some(edge)) => edge - now + Duration::milliseconds(self.random.random_range(-120_000..=120_000)),
            (0..6, _) => Duration::minutes(self.random.random_range(1..90)),
            _ => Duration::minutes(self.random.random_range(60..14 * 60)),
        };
        self.stage.world.clock.advance(by.max(Duration::SECOND));
    }

    async fn agent_sends(&mut self, step: u32, who: &'static str, category: Option<&'static str>) {
        let (body, ask) = match category {
            None => (json!({ "type": "reply", "text": format!("step {step}") }), Ask::free_form()),
            Some(category) => (template(category), Ask::template(category)),
        };
        // As long as any platform wants between two messages to one person: pacing is not what is compared.
        self.stage.world.clock.advance(Duration::seconds(7));
        let now = self.stage.world.now();
        let platform = self.stage.platform_says(&self.account, who, &ask).unwrap();
        let near_edge =
            |name: &str| instant(&platform["window"][name]).is_some_and(|edge| (edge - now).abs() <= MARGIN);
        if near_edge("closes_at") {
            return self.count("inside the margin");
        }
        let conversation = self.conversations[who];
        let path = format!("/conversations/{conversation}/messages");
        let reply = self.stage.api.post(&path, body).await.unwrap();
        let allowed = platform["allowed"] == true;
        match reply.status {
            202 => {
                let message = self.stage.settled(reply.text("/id").unwrap()).await.unwrap();
                let state = message["state"].as_str().unwrap_or_default();
                assert!(
                    allowed && ["sent", "delivered", "read"].contains(&state),
                    "step {step}: {who} {category:?} at {now}: Transom let it through, it is {state}, and the platform says \
                     {platform}; {message}"
                );
                self.count("let through");
            }
            409 => {
                assert!(
                    !allowed,
                    "step {step}: {who} {category:?} at {now}: the platform would have taken it ({platform}), and Transom refused: {}",
                    reply.body
                );
                self.count("refused by both");
            }
            other => panic!("step {step}: HTTP {other}: {}", reply.body),
        }
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }
}

fn template(category: &str) -> serde_json::Value {
    let template = match category {
        "marketing" => json!({ "name": "spring_sale", "language": "en_US" }),
        _ => json!({ "name": "order_update", "language": "en_US", "parameters": { "body": ["Mara", "A-1001"] } }),
    };
    json!({ "type": "reply", "template": template })
}
