//! What may be sent, on which channel, and what the workspace's own rules say against it: over real HTTP, on both databases.

use futures_util::future::join_all;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use transom_sandbox::NewCustomer;
use transom_storage::both_databases;

use transom_tests::instant;

use super::outbound::{Desk, NORA, template};

impl Desk {
    async fn settings(&self, change: Value) {
        self.stage.api.patch("/settings", change).await.unwrap().expect(200).unwrap();
    }

    async fn is_refused(&self, path: &str, body: Value, status: u16, code: &str) -> Value {
        let answer = self.stage.api.post(path, body).await.unwrap();
        assert_eq!((answer.status, answer.text("/code")), (status, Some(code)), "{}", answer.body);
        answer.body
    }

    async fn contact(&self, details: Value) -> String {
        format!("/contacts/{}", self.post("/contacts", details, 201).await["id"].as_str().unwrap())
    }

    fn over(&self, platform: &str, message: Value) -> Value {
        json!({ "channel": self.channel(platform), "message": message })
    }

    /// The conversation into which a first message over a channel went.
    async fn writes(&self, contact: &str, platform: &str, message: Value) -> String {
        let sent = self.post(&format!("{contact}/messages"), self.over(platform, message), 202).await;
        format!("/conversations/{}", sent["conversation"].as_str().unwrap())
    }

    async fn reach(&self, contact: &str) -> Vec<Value> {
        self.get(&format!("{contact}/reachability")).await["channels"].as_array().unwrap().clone()
    }

    /// What reachability says of a channel, and its place.
    async fn reach_over(&self, contact: &str, platform: &str) -> (usize, Value) {
        let all = self.reach(contact).await;
        let place = all.iter().position(|reach| reach["platform"] == platform).unwrap();
        (place, all[place].clone())
    }

    async fn is(&self, conversation: &str, status: Value) {
        self.post(&format!("{conversation}/status"), status, 200).await;
    }

    /// The words of the house, as the window shows them to a person.
    async fn house(&self, conversation: &str) -> Value {
        self.get(&format!("{conversation}/window")).await["human"]["house"].clone()
    }
}

fn hello() -> Value {
    json!({ "text": "Hello!" })
}

fn letter() -> Value {
    json!({ "text": "Hello!", "subject": "Your order" })
}

fn in_two_hours(now: OffsetDateTime) -> Value {
    let at = (now + Duration::hours(2)).format(&time::format_description::well_known::Rfc3339).unwrap();
    json!({ "status": "snoozed", "until": at })
}

fn bases(reach: &Value) -> Vec<&str> {
    reach["decision"]["permits"].as_array().unwrap().iter().map(|permit| permit["basis"].as_str().unwrap()).collect()
}

