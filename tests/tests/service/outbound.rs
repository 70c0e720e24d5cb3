//! One call reaches a person: over real HTTP, on both databases.

use futures_util::future::join_all;
use serde_json::{Value, json};
use transom_domain::SettableClock;
use transom_sandbox::NewCustomer;
use transom_storage::both_databases;
use transom_storage::test_support::TestDatabase;
use transom_tests::{Reply, Stage};

pub(crate) const NORA: &str = "+46700000007";

/// The API, with a person on the platforms' side whom nobody knows yet.
pub(crate) struct Desk {
    pub(crate) stage: Stage,
}

impl Desk {
    pub(crate) async fn open(db: TestDatabase) -> Self {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        stage.world.add_templates().await.unwrap();
        stage.world.control().create_customer(NewCustomer::named("nora", "Nora Lind", NORA)).unwrap();
        Self { stage }
    }

    pub(crate) fn channel(&self, platform: &str) -> Value {
        json!(self.stage.world.account(platform).unwrap().ours.id)
    }

    fn sends_to_her(&self) -> usize {
        self.stage.world.control().ledger().iter().filter(|send| send.customer == "nora").count()
    }

    async fn reached(&self, key: &str, body: &Value) -> Value {
        let reply = self.stage.api.post_once("/outbound", key, body.clone()).await;
        reply.and_then(|reply| reply.expect(202)).unwrap().body
    }

    async fn refused(&self, key: &str, body: &Value, status: u16, code: &str) -> Value {
        let answer = match key {
            "" => self.stage.api.post("/outbound", body.clone()).await.unwrap(),
            key => self.stage.api.post_once("/outbound", key, body.clone()).await.unwrap(),
        };
        assert_eq!((answer.status, answer.text("/code")), (status, Some(code)), "{}", answer.body);
        answer.body
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.stage.api.get(path).await.and_then(|reply: Reply| reply.expect(200)).unwrap().body
    }

    async fn contacts(&self) -> Vec<Value> {
        self.get("/contacts?limit=100").await["items"].as_array().unwrap().clone()
    }

    pub(crate) async fn post(&self, path: &str, body: Value, status: u16) -> Value {
        self.stage.api.post(path, body).await.unwrap().expect(status).unwrap().body
    }
}

pub(crate) fn template() -> Value {
    json!({ "template": { "name": "order_update", "language": "en_US", "parameters": { "body": ["Nora", "B-7"] } } })
}

both_databases! {
    async fn a_new_person_becomes_a_contact_with_a_conversation(db: TestDatabase) {
        let desk = Desk::open(db).await;
        let body = json!({
            "channel": desk.channel("whatsapp"),
            "to": { "phone": "+46 70-000 00 07" },
            "contact": { "display_name": "Nora L.", "first_name": "Nora" },
            "message": template(),
        });
        let sent = desk.reached("order-7", &body).await;
        assert_eq!(sent["contact_made"], true);
        let contact = desk.get(&format!("/contacts/{}", sent["contact"].as_str().unwrap())).await;
        assert_eq!(
            (&contact["name"], &contact["profile"]["first_name"], &contact["profile"]["phone"]),
            (&json!("Nora L."), &json!("Nora"), &json!(NORA))
        );
        desk.stage.settled(sent["message"]["id"].as_str().unwrap()).await.unwrap();
        let conversation = desk.get(&format!("/conversations/{}", sent["message"]["conversation"].as_str().unwrap())).await;
        assert_eq!((&conversation["status"], &conversation["contact"]), (&json!("open"), &sent["contact"]));
        assert_eq!(desk.sends_to_her(), 1);

        // The same again: the same answer, and nothing more.
        assert_eq!(desk.reached("order-7", &body).await, sent);
        let mut other = body.clone();
        other["message"]["template"]["parameters"]["body"][1] = json!("B-8");
        desk.refused("order-7", &other, 422, "idempotency_key_reused").await;
        desk.refused("", &body, 422, "idempotency_key_missing").await;
        desk.stage.quiet().await.unwrap();
        assert_eq!(desk.sends_to_her(), 1);
        assert_eq!(desk.contacts().await.len(), 1);

        // Known by now: the next message goes to her, and what is said of her changes nothing.
        let mut next = body.clone();
        next["contact"] = json!({ "display_name": "Somebody else" });
        let next = desk.reached("order-8", &next).await;
        assert_eq!((&next["contact"], &next["contact_made"]), (&sent["contact"], &json!(false)));
        assert_eq!(next["message"]["conversation"], sent["message"]["conversation"]);
        assert_eq!(desk.contacts().await[0]["name"], "Nora L.");
        desk.stage.strike().await;
    }
}

