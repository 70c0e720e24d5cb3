//! Scheduled sends: over real HTTP, on both databases, with a clock that is moved.

use futures_util::future::join_all;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use time::Duration;
use time::format_description::well_known::Rfc3339;
use transom_desk::{schedule, workspaces};
use transom_domain::{Role, SettableClock};
use transom_sandbox::NewCustomer;
use transom_storage::both_databases;
use transom_storage::test_support::TestDatabase;
use transom_tests::{Api, Reply, Stage};

/// A customer who has just written on WhatsApp, and Bea, who answers.
struct Scene {
    stage: Stage,
    bea: Api,
    bea_id: String,
    path: String,
    contact: String,
}

impl Scene {
    async fn set(db: TestDatabase) -> Self {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        stage.world.add_templates().await.unwrap();
        let account = stage.world.account("whatsapp").unwrap().at_sandbox.clone();
        stage.world.control().create_customer(NewCustomer::named("mara", "Mara Klein", "+4915550100001")).unwrap();
        stage.world.control().writes(&account, "mara", "hello").unwrap();
        let (contact, conversation) = stage.world.conversation_with("whatsapp", "Mara Klein").await.unwrap();
        let (desk, caller) = (stage.world.desk(), &stage.world.caller);
        let (agent, issued) = workspaces::add_agent(desk, caller, "Bea", Role::Agent, None, None).await.unwrap();
        let bea = Api::new(stage.world.server.base_url(), issued.token.expose_secret()).unwrap();
        let (path, contact) = (format!("/conversations/{conversation}"), contact.to_string());
        Self { stage, bea, bea_id: agent.id.to_string(), path, contact }
    }

    /// An instant so long from now.
    fn after(&self, wait: Duration) -> String {
        (self.stage.world.now() + wait).format(&Rfc3339).unwrap()
    }

    async fn try_to_schedule(&self, message: Value, wait: Duration) -> Reply {
        let mut message = message;
        message["send_at"] = json!(self.after(wait));
        self.bea.post(&format!("{}/messages", self.path), message).await.unwrap()
    }

    async fn schedules(&self, text: &str, wait: Duration) -> String {
        let reply = self.try_to_schedule(json!({ "text": text }), wait).await.expect(202).unwrap();
        assert_eq!((reply.text("/state"), &reply.body["opened"]), (Some("scheduled"), &json!(false)));
        reply.text("/id").unwrap().to_owned()
    }

    async fn get(&self, path: &str) -> Value {
        self.stage.api.get(path).await.unwrap().expect(200).unwrap().body
    }

    async fn post(&self, path: &str, body: Value, status: u16) -> Value {
        self.stage.api.post(path, body).await.unwrap().expect(status).unwrap().body
    }

    async fn message(&self, id: &str) -> Value {
        self.get(&format!("/messages/{id}")).await
    }

    async fn becomes(&self, id: &str, state: &str) -> Value {
        let look = || async { Ok(Some(self.message(id).await).filter(|message| message["state"] == state)) };
        self.stage.world.until(&format!("the message is {state}"), look).await.unwrap()
    }

    /// Moves the clock, and waits until the message has left.
    async fn leaves_after(&self, id: &str, wait: Duration) -> Value {
        self.stage.world.clock.advance(wait);
        let left = |message: &Value| ["sent", "delivered", "read"].iter().any(|state| message["state"] == *state);
        let look = || async { Ok(Some(self.message(id).await).filter(|message| left(message))) };
        match self.stage.world.until("the message leaves", look).await {
            Ok(left) => left,
            Err(trouble) => panic!("{trouble}: {}", self.message(id).await),
        }
    }

    fn arrived(&self) -> Vec<String> {
        self.stage.world.control().ledger().into_iter().map(|send| send.text).collect()
    }

    async fn waiting(&self) -> Vec<Value> {
        self.get("/scheduled").await["items"].as_array().unwrap().clone()
    }
}