both_databases! {
    /// every channel, ranked; those on which the contact is not known yet as a first message would find them.
    async fn every_channel_says_whether_it_works(db: TestDatabase) {
        let desk = Desk::open(db).await;
        let nora = desk.contact(json!({ "phone": NORA, "email": "nora@shop.example" })).await;
        let all = desk.reach(&nora).await;
        let accounts = desk.get("/channels").await["items"].as_array().unwrap().len();
        assert_eq!(all.len(), accounts, "{all:?}");
        assert!(all.iter().all(|reach| reach.get("identity").is_none()), "nothing was sent, nobody is known: {all:?}");

        // Free text, then templates only, then what only the customer can begin.
        let (sms, over_sms) = desk.reach_over(&nora, "sms").await;
        let (mail, over_mail) = desk.reach_over(&nora, "email").await;
        let (whatsapp, over_whatsapp) = desk.reach_over(&nora, "whatsapp").await;
        let (telegram, over_telegram) = desk.reach_over(&nora, "telegram").await;
        assert!(bases(&over_sms).contains(&"free_form") && bases(&over_mail).contains(&"free_form"));
        assert!(!bases(&over_whatsapp).is_empty() && bases(&over_whatsapp).iter().all(|basis| *basis == "template"));
        assert_eq!(over_telegram["obstacle"]["code"], "cannot_start");
        assert!(over_telegram.get("decision").is_none());
        assert!(sms.max(mail) < whatsapp && whatsapp < telegram, "{all:?}");
        let (_, over_webchat) = desk.reach_over(&nora, "webchat").await;
        assert_eq!(over_webchat["obstacle"]["code"], "no_address");
        let kim = desk.contact(json!({ "external_id": "cust-42" })).await;
        assert_eq!(desk.reach_over(&kim, "email").await.1["obstacle"]["code"], "no_email_address");
        assert!(bases(&desk.reach_over(&kim, "webchat").await.1).contains(&"free_form"), "the site knows them");

        // It is what a send says.
        let to_nora = format!("{nora}/messages");
        desk.is_refused(&to_nora, desk.over("telegram", hello()), 409, "cannot_start").await;
        desk.is_refused(&to_nora, desk.over("webchat", hello()), 409, "no_address").await;
        desk.is_refused(&to_nora, desk.over("whatsapp", hello()), 409, "template_required").await;
        desk.writes(&nora, "sms", hello()).await;
        desk.writes(&nora, "whatsapp", template()).await;
        desk.writes(&nora, "email", letter()).await;
        assert!(desk.reach_over(&nora, "sms").await.1["identity"].is_string());

        // A block is of the contact, on what is new to them as well.
        desk.post(&format!("{kim}/block"), json!({}), 200).await;
        let (_, blocked) = desk.reach_over(&kim, "webchat").await;
        assert!(bases(&blocked).is_empty() && blocked["decision"].to_string().contains("\"blocked\""), "{blocked}");
        desk.stage.strike().await;
    }
}

both_databases! {
    /// what a customer's message changes, when it ends, and what comes after.
    async fn a_window_is_free_until_its_next_change(db: TestDatabase) {
        let desk = Desk::open(db).await;
        let world = &desk.stage.world;
        let account = world.account("whatsapp").unwrap().at_sandbox.clone();
        world.control().create_customer(NewCustomer::named("mara", "Mara Klein", "+4915550100001")).unwrap();
        world.control().writes(&account, "mara", "hello").unwrap();
        let (contact, conversation) = world.conversation_with("whatsapp", "Mara Klein").await.unwrap();
        let (mara, path) = (format!("/contacts/{contact}"), format!("/conversations/{conversation}"));
        let (_, reach) = desk.reach_over(&mara, "whatsapp").await;
        assert_eq!(bases(&reach)[0], "free_form", "{reach}");
        let change = instant(&reach["decision"]["next_change"]).unwrap();
        let left = change - world.now();
        assert!(Duration::hours(23) < left && left <= Duration::hours(24), "{reach}");

        let window = desk.get(&format!("{path}/window")).await;
        assert_eq!(window["human"]["permits"][0]["lapses_at"], reach["decision"]["next_change"]);
        let timeline = desk.get(&format!("{path}/timeline")).await;
        let intervals = timeline["intervals"].as_array().unwrap();
        assert_eq!(intervals[0]["until"], reach["decision"]["next_change"], "{timeline}");
        assert!(intervals[1]["permits"].as_array().unwrap().iter().all(|permit| permit["basis"] == "template"), "{timeline}");

        desk.stage.world.clock.advance(Duration::hours(25));
        let (_, after) = desk.reach_over(&mara, "whatsapp").await;
        assert!(bases(&after).iter().all(|basis| *basis == "template"), "{after}");
        let window = desk.get(&format!("{path}/window")).await;
        assert_eq!(window["human"]["window"]["state"], "closed");
        let refusals = window["human"]["refusals"].as_array().unwrap();
        let over = refusals.iter().find(|refusal| refusal["basis"] == "free_form").unwrap();
        assert_eq!(over["because"][0]["reason"], "window_over", "{over}");
        assert_eq!(over["because"][0]["remedy"]["kind"], "customer_event", "{over}");
        desk.stage.strike().await;
    }
}

