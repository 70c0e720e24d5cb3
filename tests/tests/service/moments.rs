//! What happens at moments of a conversation by itself: windows that end and the keep-open reminder, over real HTTP, on both
//! databases, with a clock that is moved.

use futures_util::future::join_all;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use transom_desk::{moments, workspaces};
use transom_domain::{Role, SettableClock};
use transom_sandbox::NewCustomer;
use transom_storage::both_databases;
use transom_storage::test_support::TestDatabase;
use transom_tests::{Api, Stage, http, instant};

use crate::receiver::Receiver;

/// A customer who has just written, and Bea, who answers.
struct Scene {
    stage: Stage,
    bea: Api,
    bea_id: String,
    account: String,
    contact: String,
    conversation: String,
}

impl Scene {
    async fn set(db: TestDatabase, platform: &'static str) -> Self {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        stage.world.add_templates().await.unwrap();
        let account = stage.world.account(platform).unwrap().at_sandbox.clone();
        stage.world.control().create_customer(NewCustomer::named("mara", "Mara Klein", "+4915550100001")).unwrap();
        stage.world.control().writes(&account, "mara", "hello").unwrap();
        let (contact, conversation) = stage.world.conversation_with(platform, "Mara Klein").await.unwrap();
        let (desk, caller) = (stage.world.desk(), &stage.world.caller);
        let (agent, issued) = workspaces::add_agent(desk, caller, "Bea", Role::Agent, None, None).await.unwrap();
        let bea = Api::new(stage.world.server.base_url(), issued.token.expose_secret()).unwrap();
        let (contact, conversation) = (contact.to_string(), conversation.to_string());
        let scene = Self { stage, bea, bea_id: agent.id.to_string(), account, contact, conversation };
        scene.stage.quiet().await.unwrap();
        scene
    }

    async fn get(&self, path: &str) -> Value {
        self.stage.api.get(path).await.unwrap().expect(200).unwrap().body
    }

    async fn post(&self, path: &str, body: Value, status: u16) -> Value {
        self.stage.api.post(path, body).await.unwrap().expect(status).unwrap().body
    }

    async fn set_up(&self, settings: Value) {
        self.stage.api.patch("/settings", settings).await.unwrap().expect(200).unwrap();
    }

    async fn shown(&self) -> Value {
        self.get(&format!("/conversations/{}", self.conversation)).await
    }

    /// Bea writes, and it arrives.
    async fn bea_writes(&self, text: &str) {
        let path = format!("/conversations/{}/messages", self.conversation);
        let sent = self.bea.post(&path, json!({ "text": text })).await.unwrap().expect(202).unwrap();
        self.stage.settled(sent.text("/id").unwrap()).await.unwrap();
    }

    async fn mara_writes(&self, text: &str) {
        let before = self.told("message.received").await.len();
        self.stage.world.control().writes(&self.account, "mara", text).unwrap();
        let come = || async { Ok((self.told("message.received").await.len() > before).then_some(())) };
        self.stage.world.until("her message arrives", come).await.unwrap();
        self.stage.quiet().await.unwrap();
    }

    /// What a person may still do until when, as it is shown.
    async fn closes_at(&self) -> OffsetDateTime {
        let now = self.shown().await;
        instant(&now["window"]["human"]["closes_at"]).unwrap_or_else(|| panic!("{now}"))
    }

    /// Moves the clock to an instant, and looks what has come.
    async fn at(&self, instant: OffsetDateTime) {
        self.stage.world.clock.advance(instant - self.stage.world.now());
        self.look().await;
    }

    async fn look(&self) {
        moments::look(self.stage.world.desk()).await.unwrap();
        self.stage.quiet().await.unwrap();
    }