both_databases! {
    /// until then it changes nothing and is in nobody's way; then it opens for its author.
    async fn a_message_leaves_at_its_time_and_opens_for_its_author(db: TestDatabase) {
        let scene = Scene::set(db).await;
        let id = scene.schedules("Good news", Duration::hours(2)).await;
        let reply = scene.post(&format!("{}/messages", scene.path), json!({ "text": "One moment" }), 202).await;
        scene.leaves_after(reply["id"].as_str().unwrap(), Duration::ZERO).await;
        assert_eq!(scene.arrived(), ["One moment"], "what is accepted later leaves first");
        scene.post(&format!("{}/status", scene.path), json!({ "status": "closed" }), 200).await;

        let shown = scene.get(&format!("{}/messages", scene.path)).await;
        let shown = shown["items"].as_array().unwrap().iter().find(|message| message["id"] == id).unwrap().clone();
        assert_eq!((&shown["state"], &shown["parts"][0]["state"]), (&json!("scheduled"), &json!("scheduled")));
        assert!(shown["send_at"].is_string() && shown["permit"].is_object(), "{shown}");
        let waiting = scene.waiting().await;
        assert_eq!(waiting.iter().map(|message| &message["id"]).collect::<Vec<_>>(), [&id]);
        scene.stage.world.clock.advance(Duration::hours(1));
        assert_eq!(schedule::leave_due(scene.stage.world.desk()).await.unwrap(), 0, "not yet");
        assert_eq!(scene.get(&scene.path).await["status"], "closed");

        scene.leaves_after(&id, Duration::hours(1) + Duration::SECOND).await;
        assert_eq!(scene.arrived(), ["One moment", "Good news"]);
        let now = scene.get(&scene.path).await;
        assert_eq!((&now["status"], &now["assignee"]["agent"]), (&json!("open"), &json!(scene.bea_id)), "{now}");
        assert_eq!(scene.waiting().await, Vec::<Value>::new());
        scene.stage.strike().await;
    }
}

both_databases! {
    /// what nothing will permit then is refused now, with what would help.
    async fn what_nothing_will_permit_then_is_refused_now(db: TestDatabase) {
        let scene = Scene::set(db).await;
        let late = Duration::hours(30);
        let refused = scene.try_to_schedule(json!({ "text": "Too late" }), late).await;
        assert_eq!((refused.status, refused.text("/code")), (409, Some("template_required")), "{}", refused.body);
        let permits = refused.body["decision"]["permits"].as_array().unwrap();
        assert!(permits.iter().all(|permit| permit["basis"] == "template") && !permits.is_empty(), "{permits:?}");
        assert!(refused.body["decision"]["refusals"].to_string().contains("window_over"));
        for wrong in [-Duration::SECOND, Duration::days(400)] {
            let refused = scene.try_to_schedule(json!({ "text": "When?" }), wrong).await;
            assert_eq!((refused.status, refused.text("/code")), (422, Some("send_at_invalid")));
        }
        assert_eq!(scene.waiting().await, Vec::<Value>::new());

        let template = json!({ "template": { "name": "order_update", "language": "en_US",
            "parameters": { "body": ["Mara", "A-1"] } } });
        let kept = scene.try_to_schedule(template.clone(), late).await.expect(202).unwrap();
        let id = kept.text("/id").unwrap();
        scene.leaves_after(id, late + Duration::SECOND).await;
        assert_eq!(scene.message(id).await["permit"]["basis"], "template");

        // To a person on a channel where nobody wrote yet: the conversation is there, and opens when it leaves.
        scene.stage.world.control().create_customer(NewCustomer::named("nora", "Nora Lind", "+46700000007")).unwrap();
        let channel = scene.stage.world.account("sms").unwrap().ours.id;
        let body = json!({ "channel": channel, "to": { "phone": "+46700000007" }, "message": {
            "text": "Hello!", "send_at": scene.after(Duration::HOUR) } });
        let kept = scene.stage.api.post_once("/outbound", "later", body).await.unwrap().expect(202).unwrap();
        let path = format!("/conversations/{}", kept.text("/message/conversation").unwrap());
        assert_eq!(scene.get(&path).await["status"], "closed");
        scene.leaves_after(kept.text("/message/id").unwrap(), Duration::hours(1) + Duration::SECOND).await;
        assert_eq!(scene.get(&path).await["status"], "open");
        scene.stage.strike().await;
    }
}

