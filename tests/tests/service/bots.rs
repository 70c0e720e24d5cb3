//! Bots: what they are bound to, what they are told of, and how they hand over to people.

use crate::receiver::Receiver;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use time::Duration;
use time::macros::datetime;
use transom_domain::{Role, SettableClock};
use transom_sandbox::{Fault, FaultKind, NewCustomer};
use transom_storage::both_databases;
use transom_storage::test_support::TestDatabase;
use transom_tests::{Api, Reply, Stage, http};

const PATIENCE: std::time::Duration = std::time::Duration::from_mins(1);

/// Somebody who works here, or something.
struct Colleague {
    id: String,
    token: String,
    api: Api,
}

/// A desk with a bot, and customers who write.
struct Desk {
    stage: Stage,
    bot: Colleague,
}

impl Desk {
    async fn set(db: TestDatabase, clock: SettableClock) -> Self {
        let stage = Stage::set(db, clock).await.unwrap();
        let bot = colleague(&stage, "Robo", Role::Bot).await;
        Self { stage, bot }
    }

    fn channel(&self, platform: &str) -> Value {
        json!(self.stage.world.account(platform).unwrap().ours.id)
    }

    async fn binds(&self, bot: &Colleague, bindings: Value) -> Reply {
        let body = json!({ "bindings": bindings });
        self.stage.api.put(&format!("/agents/{}/bindings", bot.id), body).await.unwrap()
    }

    /// Binds the bot to WhatsApp alone.
    async fn serves(&self, condition: Value) {
        let binding = json!([{ "channel": self.channel("whatsapp"), "condition": condition }]);
        self.binds(&self.bot, binding).await.expect(200).unwrap();
    }

    fn meet(&self, who: usize) {
        let (id, phone) = (format!("c{who}"), format!("+49155503{who:05}"));
        self.stage.world.control().create_customer(NewCustomer::named(&id, &name(who), &phone)).unwrap();
    }

    /// A customer writes; their conversation once the message is in.
    async fn writes(&self, platform: &str, who: usize, text: &str) -> String {
        let account = self.stage.world.account(platform).unwrap().at_sandbox.clone();
        self.stage.world.control().writes(&account, &format!("c{who}"), text).unwrap();
        self.stage.quiet().await.unwrap();
        let (_, id) = self.stage.world.conversation_with(platform, &name(who)).await.unwrap();
        format!("/conversations/{id}")
    }

    async fn read(&self, path: &str) -> Value {
        self.stage.api.get(path).await.unwrap().expect(200).unwrap().body
    }

    async fn status(&self, conversation: &str) -> String {
        self.read(conversation).await["status"].as_str().unwrap().to_owned()
    }

    async fn says(&self, bot: &Colleague, conversation: &str, text: &str) -> Reply {
        bot.api.post(&format!("{conversation}/messages"), json!({ "type": "reply", "text": text })).await.unwrap()
    }

    async fn is_refused(&self, bot: &Colleague, conversation: &str, code: &str) {
        let refused = self.says(bot, conversation, "beep").await;
        assert_eq!((refused.status, refused.text("/code")), (409, Some(code)), "{}", refused.body);
    }

