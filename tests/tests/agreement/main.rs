//! Engine and sandbox agree: random conversations through HTTP find no message that Transom let through and the platform
//! refused for window, quota or block, and none that Transom refused and the platform would have taken. Only where a platform
//! tells nobody of blocks the first message after one finds it out.
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
mod part;
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
use transom_domain::{ConversationId, SettableClock};
use transom_sandbox::{AccountPatch, Act, Action, Ask, NewCustomer, Problem, ProblemKind};
use transom_storage::test_support::TestDatabase;
use transom_tests::{Stage, instant};

pub(crate) use part::{Block, NEW_THREAD, PRIVATE_REPLY, Part, USUAL, hello, other, writes, writes_or_turns};
use part::{name_of, template};

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

struct Run {
    stage: Stage,
    part: &'static Part,
    account: String,
    random: StdRng,
    /// Those who were met. Who only looked in has no conversation yet.
    met: BTreeMap<&'static str, (String, Option<ConversationId>)>,
    /// Whose block was found out, and when; `None` once they may be taken to be back.
    found_out: BTreeMap<&'static str, Option<OffsetDateTime>>,
    counts: BTreeMap<String, u32>,
}

async fn play(part: &'static Part, db: TestDatabase) {
    let (platform, seed) = (part.platform, seed());
    eprintln!("agreement on {platform}: TRANSOM_AGREEMENT_SEED={seed} TRANSOM_AGREEMENT_STEPS={}", steps());
    let mut stage = Stage::set(db, SettableClock::frozen(BEGIN)).await.unwrap();
    let account = prepare(&mut stage, part).await;
    let random = StdRng::seed_from_u64(seed);
    let (met, found_out, counts) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let mut run = Run { stage, part, account, random, met, found_out, counts };
    for step in 0..steps() {
        run.step(step).await;
    }
    eprintln!("agreement on {platform}: {:?}", run.counts);
    let often = |what: &str| run.counts.get(what).is_some_and(|n| *n > 5);
    assert!(often("let through"), "hardly anything was let through: {:?}", run.counts);
    assert_eq!(often("refused by both"), part.refuses, "{:?}", run.counts);
    for what in part.occurs {
        assert!(run.counts.contains_key(*what), "`{what}` never occurred: {:?}", run.counts);
    }
    run.stage.strike().await;
}

/// The same settings on both sides: small quotas, and no pacing, which is about speed and not about rights.
async fn prepare(stage: &mut Stage, part: &Part) -> String {
    if let Some(via) = part.via {
        telegram::connect(&mut stage.world, via).await;
    }
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
    if !part.features.is_empty() {
        let all = account.ours.features.iter().cloned().chain(part.features.iter().map(|one| (*one).to_owned()));
        patch.features = Some(all.collect());
    }
    if let Some((policy, instead)) = part.instead {
        patch.policy = Some(policy.to_owned());
        settings.as_object_mut().unwrap().extend(instead().as_object().unwrap().clone());
    }
    change(stage.world.desk(), &stage.world.caller, account.ours.id, patch).await.unwrap();
    let patch = AccountPatch { settings: Some(settings), ..AccountPatch::default() };
    control.patch_account(&account.at_sandbox, patch).unwrap();
    for (index, name) in CUSTOMERS.iter().enumerate() {
        // One of them lives where platforms have exceptions.
        let phone = if index == 0 { "+12125550120".to_owned() } else { format!("+49155501020{index:02}") };
        let new = NewCustomer::named(name, name, &phone);
        control.create_customer(NewCustomer { username: Some((*name).into()), ..new }).unwrap();
    }
    account.at_sandbox
}

impl Run {
    async fn step(&mut self, step: u32) {
        let who = *CUSTOMERS.choose(&mut self.random).unwrap();
        if !self.met.contains_key(who) {
            return self.meets(who).await;
        }
        match self.random.random_range(0..100) {
            0..15 => {
                if self.acts(who, Duration::ZERO).await {
                    self.agent_sends(step, who, None).await;
                }
            }
            15..20 => {
                // A webhook that the platform delivers late: it counts from its own time.
                let late = Duration::seconds(self.random.random_range(1..40 * 3_600));
                self.acts(who, late).await;
            }
            20..50 => self.time_passes(who).await,
            50..80 => self.agent_sends(step, who, None).await,
            _ => {
                let category = self.part.categories.choose(&mut self.random).copied();
                self.agent_sends(step, who, category).await;
            }
        }
    }