both_databases! {
    /// one active conversation per contact; answering inside is free, a snoozed one counts, letters are exempt.
    async fn one_conversation_at_a_time(db: TestDatabase) {
        let desk = Desk::open(db).await;
        let nora = desk.contact(json!({ "phone": NORA, "email": "nora@shop.example" })).await;
        let to_nora = format!("{nora}/messages");
        let over_sms = desk.writes(&nora, "sms", hello()).await;
        let over_whatsapp = desk.writes(&nora, "whatsapp", template()).await;
        desk.is(&over_whatsapp, json!({ "status": "closed" })).await;
        desk.settings(json!({ "one_active_conversation_per_contact": true })).await;

        let id = over_sms.rsplit('/').next().unwrap();
        let in_the_way = async || {
            let refused = desk.is_refused(&to_nora, desk.over("whatsapp", template()), 409, "active_conversation").await;
            assert_eq!(refused["house"][0]["conversation"], id, "{refused}");
            let house = desk.house(&over_whatsapp).await;
            assert_eq!((&house[0]["reason"], &house[0]["conversation"]), (&json!("active_conversation"), &json!(id)));
            let (place, reach) = desk.reach_over(&nora, "whatsapp").await;
            assert_eq!(reach["house"][0]["reason"], "active_conversation", "{reach}");
            assert!(desk.reach_over(&nora, "sms").await.0 < place, "what works is first");
        };
        in_the_way().await;
        assert_eq!(desk.house(&over_sms).await, json!([]));
        desk.post(&format!("{over_sms}/messages"), hello(), 202).await;
        assert_eq!(desk.reach_over(&nora, "email").await.1["house"], json!([]));
        let by_mail = desk.writes(&nora, "email", letter()).await;
        desk.is(&by_mail, json!({ "status": "closed" })).await;

        desk.is(&over_sms, in_two_hours(desk.stage.world.now())).await;
        in_the_way().await;
        desk.is(&over_sms, json!({ "status": "closed" })).await;
        assert_eq!(desk.house(&over_whatsapp).await, json!([]));
        desk.writes(&nora, "whatsapp", template()).await;
        desk.stage.strike().await;
    }
}

both_databases! {
    /// of two who write to one contact on two channels at once, one begins.
    async fn two_who_write_at_once_begin_one_conversation(db: TestDatabase) {
        let desk = Desk::open(db).await;
        desk.settings(json!({ "one_active_conversation_per_contact": true })).await;
        let mut contacts = Vec::new();
        for index in 0..4 {
            contacts.push(desk.contact(json!({ "phone": format!("+4670000010{index}") })).await);
        }
        let sends = contacts.iter().flat_map(|contact| [(contact, "sms", hello()), (contact, "whatsapp", template())]);
        let answers = join_all(sends.map(async |(contact, platform, message)| {
            let (path, body) = (format!("{contact}/messages"), desk.over(platform, message));
            (contact, desk.stage.api.post(&path, body).await.unwrap())
        }));
        let answers = answers.await;
        for contact in &contacts {
            let theirs = answers.iter().filter(|(to, _)| *to == contact).map(|(_, answer)| answer);
            let (sent, refused): (Vec<_>, Vec<_>) = theirs.partition(|answer| answer.status == 202);
            assert_eq!((sent.len(), refused.len()), (1, 1), "{answers:?}");
            assert_eq!(refused[0].text("/code"), Some("active_conversation"), "{}", refused[0].body);
        }
        desk.stage.strike().await;
    }
}