    /// Every event that a bot is told of, from the first to the one that says `last`.
    async fn hears(&self, bot: &Colleague, last: &str) -> Vec<Value> {
        let url = format!("{}/v1/events?after=0", self.stage.world.server.base_url());
        let mut answer = http().get(url).bearer_auth(&bot.token).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let mut text = String::new();
        let read = async {
            while !(text.contains(last) && text.ends_with("\n\n")) {
                text.push_str(&String::from_utf8_lossy(&answer.chunk().await.unwrap().expect("the stream goes on")));
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, read).await.is_ok();
        assert!(in_time, "the bot never hears `{last}`: {text}");
        let data = text.lines().filter_map(|line| line.strip_prefix("data:"));
        data.map(|data| serde_json::from_str(data.trim()).unwrap()).collect()
    }

    /// What customers said in those events.
    async fn overhears(&self, bot: &Colleague, last: &str) -> Vec<String> {
        let heard = self.hears(bot, last).await;
        assert!(heard.iter().all(|event| event["type"] == "message.received"), "{heard:?}");
        heard.iter().map(|event| event["data"]["preview"].as_str().unwrap().to_owned()).collect()
    }
}

fn name(who: usize) -> String {
    format!("Customer {who:02}")
}

async fn colleague(stage: &Stage, name: &str, role: Role) -> Colleague {
    let (id, token) = stage.colleague(name, role).await.unwrap();
    let token = token.expose_secret().to_owned();
    let api = Api::new(stage.world.server.base_url(), &token).unwrap();
    Colleague { id, token, api }
}

both_databases! {
    /// where a bot serves, what customers begin stays closed for it; elsewhere it is kept out.
    async fn a_bot_serves_where_it_is_bound(db: TestDatabase) {
        let desk = Desk::set(db, SettableClock::running()).await;
        for who in 0..3 {
            desk.meet(who);
        }
        let before = desk.writes("whatsapp", 0, "before").await;
        assert_eq!(desk.status(&before).await, "open", "no bot serves yet");
        desk.serves(json!({})).await;

        let served = desk.writes("whatsapp", 1, "hello bot").await;
        assert_eq!(desk.status(&served).await, "closed");
        assert_eq!(desk.overhears(&desk.bot, "hello bot").await, ["hello bot"]);
        let sent = desk.says(&desk.bot, &served, "At your service").await.expect(202).unwrap();
        desk.stage.settled(sent.text("/id").unwrap()).await.unwrap();
        assert!(desk.stage.world.control().ledger().iter().any(|send| send.text == "At your service"));
        assert_eq!(desk.status(&served).await, "closed", "a bot opens nothing");
        desk.writes("whatsapp", 1, "thanks").await;
        assert_eq!(desk.status(&served).await, "closed", "it goes on between the two");

        let elsewhere = desk.writes("telegram", 2, "hello people").await;
        assert_eq!(desk.status(&elsewhere).await, "open");
        let closed = json!({ "status": "closed" });
        desk.stage.api.post(&format!("{elsewhere}/status"), closed.clone()).await.unwrap().expect(200).unwrap();
        desk.is_refused(&desk.bot, &elsewhere, "bot_unbound").await;

        // Opened by people it is theirs; let go of, the bot is back; unbound, it is out.
        let open = json!({ "status": "open" });
        desk.stage.api.post(&format!("{served}/status"), open).await.unwrap().expect(200).unwrap();
        desk.is_refused(&desk.bot, &served, "bot_paused").await;
        desk.writes("whatsapp", 1, "to people").await;
        desk.stage.api.post(&format!("{served}/status"), closed).await.unwrap().expect(200).unwrap();
        desk.writes("whatsapp", 1, "to the bot").await;
        assert_eq!(desk.overhears(&desk.bot, "to the bot").await, ["hello bot", "thanks", "to the bot"]);
        let off = json!([{ "channel": desk.channel("whatsapp"), "enabled": false }]);
        desk.binds(&desk.bot, off).await.expect(200).unwrap();
        desk.is_refused(&desk.bot, &served, "bot_unbound").await;
        desk.writes("whatsapp", 1, "anybody?").await;
        assert_eq!(desk.status(&served).await, "open", "no bot serves any more");
        desk.stage.strike().await;
    }
}

both_databases! {
    /// a bot is told of what its condition holds for and of nothing else; what no bot is told of, people see.
    async fn a_bot_is_told_of_what_its_condition_holds_for(db: TestDatabase) {
        // A Friday, nine in the morning in Berlin.
        let clock = SettableClock::frozen(datetime!(2026-11-20 08:00 UTC));
        let desk = Desk::set(db, clock).await;
        for who in 0..7 {
            desk.meet(who);
        }
        let tell = |condition: Value| {
            let desk = &desk;
            async move { desk.serves(condition).await }
        };
        tell(json!({ "keywords": ["order", "返品"] })).await;
        let texts = [("Where is my ORDER?", "closed"), ("I am in disorder", "open"), ("返品したい", "closed")];
        for (who, (text, stays)) in texts.into_iter().enumerate() {
            let conversation = desk.writes("whatsapp", who, text).await;
            assert_eq!(desk.status(&conversation).await, stays, "{text}");
        }
        tell(json!({ "labels": ["vip"] })).await;
        let conversation = desk.writes("whatsapp", 2, "no VIP").await;
        assert_eq!(desk.status(&conversation).await, "open");
        let contact = desk.read(&conversation).await["contact"].as_str().unwrap().to_owned();
        let label = format!("/contacts/{contact}/labels/vip");
        desk.stage.api.put(&label, None::<Value>).await.unwrap().expect(200).unwrap();
        let closed = json!({ "status": "closed" });
        desk.stage.api.post(&format!("{conversation}/status"), closed).await.unwrap().expect(200).unwrap();
        desk.writes("whatsapp", 2, "a VIP").await;
        assert_eq!(desk.status(&conversation).await, "closed");

        tell(json!({ "first_message": true })).await;
        let conversation = desk.writes("whatsapp", 3, "my first").await;
        assert_eq!(desk.status(&conversation).await, "closed");
        desk.writes("whatsapp", 3, "my second").await;
        assert_eq!(desk.status(&conversation).await, "open");

        let weekday = json!({ "days": ["friday"], "from": "09:00", "to": "17:00" });
        let night = json!({ "days": ["thursday"], "from": "22:00", "to": "09:00" });
        tell(json!({ "hours": { "time_zone": "Europe/Berlin", "spans": [night] } })).await;
        let conversation = desk.writes("whatsapp", 4, "after the night").await;
        assert_eq!(desk.status(&conversation).await, "open");
        tell(json!({ "hours": { "time_zone": "Europe/Berlin", "spans": [weekday] } })).await;
        let conversation = desk.writes("whatsapp", 5, "in the hours").await;
        assert_eq!(desk.status(&conversation).await, "closed");
        desk.stage.world.clock.advance(Duration::hours(8));
        let conversation = desk.writes("whatsapp", 6, "after hours").await;
        assert_eq!(desk.status(&conversation).await, "open");

        tell(json!({})).await;
        desk.writes("whatsapp", 5, "the last").await;
        let told = ["Where is my ORDER?", "返品したい", "a VIP", "my first", "in the hours", "the last"];
        assert_eq!(desk.overhears(&desk.bot, "the last").await, told);
        desk.stage.strike().await;
    }
}

both_databases! {
    /// a bot hands over with a reason; the rules find somebody, and no bot is let in any more.
    async fn a_bot_hands_over_to_people(db: TestDatabase) {
        let desk = Desk::set(db, SettableClock::running()).await;
        let bea = colleague(&desk.stage, "Bea", Role::Agent).await;
        let other = colleague(&desk.stage, "Beep", Role::Bot).await;
        let team = json!({ "name": "Service", "members": [bea.id] });
        let team = desk.stage.api.post("/teams", team).await.unwrap().expect(201).unwrap().body["id"].clone();
        let rule = json!({ "name": "everybody", "target": { "to": "team", "team": team } });
        desk.stage.api.post("/assignment-rules", rule).await.unwrap().expect(201).unwrap();
        desk.serves(json!({})).await;
        desk.meet(0);
        let conversation = desk.writes("whatsapp", 0, "a human please").await;

        let path = format!("{conversation}/handover");
        let handover = json!({ "note": "Wants a refund, and I may not" });
        let unbound = other.api.post(&path, handover.clone()).await.unwrap();
        assert_eq!((unbound.status, unbound.text("/code")), (409, Some("bot_unbound")), "{}", unbound.body);
        let empty = desk.bot.api.post(&path, json!({ "note": "  " })).await.unwrap();
        assert_eq!((empty.status, empty.text("/code")), (422, Some("message_empty")), "{}", empty.body);
        let unfit = json!({ "note": "to a bot", "agent": other.id });
        let unfit = desk.bot.api.post(&path, unfit).await.unwrap();
        assert_eq!((unfit.status, unfit.text("/code")), (422, Some("agent_unfit")), "{}", unfit.body);
        assert_eq!(desk.status(&conversation).await, "closed", "nothing half done");

        let handed = desk.bot.api.post_once(&path, "handed-1", handover.clone()).await.unwrap().expect(201).unwrap();
        let again = desk.bot.api.post_once(&path, "handed-1", handover.clone()).await.unwrap().expect(201).unwrap();
        assert_eq!(handed.body, again.body, "once for each key");
        let is_beas = || async {
            Ok(Some(desk.read(&conversation).await).filter(|now| now["assignee"]["agent"] == json!(bea.id)))
        };
        let now = desk.stage.world.until("the rules give it to Bea", is_beas).await.unwrap();
        assert_eq!((&now["status"], &now["assignee"]["team"]), (&json!("open"), &team));
        let messages = desk.read(&format!("{conversation}/messages?limit=100")).await;
        let notes: Vec<&Value> =
            messages["items"].as_array().unwrap().iter().filter(|message| message["type"] == "note").collect();
        assert_eq!(notes.len(), 1, "{messages}");
        assert_eq!(notes[0]["id"], handed.body["note"]);
        assert!(notes[0].to_string().contains("Wants a refund, and I may not"), "{}", notes[0]);
        assert!(desk.stage.world.control().ledger().is_empty(), "the note is nobody's but the team's");
        let told = desk.hears(&desk.bot, "conversation.handed_over").await;
        assert_eq!(told.last().unwrap()["data"]["note"], handed.body["note"]);

        desk.is_refused(&desk.bot, &conversation, "bot_paused").await;
        let late = desk.bot.api.post(&path, handover).await.unwrap();
        assert_eq!((late.status, late.text("/code")), (409, Some("bot_paused")), "people have it");
        // People hand over among themselves, with a reason as well.
        let cem = colleague(&desk.stage, "Cem", Role::Agent).await;
        let handover = json!({ "note": "You know French", "agent": cem.id });
        let handed = bea.api.post(&path, handover).await.unwrap().expect(201).unwrap();
        assert_eq!(handed.text("/agent"), Some(cem.id.as_str()));
        desk.stage.strike().await;
    }
}

both_databases! {
    /// whether a bot may write is asked again as its message leaves.
    async fn people_who_take_over_stop_what_a_bot_has_written(db: TestDatabase) {
        let desk = Desk::set(db, SettableClock::running()).await;
        desk.serves(json!({})).await;
        let account = desk.stage.world.account("whatsapp").unwrap().at_sandbox.clone();
        for (who, code) in [(0, "bot_paused"), (1, "bot_unbound")] {
            desk.meet(who);
            let conversation = desk.writes("whatsapp", who, "hello").await;
            let text = format!("beep {who}");
            let busy = FaultKind::RateLimited { retry_after: Some(1_200) };
            desk.stage.world.control().fault(&account, Fault::once(busy)).unwrap();
            let sent = desk.says(&desk.bot, &conversation, &text).await.expect(202).unwrap();
            desk.stage.quiet().await.unwrap();
            if code == "bot_paused" {
                let open = json!({ "status": "open" });
                desk.stage.api.post(&format!("{conversation}/status"), open).await.unwrap().expect(200).unwrap();
            } else {
                desk.binds(&desk.bot, json!([])).await.expect(200).unwrap();
            }
            desk.stage.world.clock.advance(Duration::minutes(30));
            let message = desk.stage.settled(sent.text("/id").unwrap()).await.unwrap();
            assert_eq!(message["state"], "not_sent", "{message}");
            assert!(message.to_string().contains(code), "{message}");
            assert!(!desk.stage.world.control().ledger().iter().any(|send| send.text == text));
        }
        desk.stage.strike().await;
    }
}

both_databases! {
    /// Email, sheet 3: an autoresponder that does not say that it is one, and a bot that answers whatever comes.
    async fn two_machines_do_not_write_to_each_other_for_ever(db: TestDatabase) {
        let desk = Desk::set(db, SettableClock::running()).await;
        desk.meet(1);
        desk.binds(&desk.bot, json!([{ "channel": desk.channel("email") }])).await.expect(200).unwrap();
        let mut answered = 0;
        for round in 0..8 {
            let letters = desk.writes("email", 1, &format!("Thank you for your mail no. {round}")).await;
            let said = desk.says(&desk.bot, &letters, "Thank you for yours").await;
            match said.status {
                202 => answered += 1,
                _ => assert!(said.body.to_string().contains("quota_used"), "{}", said.body),
            }
        }
        assert!((1..=5).contains(&answered), "{answered} answers");
        let letters = desk.writes("email", 1, "Still there?").await;
        desk.is_refused(&desk.bot, &letters, "not_permitted").await;
        let reply = desk.stage.api.post(&format!("{letters}/messages"), json!({ "type": "reply", "text": "I am" })).await;
        reply.unwrap().expect(202).unwrap();
        desk.stage.strike().await;
    }
}

both_databases! {
    /// What a bot is bound to must be there and make sense.
    async fn wrong_bindings_are_refused(db: TestDatabase) {
        let desk = Desk::set(db, SettableClock::running()).await;
        let bea = colleague(&desk.stage, "Bea", Role::Agent).await;
        let channel = desk.channel("whatsapp");
        let with = |condition: Value| json!([{ "channel": channel, "condition": condition }]);
        let hours = |zone: &str, from: &str| {
            let span = json!({ "days": ["monday"], "from": from, "to": "17:00" });
            with(json!({ "hours": { "time_zone": zone, "spans": [span] } }))
        };
        for (bindings, status, code) in [
            (json!([{ "channel": "01900000-0000-7000-8000-000000000000" }]), 404, "not_found"),
            (json!([{ "channel": channel }, { "channel": channel }]), 422, "binding_invalid"),
            (with(json!({ "keywords": [" "] })), 422, "binding_invalid"),
            (hours("Berlin", "09:00"), 422, "time_zone_unknown"),
            (hours("Europe/Berlin", "25:00"), 400, "body_malformed"),
        ] {
            let reply = desk.binds(&desk.bot, bindings.clone()).await;
            assert_eq!((reply.status, reply.text("/code")), (status, Some(code)), "{bindings}: {}", reply.body);
        }
        let person = desk.binds(&bea, json!([])).await;
        assert_eq!((person.status, person.text("/code")), (422, Some("not_a_bot")));
        let sound = hours("Europe/Berlin", "09:00");
        let bound = desk.binds(&desk.bot, sound).await.expect(200).unwrap();
        // A bot sees what it is bound to, and nothing of other bots; it binds nobody.
        let own = format!("/agents/{}/bindings", desk.bot.id);
        assert_eq!(desk.bot.api.get(&own).await.unwrap().expect(200).unwrap().body, bound.body);
        let other = colleague(&desk.stage, "Beep", Role::Bot).await;
        assert_eq!(other.api.get(&own).await.unwrap().status, 404);
        assert_eq!(desk.bot.api.put(&own, json!({ "bindings": [] })).await.unwrap().status, 403);
        desk.stage.strike().await;
    }
}

both_databases! {
    /// a bot's own endpoint hears what its stream would, and nothing else.
    async fn a_bots_endpoint_hears_what_is_for_the_bot(db: TestDatabase) {
        let desk = Desk::set(db, SettableClock::running()).await;
        let receiver = Receiver::start().await;
        for who in 0..2 {
            desk.meet(who);
        }
        desk.serves(json!({ "keywords": ["order"] })).await;
        let api = &desk.stage.api;
        let endpoint = json!({ "url": receiver.url(), "agent": desk.bot.id });
        let made = api.post("/webhook-endpoints", endpoint).await.unwrap().expect(201).unwrap();
        let path = format!("/webhook-endpoints/{}", made.text("/id").unwrap());
        assert_eq!(api.get(&path).await.unwrap().expect(200).unwrap().body["agent"], json!(desk.bot.id));
        desk.writes("whatsapp", 0, "my order please").await;
        desk.writes("telegram", 1, "my order, elsewhere").await;
        desk.writes("whatsapp", 1, "something else").await;
        desk.writes("whatsapp", 0, "the last order").await;
        let heard = || {
            let calls = receiver.calls();
            let said = |call: &crate::receiver::Call| call.body["data"]["preview"].as_str().unwrap_or("-").to_owned();
            calls.iter().map(said).collect::<Vec<_>>()
        };
        let last = || std::future::ready(Ok(heard().iter().any(|text| text == "the last order").then_some(())));
        desk.stage.world.until("the last is told", last).await.unwrap();
        assert_eq!(heard(), ["my order please", "the last order"]);

        // Everybody's again; and it is nobody's own but a bot's.
        let everything = api.patch(&path, json!({ "agent": null })).await.unwrap().expect(200).unwrap().body;
        assert!(everything.get("agent").is_none_or(Value::is_null), "{everything}");
        desk.writes("telegram", 1, "heard by now").await;
        let all = || std::future::ready(Ok(heard().iter().any(|text| text == "heard by now").then_some(())));
        desk.stage.world.until("everything is told", all).await.unwrap();
        let (person, _) = desk.stage.agent("Bea", Role::Agent).await.unwrap();
        for (agent, status, code) in [(json!(person), 422, "not_a_bot"), (desk.channel("whatsapp"), 404, "not_found")] {
            let refused = api.post("/webhook-endpoints", json!({ "url": receiver.url(), "agent": agent })).await.unwrap();
            assert_eq!((refused.status, refused.text("/code")), (status, Some(code)), "{}", refused.body);
        }
        desk.stage.strike().await;
    }
}
