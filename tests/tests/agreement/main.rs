//! Engine and sandbox agree: random conversations through HTTP find no message that Transom let through and the platform
//! refused for window or quota, and none that Transom refused and the platform would have taken.
//!
//! One file a platform says what its customers do and which limits are made small.
//!
//! `TRANSOM_AGREEMENT_STEPS` (250; `.ci/run` plays 500) and `TRANSOM_AGREEMENT_SEED` (fixed in `.cargo/config.toml`; `random` takes one by chance; printed) can
//! be set; the long run is
//! `TRANSOM_AGREEMENT_STEPS=10000 TRANSOM_AGREEMENT_SEED=random cargo test --release -p transom-tests --test agreement`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test stops at the first surprise"
)]

mod email;
mod http;
mod instagram;
mod line;
mod messenger;
mod sms;
mod telegram;
mod tiktok;
mod viber;
mod webchat;
mod wechat;
mod whatsapp;

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};
use transom_desk::channels::{ChannelPatch, change};
use transom_domain::{ContactId, ConversationId, SettableClock};
use transom_sandbox::{AccountPatch, Act, Action, Ask, NewCustomer, ProblemKind};
use transom_storage::test_support::TestDatabase;
use transom_tests::{Stage, instant};

/// Begins before a leap day, so that some runs cross it.
const BEGIN: OffsetDateTime = datetime!(2028-02-27 09:00 UTC);
const CUSTOMERS: [&str; 5] = ["ada", "bob", "cleo", "dan", "eve"];
/// What Transom keeps clear of on purpose, and what a second's rounding on the wire may shift.
const MARGIN: Duration = Duration::seconds(61);

fn steps() -> u32 {
    std::env::var("TRANSOM_AGREEMENT_STEPS").ok().and_then(|n| n.parse().ok()).unwrap_or(250)
}

fn seed() -> u64 {
    match std::env::var("TRANSOM_AGREEMENT_SEED") {
        Ok(word) if word == "random" => rand::rng().random(),
        Ok(number) => number.parse().expect("TRANSOM_AGREEMENT_SEED is a number or `random`"),
        Err(_) => 20_260_301,
    }
}

/// A platform's part: what is set small on both sides, and what happens.
struct Part {
    platform: &'static str,
    /// A quota of the policy, the sandbox's setting for it, and how many; few enough that it is met often.
    limits: &'static [(&'static str, &'static str, u32)],
    /// The categories of templates.
    categories: &'static [&'static str],
    /// What a customer does; the first thing they do is always a text.
    acts: fn(&mut StdRng, who: &str) -> Act,
    /// Whether the platform ever refuses somebody who wrote.
    refuses: bool,
    /// The policy and the sandbox's settings, where they are not the demo's.
    instead: Option<Instead>,
}