    /// The events of a kind, about whatever conversation.
    async fn told(&self, kind: &str) -> Vec<Value> {
        let reader = self.stage.world.desk().storage().reader(&self.stage.world.caller.scope);
        let last = || async { reader.last_event_seq().await.unwrap() };
        let (mut found, mut seq) = (Vec::new(), 0);
        loop {
            let page = reader.events_after(seq, 500).await.unwrap();
            let Some(end) = page.last() else {
                if seq >= last().await {
                    return found;
                }
                continue;
            };
            seq = end.seq;
            for numbered in page.iter().filter(|numbered| numbered.event.kind == kind) {
                let mut data = numbered.event.data.clone();
                data["conversation"] = json!(numbered.event.conversation);
                found.push(data);
            }
        }
    }

    /// The events of a kind, once there are so many.
    async fn until_told(&self, kind: &str, count: usize) -> Vec<Value> {
        let enough = || async { Ok(Some(self.told(kind).await).filter(|told| told.len() >= count)) };
        self.stage.world.until(&format!("{kind} is told {count} times"), enough).await.unwrap()
    }

    fn arrived(&self) -> Vec<String> {
        self.stage.world.control().ledger().into_iter().map(|send| send.text).collect()
    }
}

both_databases! {
    /// Each end is told once: that it comes, and that it came; a message in between moves it, and then it is told anew. A window that
    /// never ends tells nothing.
    async fn each_end_of_a_window_is_told_once(db: TestDatabase) {
        let scene = Scene::set(db, "whatsapp").await;
        let telegram = scene.stage.world.account("telegram").unwrap().at_sandbox.clone();
        scene.stage.world.control().writes(&telegram, "mara", "hello there").unwrap();
        scene.stage.world.conversation_with("telegram", "Mara Klein").await.unwrap();
        let receiver = Receiver::start().await;
        let hook = json!({ "url": receiver.url(), "kinds": ["window.*"] });
        scene.post("/webhook-endpoints", hook, 201).await;

        let first = scene.closes_at().await;
        scene.at(first - Duration::minutes(61)).await;
        assert_eq!(scene.told("window.closing").await, Vec::<Value>::new(), "not yet");
        scene.at(first - Duration::minutes(59)).await;
        for _ in 0..3 {
            scene.look().await;
        }
        let told = scene.until_told("window.closing", 1).await;
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!((&told[0]["conversation"], &told[0]["what"]), (&json!(scene.conversation), &json!("window")));
        assert_eq!(instant(&told[0]["closes_at"]), Some(first));
        assert!((58..=59).contains(&told[0]["minutes"].as_u64().unwrap()), "{told:?}");
        assert!(told[0]["waiting_since"].is_string(), "she waits: {told:?}");

        // She writes between notice and end.
        scene.mara_writes("still there?").await;
        let second = scene.closes_at().await;
        assert!(second > first + Duration::minutes(50), "{second} after {first}");
        scene.at(first + Duration::SECOND).await;
        assert_eq!(scene.told("window.closed").await, Vec::<Value>::new(), "it moved");
        scene.at(second - Duration::minutes(10)).await;
        let told = scene.until_told("window.closing", 2).await;
        assert_eq!(instant(&told[1]["closes_at"]), Some(second));
        scene.at(second).await;
        for _ in 0..3 {
            scene.look().await;
        }
        let ended = scene.until_told("window.closed", 1).await;
        assert_eq!(ended.len(), 1, "{ended:?}");
        assert_eq!((instant(&ended[0]["closes_at"]), &ended[0]["unanswered"]), (Some(second), &json!(true)));
        assert_eq!(ended[0]["conversation"], json!(scene.conversation));
        scene.at(second + Duration::days(3)).await;
        assert_eq!((scene.told("window.closing").await.len(), scene.told("window.closed").await.len()), (2, 1));

        // The same over webhooks and the stream.
        let all = || std::future::ready(Ok((receiver.calls().len() >= 3).then_some(())));
        scene.stage.world.until("the webhooks arrive", all).await.unwrap();
        let kinds: Vec<Value> = receiver.calls().iter().map(|call| call.body["type"].clone()).collect();
        assert_eq!(kinds, ["window.closing", "window.closing", "window.closed"]);
        let url = format!("{}/v1/events?after=0", scene.stage.world.server.base_url());
        let mut stream = http().get(url).bearer_auth(scene.stage.world.token.expose_secret()).send().await.unwrap();
        let mut text = String::new();
        while !text.contains("window.closed") {
            text.push_str(&String::from_utf8_lossy(&stream.chunk().await.unwrap().expect("the stream goes on")));
        }
        assert_eq!(text.matches("event: window.closing").count(), 2, "{text}");
        drop(stream);
        scene.stage.strike().await;
    }
}