    async fn meets(&mut self, who: &'static str) {
        let begins = (self.part.begins)(who);
        self.count(&name_of(&begins));
        let writes = matches!(begins, Act::Text { .. });
        self.play(who, begins.into()).unwrap();
        self.stage.quiet().await.unwrap();
        let met = if writes {
            let met = self.stage.world.conversation_with(self.part.platform, who).await.unwrap();
            (met.0.to_string(), Some(met.1))
        } else {
            (self.contact(who).await, None)
        };
        self.met.insert(who, met);
    }

    /// Somebody whom the service knows by name, and who has not written.
    async fn contact(&self, who: &str) -> String {
        let Stage { world, api, .. } = &self.stage;
        world
            .until("the visitor is known", || async {
                let found = api.get("/contacts?limit=100").await?.expect(200)?.body;
                let mut all = found["items"].as_array().into_iter().flatten();
                let theirs = all.find(|contact| contact["profile"]["name"] == who);
                Ok(theirs.and_then(|contact| contact["id"].as_str()).map(str::to_owned))
            })
            .await
            .unwrap()
    }

    fn play(&self, who: &str, action: Action) -> Result<(), Problem> {
        let action = self.part.via.map_or(action.clone(), |via| action.via(via));
        self.stage.world.control().act(&self.account, who, action).map(drop)
    }

    /// Whether an agent writes at once: to a visitor who comes, and to somebody whose block only a refusal can tell.
    async fn acts(&mut self, who: &'static str, ago: Duration) -> bool {
        let act = (self.part.acts)(&mut self.random, who);
        // Leaving and coming back count from when the platform hears of them; nobody does either within a second of the rest,
        // and a second is all that some platforms tell.
        let turns = matches!(act, Act::Block | Act::Unblock | Act::OptOut | Act::OptIn);
        let ago = if turns { Duration::ZERO } else { ago };
        if turns {
            self.stage.world.clock.advance(Duration::SECOND);
        }
        // A block that nobody tells is found out while the window is open: they go with a last word.
        if matches!(act, Act::Block)
            && self.part.block.found_out().is_some()
            && self.play(who, hello(who).into()).is_ok()
        {
            self.found_out.remove(who);
            self.count("text");
            self.stage.quiet().await.unwrap();
        }
        let (name, at) = (name_of(&act), self.stage.world.now() - ago);
        let (comes_back, says_nothing) =
            (matches!(act, Act::Text { .. }), turns || matches!(act, Act::Echo { .. } | Act::Read));
        match self.play(who, Action::from(act).at(at)) {
            Ok(()) => {
                self.count(&name);
                match self.found_out.get(who).copied() {
                    Some(Some(since)) if comes_back && at > since => drop(self.found_out.remove(who)),
                    // Something older or less plain than a message may tell, and need not.
                    Some(Some(_)) if !says_nothing => drop(self.found_out.insert(who, None)),
                    Some(None) if comes_back && ago.is_zero() => drop(self.found_out.remove(who)),
                    _ => {}
                }
                self.stage.quiet().await.unwrap();
            }
            // Such as somebody who left, or who complains about nothing.
            Err(problem) if problem.kind == ProblemKind::Conflict => self.count("not possible"),
            Err(problem) => panic!("{problem:?}"),
        }
        if turns {
            self.stage.world.clock.advance(Duration::SECOND);
        }
        name == "visit" || (name == "block" && self.part.block.found_out().is_some())
    }

    /// Minutes, hours, or exactly to an edge of the customer's window.
    async fn time_passes(&mut self, who: &'static str) {
        if self.part.platform == "webchat" {
            webchat::pages_close(&self.stage, &self.account, self.met.keys()).await;
        }
        let now = self.stage.world.now();
        let verdict = self.platform_says(who, Ask::free_form());
        let edge = instant(&verdict["window"]["closes_at"]).filter(|closes_at| *closes_at > now);
        let by = match (self.random.random_range(0..10), edge) {
            (0..3, Some(edge)) => edge - now + Duration::milliseconds(self.random.random_range(-120_000..=120_000)),
            (0..6, _) => Duration::minutes(self.random.random_range(1..90)),
            _ => Duration::minutes(self.random.random_range(60..14 * 60)),
        };
        self.stage.world.clock.advance(by.max(Duration::SECOND));
    }

    fn platform_says(&self, who: &str, ask: Ask) -> Value {
        let ask = Ask { via: self.part.via.map(str::to_owned), ..ask };
        self.stage.platform_says(&self.account, who, &ask).unwrap()
    }

    /// Free text, or what may go in its place to whom it may not be sent.
    fn platform_says_to_text(&self, who: &str) -> (Value, bool) {
        let verdict = self.platform_says(who, Ask::free_form());
        match self.part.tag {
            Some(tag) if verdict["allowed"] == false => (self.platform_says(who, Ask::tagged(tag)), true),
            _ => (verdict, false),
        }
    }