/// A policy, and the settings by which the sandbox goes with it.
type Instead = (&'static str, fn() -> Value);

/// A platform as the demo has it, where nothing is refused.
const USUAL: Part = Part { platform: "", limits: &[], categories: &[], acts: writes, refuses: false, instead: None };

/// What stands in [`Part::categories`] for a letter that begins a thread.
const NEW_THREAD: &str = "new thread";

/// The customer writes.
fn writes(_: &mut StdRng, who: &str) -> Act {
    Act::Text { text: format!("hello from {who}") }
}

struct Run {
    stage: Stage,
    part: &'static Part,
    account: String,
    random: StdRng,
    conversations: BTreeMap<&'static str, (ContactId, ConversationId)>,
    counts: BTreeMap<&'static str, u32>,
}

async fn play(part: &'static Part, db: TestDatabase) {
    let (platform, seed) = (part.platform, seed());
    eprintln!("agreement on {platform}: TRANSOM_AGREEMENT_SEED={seed} TRANSOM_AGREEMENT_STEPS={}", steps());
    let stage = Stage::set(db, SettableClock::frozen(BEGIN)).await.unwrap();
    let account = prepare(&stage, part).await;
    let random = StdRng::seed_from_u64(seed);
    let mut run = Run { stage, part, account, random, conversations: BTreeMap::new(), counts: BTreeMap::new() };
    for step in 0..steps() {
        run.step(step).await;
    }
    eprintln!("agreement on {platform}: {:?}", run.counts);
    let often = |what: &str| run.counts.get(what).is_some_and(|n| *n > 5);
    assert!(often("let through"), "hardly anything was let through: {:?}", run.counts);
    assert_eq!(often("refused by both"), part.refuses, "{:?}", run.counts);
    run.stage.strike().await;
}

/// The same settings on both sides: small quotas, and no pacing, which is about speed and not about rights.
async fn prepare(stage: &Stage, part: &Part) -> String {
    let account = stage.world.account(part.platform).unwrap().clone();
    let control = stage.world.control();
    stage.world.add_templates().await.unwrap();
    let mut settings = json!({ "pacing": false });
    let mut limits = BTreeMap::new();
    for (quota, setting, limit) in part.limits {
        settings[setting] = json!(limit);
        limits.insert((*quota).to_owned(), Some(*limit));
    }
    let mut patch = ChannelPatch { limits: Some(limits), ..ChannelPatch::default() };
    if let Some((policy, instead)) = part.instead {
        patch.policy = Some(policy.to_owned());
        settings.as_object_mut().unwrap().extend(instead().as_object().unwrap().clone());
    }
    change(stage.world.desk(), &stage.world.caller, account.ours.id, patch).await.unwrap();
    let patch = AccountPatch { settings: Some(settings), ..AccountPatch::default() };
    control.patch_account(&account.at_sandbox, patch).unwrap();
    for (index, name) in CUSTOMERS.iter().enumerate() {
        let new = NewCustomer::named(name, name, &format!("+49155501020{index:02}"));
        control.create_customer(NewCustomer { username: Some((*name).into()), ..new }).unwrap();
    }
    account.at_sandbox
}

impl Run {
    async fn step(&mut self, step: u32) {
        let who = *CUSTOMERS.choose(&mut self.random).unwrap();
        if !self.conversations.contains_key(who) {
            return self.meets(who).await;
        }
        match self.random.random_range(0..100) {
            0..15 => self.acts(who, Duration::ZERO).await,
            15..20 => {
                // A webhook that the platform delivers late: it counts from its own time.
                let late = Duration::seconds(self.random.random_range(1..40 * 3_600));
                self.acts(who, late).await;
            }
            20..50 => self.time_passes(who),
            50..80 => self.agent_sends(step, who, None).await,
            _ => {
                let category = self.part.categories.choose(&mut self.random).copied();
                self.agent_sends(step, who, category).await;
            }
        }
    }

    async fn meets(&mut self, who: &'static str) {
        let hello = writes(&mut self.random, who);
        self.stage.world.control().act(&self.account, who, Action::from(hello)).unwrap();
        self.stage.quiet().await.unwrap();
        let met = self.stage.world.conversation_with(self.part.platform, who).await.unwrap();
        self.conversations.insert(who, met);
    }

    async fn acts(&mut self, who: &'static str, ago: Duration) {
        let act = (self.part.acts)(&mut self.random, who);
        // Leaving and coming back count from when the platform hears of them.
        let ago = if matches!(act, Act::Block | Act::Unblock) { Duration::ZERO } else { ago };
        let act = Action::from(act).at(self.stage.world.now() - ago);
        match self.stage.world.control().act(&self.account, who, act) {
            Ok(_) => self.stage.quiet().await.unwrap(),
            // Such as somebody who left, or who complains about nothing.
            Err(problem) if problem.kind == ProblemKind::Conflict => self.count("not possible"),
            Err(problem) => panic!("{problem:?}"),
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
        let (contact, conversation) = self.conversations[who];
        let in_conversation = format!("/conversations/{conversation}/messages");
        let (path, body, ask) = match category {
            None => (in_conversation, json!({ "type": "reply", "text": format!("step {step}") }), Ask::free_form()),
            Some(NEW_THREAD) => {
                let letter = json!({ "subject": format!("Step {step}"), "text": "Something new." });
                let body = json!({ "channel": self.stage.world.account(self.part.platform).unwrap().ours.id, "message": letter });
                let unsolicited = Ask { category: Some(NEW_THREAD.to_owned()), ..Ask::free_form() };
                (format!("/contacts/{contact}/messages"), body, unsolicited)
            }
            Some(category) => (in_conversation, template(self.part.platform, category), Ask::template(category)),
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

fn template(platform: &str, category: &str) -> Value {
    let template = match (platform, category) {
        ("wechat", _) => {
            let values = json!({ "body": { "thing1": "A-1001", "phrase2": "已发货" } });
            json!({ "name": "order_update", "language": "zh_CN", "parameters": values })
        }
        (_, "marketing") => json!({ "name": "spring_sale", "language": "en_US" }),
        _ => json!({ "name": "order_update", "language": "en_US", "parameters": { "body": ["Mara", "A-1001"] } }),
    };
    json!({ "type": "reply", "template": template })
}