both_databases! {
    async fn a_contact_is_found_by_its_number_wherever_it_is_known(db: TestDatabase) {
        let desk = Desk::open(db).await;
        let made = desk.post("/contacts", json!({ "display_name": "Nora Lind", "phone": NORA }), 201).await;
        let by_phone = |platform: &str, message: Value| {
            json!({ "channel": desk.channel(platform), "to": { "phone": NORA }, "message": message })
        };
        let first = desk.reached("a", &by_phone("whatsapp", template())).await;
        assert_eq!((&first["contact"], &first["contact_made"]), (&made["id"], &json!(false)));
        let text = desk.reached("b", &by_phone("sms", json!({ "text": "Hello!" }))).await;
        assert_eq!((&text["contact"], &text["contact_made"]), (&made["id"], &json!(false)));
        let by_id = json!({ "channel": desk.channel("sms"), "to": { "contact": made["id"] }, "message": { "text": "And again." } });
        let again = desk.reached("c", &by_id).await;
        assert_eq!(again["message"]["conversation"], text["message"]["conversation"]);
        assert_eq!(desk.contacts().await.len(), 1);

        // A block is of the contact, on a channel that is new to her as well.
        let other = desk.post("/contacts", json!({ "display_name": "Kim", "phone": "+46700000008" }), 201).await;
        desk.post(&format!("/contacts/{}/block", other["id"].as_str().unwrap()), json!({}), 200).await;
        for to in [json!({ "phone": "+46700000008" }), json!({ "contact": other["id"] })] {
            let body = json!({ "channel": desk.channel("sms"), "to": to, "message": { "text": "Hello!" } });
            let refused = desk.refused("d", &body, 409, "not_permitted").await;
            assert!(refused["decision"].to_string().contains("\"reason\":\"blocked\""), "{refused}");
        }
        desk.stage.strike().await;
    }
}

both_databases! {
    async fn a_message_that_nothing_permits_leaves_nothing_behind(db: TestDatabase) {
        let desk = Desk::open(db).await;
        let to = |platform: &str, to: Value, message: Value| json!({ "channel": desk.channel(platform), "to": to, "message": message });
        let hello = || json!({ "text": "Hello!" });
        let refused = desk.refused("k", &to("whatsapp", json!({ "phone": NORA }), hello()), 409, "template_required").await;
        assert!(refused["decision"]["refusals"].is_array());
        desk.refused("k", &to("telegram", json!({ "phone": NORA }), hello()), 409, "cannot_start").await;
        desk.refused("k", &to("telegram", json!({ "platform_id": "770001" }), hello()), 409, "cannot_start").await;
        desk.refused("k", &to("sms", json!({ "external_id": "cust-42" }), hello()), 409, "cannot_start").await;
        desk.refused("k", &to("sms", json!({ "phone": "070 000" }), hello()), 422, "phone_invalid").await;
        desk.refused("k", &to("sms", json!({ "phone": NORA }), json!({})), 422, "message_empty").await;
        for to_whom in [json!({}), json!({ "phone": NORA, "email": "nora@shop.example" })] {
            desk.refused("k", &to("sms", to_whom, hello()), 422, "recipient_ambiguous").await;
        }
        desk.refused("k", &to("sms", json!({ "phone": NORA }), json!({ "type": "note", "text": "x" })), 422, "invalid_value").await;
        assert_eq!(desk.contacts().await, Vec::<Value>::new());
        assert_eq!(desk.get("/conversations").await["items"], json!([]));
        // The key is free for the mended request.
        desk.reached("k", &to("sms", json!({ "phone": NORA }), hello())).await;
        desk.stage.strike().await;
    }
}

both_databases! {
    /// By whichever channels: twenty calls for one stranger make one contact, and a message each.
    async fn many_at_once_make_one_contact(db: TestDatabase) {
        let desk = Desk::open(db).await;
        let calls = (0..20).map(|index| {
            let (platform, message) =
                if index % 2 == 0 { ("sms", json!({ "text": format!("{index}") })) } else { ("whatsapp", template()) };
            json!({ "channel": desk.channel(platform), "to": { "phone": NORA }, "message": message })
        });
        let calls: Vec<Value> = calls.collect();
        let answers = join_all(calls.iter().enumerate().map(async |(index, body)| desk.reached(&format!("{index}"), body).await)).await;
        assert_eq!(answers.iter().filter(|answer| answer["contact_made"] == true).count(), 1);
        assert!(answers.iter().all(|answer| answer["contact"] == answers[0]["contact"]));
        let contacts = desk.contacts().await;
        assert_eq!(contacts.len(), 1, "{contacts:?}");
        assert_eq!(contacts[0]["identities"].as_array().unwrap().len(), 2);

        // The same call at once is one call.
        let body = json!({ "channel": desk.channel("sms"), "to": { "phone": "+46700000009" }, "message": { "text": "once" } });
        let answers = join_all((0..10).map(async |_| desk.reached("one", &body).await)).await;
        assert!(answers.iter().all(|answer| answer == &answers[0]), "{answers:?}");
        assert_eq!(desk.contacts().await.len(), 2);
        desk.stage.strike().await;
    }
}