    async fn agent_sends(&mut self, step: u32, who: &'static str, category: Option<&'static str>) {
        let (contact, conversation) = self.met[who].clone();
        let channel = self.stage.world.account(self.part.platform).unwrap().ours.id;
        let to_person = format!("/contacts/{contact}/messages");
        let text = format!("step {step}");
        let (path, body) = match (category, conversation) {
            (None, Some(conversation)) => {
                (format!("/conversations/{conversation}/messages"), json!({ "type": "reply", "text": text }))
            }
            (None, None) => (to_person, json!({ "channel": channel, "message": { "text": text } })),
            (Some(NEW_THREAD), _) => {
                let letter = json!({ "subject": format!("Step {step}"), "text": "Something new." });
                (to_person, json!({ "channel": channel, "message": letter }))
            }
            (Some(category), Some(conversation)) => {
                (format!("/conversations/{conversation}/messages"), template(self.part.platform, category))
            }
            (Some(_), None) => panic!("templates go to who wrote"),
        };
        // As long as any platform wants between two messages to one person: pacing is not what is compared.
        self.stage.world.clock.advance(Duration::seconds(7));
        let now = self.stage.world.now();
        let (platform, tagged) = match category {
            None => self.platform_says_to_text(who),
            Some(NEW_THREAD) => {
                let unsolicited = Ask { category: Some(NEW_THREAD.to_owned()), ..Ask::free_form() };
                (self.platform_says(who, unsolicited), false)
            }
            Some(category) => (self.platform_says(who, Ask::template(category)), false),
        };
        let near_edge =
            |name: &str| instant(&platform["window"][name]).is_some_and(|edge| (edge - now).abs() <= self.part.margin);
        if near_edge("closes_at") {
            return self.count("inside the margin");
        }
        let reply = self.stage.api.post(&path, body).await.unwrap();
        // A block stands beside what window and count say, and so does who wants nothing that promotes.
        let blocked = platform["blocked"] == true;
        let promotes = category == Some("marketing");
        let unwanted = platform["opted_out"] == true && (promotes || self.part.wants_nothing);
        let in_time = platform["allowed"] == true && !unwanted;
        let allowed = in_time && (!blocked || self.part.block == Block::Hidden);
        let known = self.found_out.get(who).copied();
        let about = format!("step {step}: {who} {category:?} at {now}, the platform says {platform}");
        match reply.status {
            202 => {
                if in_time && blocked && self.part.block == Block::FoundShut {
                    tiktok::is_looked_at_again(&self.stage, reply.text("/id").unwrap()).await;
                }
                let message = self.stage.settled(reply.text("/id").unwrap()).await.unwrap();
                let state = message["state"].as_str().unwrap_or_default();
                if let (true, true, Some(end)) = (in_time, blocked, self.part.block.found_out()) {
                    assert!(
                        !matches!(known, Some(Some(_))),
                        "{about}: that was found out, and is forgotten; {message}"
                    );
                    assert_eq!(state, end, "{about}; {message}");
                    // One refusal proves nothing, and at the window's end nobody looks again: what follows it may find it out.
                    if message["failure"]["reason"] == "expired" {
                        return self.count("block not looked at again");
                    }
                    self.found_out.insert(who, Some(self.stage.world.now()));
                    return self.count("block found out");
                }
                let fits = if blocked { state == "sent" } else { ["sent", "delivered", "read"].contains(&state) };
                assert!(allowed && fits, "{about}: Transom let it through, it is {state}; {message}");
                self.found_out.remove(who);
                if blocked {
                    self.count("let through to who blocks");
                }
                if tagged && self.part.platform == "webchat" {
                    webchat::is_seen(&self.stage, who, &text).await;
                    self.count("invited");
                }
                self.count(&format!("by {}", reply.text("/permit/grant").unwrap_or_default()));
                self.count("let through");
            }
            // Nobody tells that somebody is back who says nothing.
            409 if allowed && known.is_some() => self.count("shut until they write"),
            409 => {
                assert!(!allowed, "{about}: it would have taken it, and Transom refused: {}", reply.body);
                match (blocked, tagged && platform["because"] == "quota") {
                    (true, _) => self.count("refused to who blocks"),
                    (false, true) => self.count("refused a second invitation"),
                    (false, false) => {}
                }
                self.count("refused by both");
            }
            other => panic!("step {step}: HTTP {other}: {}", reply.body),
        }
    }

    fn count(&mut self, what: &str) {
        *self.counts.entry(what.to_owned()).or_default() += 1;
    }
}