both_databases! {
    /// what became illegal, or too old, meanwhile is not sent and says why.
    async fn what_became_illegal_meanwhile_is_not_sent(db: TestDatabase) {
        let scene = Scene::set(db).await;
        // The service stood still while the window closed: the message is two hours late.
        let closed = scene.schedules("Just in time", Duration::hours(23)).await;
        scene.stage.world.clock.advance(Duration::hours(25));
        let message = scene.becomes(&closed, "not_sent").await;
        assert_eq!(message["failure"]["reason"], "template_required", "{message}");

        let account = scene.stage.world.account("whatsapp").unwrap().at_sandbox.clone();
        scene.stage.world.control().writes(&account, "mara", "hello again").unwrap();
        scene.stage.quiet().await.unwrap();
        let expired = scene.schedules("Lunch?", Duration::hours(1)).await;
        scene.stage.world.clock.advance(Duration::hours(6));
        assert_eq!(scene.becomes(&expired, "not_sent").await["failure"]["reason"], "expired");

        let blocked = scene.schedules("Still there?", Duration::hours(1)).await;
        scene.post(&format!("/contacts/{}/block", scene.contact), json!({}), 200).await;
        scene.stage.world.clock.advance(Duration::hours(1) + Duration::SECOND);
        let message = scene.becomes(&blocked, "not_sent").await;
        assert!(message["failure"].to_string().contains("\"reason\":\"blocked\""), "{message}");
        assert_eq!(scene.arrived(), Vec::<String>::new());

        // A person may still want one of them.
        scene.post(&format!("/contacts/{}/unblock", scene.contact), json!({}), 200).await;
        scene.post(&format!("/messages/{blocked}/settle"), json!({ "choice": "retry" }), 200).await;
        scene.leaves_after(&blocked, Duration::ZERO).await;
        scene.stage.strike().await;
    }
}

both_databases! {
    /// what was withheld and is retried opens for its author, with its tags, and answers who waits.
    async fn a_retry_opens_for_its_author(db: TestDatabase) {
        let scene = Scene::set(db).await;
        scene.post("/tags", json!({ "name": "delivery" }), 201).await;
        let draft = json!({ "text": "Still there?", "conversation_tags": ["delivery"] });
        let kept = scene.try_to_schedule(draft, Duration::hours(1)).await.expect(202).unwrap();
        let id = kept.text("/id").unwrap().to_owned();
        scene.post(&format!("/contacts/{}/block", scene.contact), json!({}), 200).await;
        scene.stage.world.clock.advance(Duration::hours(1) + Duration::SECOND);
        scene.becomes(&id, "not_sent").await;
        scene.post(&format!("/contacts/{}/unblock", scene.contact), json!({}), 200).await;
        let before = scene.get(&scene.path).await;
        assert_eq!((&before["tags"], &before["assignee"]), (&json!([]), &json!({})), "{before}");
        assert!(before["waiting_since"].is_string(), "{before}");
        let until = scene.after(Duration::hours(2));
        scene.post(&format!("{}/status", scene.path), json!({ "status": "snoozed", "until": until }), 200).await;

        scene.post(&format!("/messages/{id}/settle"), json!({ "choice": "retry" }), 200).await;
        let now = scene.get(&scene.path).await;
        assert_eq!((&now["status"], &now["assignee"]["agent"]), (&json!("open"), &json!(scene.bea_id)), "{now}");
        assert_eq!(now["tags"], json!(["delivery"]));
        assert!(now["waiting_since"].is_null(), "{now}");
        scene.leaves_after(&id, Duration::ZERO).await;
        scene.post(&format!("/messages/{id}/settle"), json!({ "choice": "retry" }), 409).await;
        scene.stage.strike().await;
    }
}

both_databases! {
    /// what the house says against opening a thread holds for a retry as well.
    async fn a_retry_opens_nothing_that_the_house_refuses(db: TestDatabase) {
        let scene = Scene::set(db).await;
        let id = scene.schedules("Still there?", Duration::hours(1)).await;
        scene.post(&format!("/contacts/{}/block", scene.contact), json!({}), 200).await;
        scene.stage.world.clock.advance(Duration::hours(1) + Duration::SECOND);
        scene.becomes(&id, "not_sent").await;
        scene.post(&format!("/contacts/{}/unblock", scene.contact), json!({}), 200).await;
        scene.post(&format!("{}/status", scene.path), json!({ "status": "closed" }), 200).await;
        scene.stage.api.patch("/settings", json!({ "tags_required": true })).await.unwrap().expect(200).unwrap();
        let refused = scene.post(&format!("/messages/{id}/settle"), json!({ "choice": "retry" }), 409).await;
        assert_eq!(refused["code"], "tag_required", "{refused}");
        assert_eq!(scene.message(&id).await["state"], "not_sent");
        assert_eq!(scene.get(&scene.path).await["status"], "closed");
        scene.stage.strike().await;
    }
}