both_databases! {
    /// The notice comes when the workspace wants it, and not at all if it wants none.
    async fn a_workspace_says_when_it_wants_notice(db: TestDatabase) {
        let scene = Scene::set(db, "whatsapp").await;
        scene.set_up(json!({ "window_closing_notice": 0 })).await;
        let end = scene.closes_at().await;
        scene.at(end - Duration::minutes(30)).await;
        assert_eq!(scene.told("window.closing").await.len(), 0);
        scene.set_up(json!({ "window_closing_notice": 15 })).await;
        scene.look().await;
        assert_eq!(scene.told("window.closing").await.len(), 0, "not yet");
        scene.at(end - Duration::minutes(14)).await;
        assert_eq!(scene.until_told("window.closing", 1).await.len(), 1);
        let refused = scene.stage.api.patch("/settings", json!({ "window_closing_notice": 20_000 })).await.unwrap();
        assert_eq!(refused.status, 400, "{}", refused.body);
        scene.stage.strike().await;
    }
}

both_databases! {
    /// What comes while the service stands still is told once it is there again, and once.
    async fn an_end_during_a_stop_is_told_afterwards(db: TestDatabase) {
        let mut scene = Scene::set(db, "whatsapp").await;
        let end = scene.closes_at().await;
        scene.at(end - Duration::minutes(30)).await;
        assert_eq!(scene.until_told("window.closing", 1).await.len(), 1);
        let clock = scene.stage.world.clock.clone();
        let pause = end - scene.stage.world.now() + Duration::HOUR;
        scene.stage = scene.stage.restarted(|| { clock.advance(pause); }).await.unwrap();
        let told = scene.until_told("window.closed", 1).await;
        assert_eq!(instant(&told[0]["closes_at"]), Some(end), "{told:?}");
        scene.stage = scene.stage.restarted(|| {}).await.unwrap();
        scene.look().await;
        assert_eq!((scene.told("window.closing").await.len(), scene.told("window.closed").await.len()), (1, 1));

        // She wrote after the end, and before anybody looked: it ended all the same.
        scene.mara_writes("again").await;
        let end = scene.closes_at().await;
        let (control, account) = (scene.stage.world.control(), scene.account.clone());
        let pause = end - scene.stage.world.now() + Duration::HOUR;
        scene.stage = scene.stage.restarted(|| {
            clock.advance(pause);
            control.writes(&account, "mara", "one more thing").unwrap();
        }).await.unwrap();
        let told = scene.until_told("window.closed", 2).await;
        assert_eq!(instant(&told[1]["closes_at"]), Some(end), "{told:?}");
        let come = || async { Ok((scene.told("message.received").await.len() >= 3).then_some(())) };
        scene.stage.world.until("her message arrives", come).await.unwrap();
        scene.look().await;
        assert_eq!(scene.told("window.closed").await.len(), 2);
        scene.stage.strike().await;
    }
}