both_databases! {
    /// what opens a thread has one of the workspace's tags, given with it or set before.
    async fn what_opens_a_thread_is_tagged(db: TestDatabase) {
        let desk = Desk::open(db).await;
        desk.post("/tags", json!({ "name": "delivery" }), 201).await;
        desk.settings(json!({ "tags_required": true })).await;
        let nora = desk.contact(json!({ "phone": NORA })).await;
        let to_nora = format!("{nora}/messages");
        assert_eq!(desk.reach_over(&nora, "sms").await.1["house"][0]["reason"], "tag_required");
        let refused = desk.is_refused(&to_nora, desk.over("sms", hello()), 409, "tag_required").await;
        assert_eq!(refused["house"][0]["reason"], "tag_required", "{refused}");
        let with = |tag: &str| json!({ "text": "Hello!", "conversation_tags": [tag] });
        desk.is_refused(&to_nora, desk.over("sms", with("nonsense")), 422, "tag_unknown").await;
        let over_sms = desk.writes(&nora, "sms", with("delivery")).await;
        assert_eq!(desk.get(&over_sms).await["tags"], json!(["delivery"]));
        // It is open: an answer needs none.
        desk.post(&format!("{over_sms}/messages"), hello(), 202).await;

        let tag = format!("{over_sms}/tags/delivery");
        assert!(desk.stage.api.delete(&tag).await.unwrap().status < 300);
        desk.is(&over_sms, json!({ "status": "closed" })).await;
        assert_eq!(desk.house(&over_sms).await[0]["reason"], "tag_required");
        desk.is_refused(&format!("{over_sms}/messages"), hello(), 409, "tag_required").await;
        assert!(desk.stage.api.put(&tag, None).await.unwrap().status < 300);
        assert_eq!(desk.house(&over_sms).await, json!([]));
        desk.post(&format!("{over_sms}/messages"), hello(), 202).await;
        assert_eq!(desk.get(&over_sms).await["status"], "open");
        desk.stage.strike().await;
    }
}

both_databases! {
    /// what changes until then is judged when a message leaves: today's conversation says nothing about next week's.
    async fn a_later_message_is_not_judged_by_todays_conversations(db: TestDatabase) {
        let desk = Desk::open(db).await;
        let nora = desk.contact(json!({ "phone": NORA })).await;
        let over_whatsapp = desk.writes(&nora, "whatsapp", template()).await;
        desk.settings(json!({ "one_active_conversation_per_contact": true, "tags_required": true })).await;
        desk.post("/tags", json!({ "name": "delivery" }), 201).await;
        let send_at = in_two_hours(desk.stage.world.now())["until"].clone();
        let later = json!({ "text": "Hello!", "send_at": send_at });
        // What the sender can mend at once is said at once.
        desk.is_refused(&format!("{nora}/messages"), desk.over("sms", later.clone()), 409, "tag_required").await;
        let tagged = json!({ "text": "Hello!", "send_at": send_at, "conversation_tags": ["delivery"] });
        let kept = |body: Value| async { desk.post(&format!("{nora}/messages"), desk.over("sms", body), 202).await };
        let first = kept(tagged.clone()).await["id"].as_str().unwrap().to_owned();
        assert_eq!(desk.get(&format!("/messages/{first}")).await["state"], "scheduled");

        // Still active when its time comes: then it stays.
        desk.stage.world.clock.advance(Duration::hours(3));
        let withheld = desk.stage.world.until("its time has come", || async {
            let now = desk.get(&format!("/messages/{first}")).await;
            Ok((now["state"] == "not_sent").then_some(now))
        });
        let withheld = withheld.await.unwrap();
        assert!(withheld.to_string().contains("active_conversation"), "{withheld}");

        let send_at = in_two_hours(desk.stage.world.now())["until"].clone();
        let second = kept(json!({ "text": "Again", "send_at": send_at, "conversation_tags": ["delivery"] })).await;
        desk.is(&over_whatsapp, json!({ "status": "closed" })).await;
        desk.stage.world.clock.advance(Duration::hours(3));
        let sent = desk.stage.world.until("it left", || async {
            let now = desk.get(&format!("/messages/{}", second["id"].as_str().unwrap())).await;
            Ok((!matches!(now["state"].as_str(), Some("scheduled" | "queued" | "sending"))).then_some(now))
        });
        let sent = sent.await.unwrap();
        assert!(matches!(sent["state"].as_str(), Some("sent" | "delivered" | "read")), "{sent}");
        desk.stage.strike().await;
    }
}