both_databases! {
    async fn a_scheduled_message_is_changed_withdrawn_or_sent_now(db: TestDatabase) {
        let scene = Scene::set(db).await;
        let id = scene.schedules("Tuesday", Duration::hours(2)).await;
        let change = async |body: Value| scene.bea.patch(&format!("/messages/{id}/schedule"), body).await.unwrap();
        // A colleague may choose another time, and no other words: they leave under Bea's name. A supervisor may.
        let (_, cid) = scene.stage.agent("Cid", Role::Agent).await.unwrap();
        let (_, sue) = scene.stage.agent("Sue", Role::Supervisor).await.unwrap();
        let path = format!("/messages/{id}/schedule");
        let words = json!({ "text": "Not what Bea wrote" });
        let refused = cid.patch(&path, words.clone()).await.unwrap();
        assert_eq!((refused.status, refused.text("/code")), (403, Some("forbidden")), "{}", refused.body);
        assert_eq!(scene.message(&id).await["content"]["text"], "Tuesday");
        cid.patch(&path, json!({ "send_at": scene.after(Duration::hours(3)) })).await.unwrap().expect(200).unwrap();
        sue.patch(&path, words).await.unwrap().expect(200).unwrap();
        let changed = change(json!({ "send_at": scene.after(Duration::hours(4)), "text": "Friday" })).await.expect(200);
        let changed = changed.unwrap().body;
        assert_eq!(changed["content"]["text"], "Friday", "{changed}");
        let refused = change(json!({ "send_at": scene.after(Duration::hours(40)) })).await;
        assert_eq!((refused.status, refused.text("/code")), (409, Some("template_required")));
        scene.stage.world.clock.advance(Duration::hours(3));
        assert_eq!(schedule::leave_due(scene.stage.world.desk()).await.unwrap(), 0, "it has another time now");
        scene.leaves_after(&id, Duration::hours(1) + Duration::SECOND).await;
        assert_eq!(scene.arrived(), ["Friday"]);
        assert_eq!(change(json!({})).await.text("/code"), Some("not_scheduled"));

        let now = scene.schedules("Or now", Duration::hours(2)).await;
        scene.post(&format!("/messages/{now}/send"), json!({}), 200).await;
        scene.leaves_after(&now, Duration::ZERO).await;
        assert_eq!(scene.get(&scene.path).await["assignee"]["agent"], json!(scene.bea_id), "in its author's name");

        let withdrawn = scene.schedules("Never", Duration::hours(2)).await;
        assert_eq!(scene.post(&format!("/messages/{withdrawn}/cancel"), json!({}), 200).await["state"], "canceled");
        scene.post(&format!("/messages/{withdrawn}/cancel"), json!({}), 409).await;
        scene.stage.world.clock.advance(Duration::hours(3));
        schedule::leave_due(scene.stage.world.desk()).await.unwrap();
        scene.stage.quiet().await.unwrap();
        assert_eq!(scene.arrived(), ["Friday", "Or now"]);
        scene.stage.strike().await;
    }
}

both_databases! {
    /// Whoever looks at the same time, as several replicas do: each message leaves once.
    async fn many_who_look_send_each_message_once(db: TestDatabase) {
        const MESSAGES: usize = 12;
        let scene = Scene::set(db).await;
        let mut kept = Vec::new();
        for index in 0..MESSAGES {
            kept.push(scene.schedules(&format!("number {index}"), Duration::hours(1)).await);
        }
        let page = scene.get("/scheduled?limit=5").await;
        let next = page["next_cursor"].as_str().unwrap();
        let rest = scene.get(&format!("/scheduled?limit=100&cursor={next}")).await;
        let listed = [&page, &rest].map(|page| page["items"].as_array().unwrap().len());
        assert_eq!(listed, [5, MESSAGES - 5]);

        scene.stage.world.clock.advance(Duration::hours(1) + Duration::SECOND);
        for looked in join_all((0..6).map(async |_| schedule::leave_due(scene.stage.world.desk()).await)).await {
            looked.unwrap();
        }
        for id in &kept {
            scene.leaves_after(id, Duration::ZERO).await;
        }
        scene.stage.quiet().await.unwrap();
        let mut arrived = scene.arrived();
        arrived.sort();
        let mut expected: Vec<String> = (0..MESSAGES).map(|index| format!("number {index}")).collect();
        expected.sort();
        assert_eq!(arrived, expected);
        scene.stage.strike().await;
    }
}