both_databases! {
    /// Whoever looks at the same time, two services on one database included: everything is told once.
    async fn many_who_look_tell_everything_once(db: TestDatabase) {
        const PEOPLE: usize = 40;
        let is_shared = db.is_postgres();
        let scene = Scene::set(db, "whatsapp").await;
        let control = scene.stage.world.control();
        for n in 0..PEOPLE {
            let (name, number) = (format!("p{n}"), format!("+49155503{n:05}"));
            control.create_customer(NewCustomer::named(&name, &format!("Person {n}"), &number)).unwrap();
            control.writes(&scene.account, &name, "hello").unwrap();
        }
        scene.until_told("message.received", PEOPLE + 1).await;
        scene.stage.quiet().await.unwrap();
        let replica = if is_shared { Some(scene.stage.world.idle_replica().await.unwrap()) } else { None };
        let desks = [Some(scene.stage.world.desk()), replica.as_ref().map(transom_server::Server::desk)];
        let desks: Vec<_> = desks.into_iter().flatten().collect();
        assert_eq!(desks.len(), 1 + usize::from(is_shared));

        let mut wait = Duration::hours(23) + Duration::minutes(30);
        for kind in ["window.closing", "window.closed"] {
            scene.stage.world.clock.advance(wait);
            wait = Duration::HOUR;
            for looked in join_all((0..6).map(async |n| moments::look(desks[n % desks.len()]).await)).await {
                looked.unwrap();
            }
            let mut told: Vec<String> =
                scene.until_told(kind, PEOPLE + 1).await.iter().map(|data| data["conversation"].to_string()).collect();
            scene.look().await;
            assert_eq!(scene.told(kind).await.len(), PEOPLE + 1, "{kind} is told once");
            told.sort();
            told.dedup();
            assert_eq!(told.len(), PEOPLE + 1, "of each conversation");
        }
        if let Some(replica) = replica {
            replica.stop().await;
        }
        scene.stage.strike().await;
    }
}

both_databases! {
    /// where a person may write under a tag after free text has ended, both ends are told. R-525: an automation never does.
    async fn where_a_tag_goes_on_both_ends_are_told_and_no_automation_uses_it(db: TestDatabase) {
        let scene = Scene::set(db, "messenger").await;
        scene.set_up(json!({ "keep_open_reminder": true, "keep_open_text": "A word from you keeps this open." })).await;
        let last = scene.closes_at().await;
        let free = instant(&scene.shown().await["window"]["free_form_until"]).unwrap();
        assert!(last > free + Duration::days(5), "{free} and {last}");
        scene.at(free - Duration::minutes(10)).await;
        let told = scene.until_told("window.closing", 1).await;
        assert_eq!((&told[0]["what"], instant(&told[0]["tagged_until"])), (&json!("free_form"), Some(last)), "{told:?}");
        scene.at(free + Duration::SECOND).await;
        assert_eq!(scene.until_told("window.closed", 1).await[0]["what"], "free_form");

        // A person writes under the tag; no reminder does.
        scene.bea_writes("Sorry that it took so long!").await;
        scene.at(last - Duration::minutes(10)).await;
        let told = scene.until_told("window.closing", 2).await;
        assert_eq!((&told[1]["what"], instant(&told[1]["closes_at"])), (&json!("window"), Some(last)), "{told:?}");
        let skipped = scene.until_told("reminder.skipped", 1).await;
        let reason = skipped[0]["detail"]["reason"].as_str().unwrap();
        assert!(["not_permitted", "template_required"].contains(&reason), "{skipped:?}");
        assert!(skipped[0]["detail"]["decision"]["refusals"].to_string().contains("sender_kind"), "{skipped:?}");
        let history = scene.get(&format!("/conversations/{}/messages", scene.conversation)).await;
        assert!(history.to_string().contains("reminder.skipped"), "{history}");
        assert_eq!(scene.arrived(), ["Sorry that it took so long!"]);
        scene.at(last).await;
        let told = scene.until_told("window.closed", 2).await;
        assert_eq!((&told[1]["what"], &told[1]["unanswered"]), (&json!("window"), &json!(false)), "{told:?}");
        scene.stage.strike().await;
    }
}

both_databases! {
    /// once, shortly before the end, into an open case in which we had the last word; it changes neither status nor assignee.
    async fn who_did_not_answer_us_is_reminded_once(db: TestDatabase) {
        let scene = Scene::set(db, "wechat").await;
        for wrong in [json!({ "keep_open_reminder": true }), json!({ "survey_on_close": true })] {
            let refused = scene.stage.api.patch("/settings", wrong).await.unwrap();
            assert_eq!((refused.status, refused.text("/code")), (422, Some("words_missing")), "{}", refused.body);
        }
        let words = json!({ "title": "Keep open", "content": "Are you still there?" });
        let reply = scene.post("/saved-replies", words, 201).await;
        scene.set_up(json!({ "keep_open_saved_reply": reply["id"], "keep_open_reminder": true })).await;

        // She had the last word: nobody reminds her.
        let first = scene.closes_at().await;
        scene.at(first - Duration::minutes(29)).await;
        scene.look().await;
        assert_eq!(scene.arrived(), Vec::<String>::new());

        scene.mara_writes("hello?").await;
        scene.bea_writes("Which order is it?").await;
        let note = json!({ "type": "note", "text": "she is slow" });
        let noted = scene.stage.api.post(&format!("/conversations/{}/messages", scene.conversation), note).await.unwrap();
        assert!([201, 202].contains(&noted.status), "{}", noted.body);
        let second = scene.closes_at().await;
        scene.at(second - Duration::minutes(31)).await;
        assert_eq!(scene.arrived(), ["Which order is it?"], "not yet");
        scene.stage.world.clock.advance(Duration::minutes(2));
        for looked in join_all((0..4).map(async |_| moments::look(scene.stage.world.desk()).await)).await {
            looked.unwrap();
        }
        let sent = scene.until_told("reminder.sent", 1).await;
        assert_eq!(instant(&sent[0]["closes_at"]), Some(second));
        let message = scene.stage.settled(sent[0]["message"].as_str().unwrap()).await.unwrap();
        assert_eq!((&message["author"]["kind"], &message["permit"]["basis"]), (&json!("automation"), &json!("free_form")));
        scene.at(second - Duration::minutes(5)).await;
        assert_eq!(scene.arrived(), ["Which order is it?", "Are you still there?"], "once");
        let now = scene.shown().await;
        assert_eq!((&now["status"], &now["assignee"]["agent"]), (&json!("open"), &json!(scene.bea_id)), "{now}");

        // Her answer begins another window, and that gets its own.
        scene.mara_writes("A-1").await;
        scene.bea_writes("Thank you, we look.").await;
        scene.at(scene.closes_at().await - Duration::minutes(20)).await;
        let sent = scene.until_told("reminder.sent", 2).await;
        scene.stage.settled(sent[1]["message"].as_str().unwrap()).await.unwrap();
        assert_eq!(scene.arrived().len(), 4, "{:?}", scene.arrived());
        scene.stage.strike().await;
    }
}

both_databases! {
    /// none into a case that is closed or snoozed; none to who wants nothing from us.
    async fn no_reminder_where_none_is_wanted(db: TestDatabase) {
        let scene = Scene::set(db, "whatsapp").await;
        scene.set_up(json!({ "keep_open_reminder": true, "keep_open_text": "Still there?", "keep_open_minutes": 60 })).await;
        let path = format!("/conversations/{}", scene.conversation);
        scene.bea_writes("Which order is it?").await;
        scene.post(&format!("{path}/status"), json!({ "status": "closed" }), 200).await;
        scene.at(scene.closes_at().await - Duration::minutes(10)).await;
        assert_eq!((scene.arrived().len(), scene.told("reminder.skipped").await.len()), (1, 0));

        scene.mara_writes("A-1").await;
        scene.bea_writes("We look.").await;
        let body = json!({ "channel": scene.stage.world.account("whatsapp").unwrap().ours.id, "scope": "all",
            "state": "opted_out", "source": "a call" });
        let path = format!("/contacts/{}/consents", scene.contact);
        scene.stage.api.put(&path, Some(body)).await.unwrap().expect(200).unwrap();
        scene.at(scene.closes_at_by_message().await - Duration::minutes(10)).await;
        assert_eq!(scene.arrived(), ["Which order is it?", "We look."]);
        scene.stage.strike().await;
    }
}

impl Scene {
    /// The end of a day that began with her last message: what is shown to who may not write says none.
    async fn closes_at_by_message(&self) -> OffsetDateTime {
        instant(&self.shown().await["last_inbound_at"]).unwrap() + Duration::DAY
    }
}
