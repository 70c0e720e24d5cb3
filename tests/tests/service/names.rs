//! Under whose name messages go out: what the platforms were told, over real HTTP, on both databases.

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use transom_desk::workspaces::{self, AgentNames};
use transom_domain::{ConversationId, Role, SettableClock};
use transom_sandbox::NewCustomer;
use transom_storage::both_databases;
use transom_storage::test_support::TestDatabase;
use transom_tests::{Api, Stage};

/// A name as a platform is told it, or the account's own.
type Shown = fn(Option<&str>) -> Value;

/// Where a platform is told the name, and how it shows the account's own.
const PLATFORMS: [(&str, &str, Shown); 4] = [
    ("viber", "/sender/name", |name| json!(name.unwrap_or("Acme Support"))),
    ("line", "/messages/0/sender/name", |name| json!(name)),
    ("email", "/from/0", |name| json!(format!("{} <support@acme.test>", name.unwrap_or("Acme Support")))),
    ("http", "/sender_name", |name| json!(name)),
];

/// Someone on every platform who wrote, and the team.
struct Desk {
    stage: Stage,
    conversations: Vec<ConversationId>,
}

impl Desk {
    async fn open(db: TestDatabase) -> Self {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        stage.world.control().create_customer(NewCustomer::named("mara", "Mara Klein", "+4915550100001")).unwrap();
        let mut conversations = Vec::new();
        for (platform, ..) in PLATFORMS {
            let account = &stage.world.account(platform).unwrap().at_sandbox;
            stage.world.control().writes(account, "mara", "hello").unwrap();
            conversations.push(stage.world.conversation_with(platform, "Mara Klein").await.unwrap().1);
        }
        Self { stage, conversations }
    }

    async fn hire(&self, name: &str, alias: Option<&str>, role: Role) -> (String, Api) {
        let names = AgentNames { name, alias };
        let (desk, admin) = (self.stage.world.desk(), &self.stage.world.caller);
        let (agent, issued) = workspaces::add_agent(desk, admin, names, role, None, None).await.unwrap();
        let api = Api::new(self.stage.world.server.base_url(), issued.token.expose_secret()).unwrap();
        (agent.id.to_string(), api)
    }

    async fn set(&self, settings: Value) {
        self.stage.api.patch("/settings", settings).await.unwrap().expect(200).unwrap();
    }

    /// They answer everywhere: every platform shows this name, and so does the history.
    async fn goes_out_as(&self, who: &Api, shown: Option<&str>) {
        for ((platform, place, expected), conversation) in PLATFORMS.into_iter().zip(&self.conversations) {
            // She writes again, so that no count ends, and bots answer where no person does.
            let account = &self.stage.world.account(platform).unwrap().at_sandbox;
            self.stage.world.control().writes(account, "mara", "and now?").unwrap();
            self.stage.quiet().await.unwrap();
            let (status, closed) = (format!("/conversations/{conversation}/status"), json!({ "status": "closed" }));
            self.stage.api.post(&status, closed).await.unwrap().expect(200).unwrap();
            let body = json!({ "type": "reply", "text": "Here I am." });
            let queued = who.post(&format!("/conversations/{conversation}/messages"), body).await.unwrap();
            let queued = queued.expect(202).unwrap();
            let message = self.stage.settled(queued.text("/id").unwrap()).await.unwrap();
            assert_eq!((is_taken(&message), &message["direction"]), (true, &json!("outbound")), "{message}");
            assert_eq!(message.get("sender_name").and_then(Value::as_str), shown, "{platform}: {message}");
            let sent = self.stage.world.control().ledger().into_iter().rfind(|send| send.platform == platform).unwrap();
            assert_eq!(sent.body.pointer(place).cloned().unwrap_or_default(), expected(shown), "{platform}");
        }
    }
}

fn is_taken(message: &Value) -> bool {
    ["sent", "delivered"].contains(&message["state"].as_str().unwrap_or_default())
}

both_databases! {
    async fn a_message_goes_out_under_the_name_that_the_workspace_wants(db: TestDatabase) {
        let desk = Desk::open(db).await;
        let (bea_id, bea) = desk.hire("Beate Übel", Some("Bea"), Role::Agent).await;
        let (_, cem) = desk.hire("Cem", None, Role::Supervisor).await;
        let (robo, bot) = desk.hire("Robo", Some("Your helper"), Role::Bot).await;
        let channel = |platform| json!({ "channel": desk.stage.world.account(platform).unwrap().ours.id });
        let bindings: Vec<Value> = PLATFORMS.iter().map(|(platform, ..)| channel(platform)).collect();
        let bindings = json!({ "bindings": bindings });
        desk.stage.api.put(&format!("/agents/{robo}/bindings"), bindings).await.unwrap().expect(200).unwrap();
        desk.goes_out_as(&bea, Some("Beate Übel")).await;
        desk.goes_out_as(&bot, Some("Robo")).await;

        desk.set(json!({ "sender_name": "alias" })).await;
        desk.goes_out_as(&bea, Some("Bea")).await;
        desk.goes_out_as(&cem, Some("Cem")).await;
        desk.goes_out_as(&bot, Some("Your helper")).await;
        let taken = desk.stage.api.patch(&format!("/agents/{bea_id}"), json!({ "alias": "" })).await.unwrap();
        assert_eq!(taken.expect(200).unwrap().body.get("alias"), None);
        desk.goes_out_as(&bea, Some("Beate Übel")).await;

        // Of a business without a name of its own the account's shows.
        desk.set(json!({ "sender_name": "business" })).await;
        desk.goes_out_as(&bea, None).await;
        desk.set(json!({ "business_name": "Acme & Söhne" })).await;
        desk.goes_out_as(&bea, Some("Acme & Söhne")).await;
        desk.stage.strike().await;
    }
}

both_databases! {
    /// A name is cut to what each platform takes, on one line, and never keeps a message from going out.
    async fn a_long_name_is_cut(db: TestDatabase) {
        let desk = Desk::open(db).await;
        let new = json!({ "name": "Ann", "alias": format!("Dr. Zoë\r\nBcc: {}", "z".repeat(150)), "role": "agent" });
        let made = desk.stage.api.post("/agents", new).await.unwrap().expect(201).unwrap();
        let zoe = Api::new(desk.stage.world.server.base_url(), made.text("/token").unwrap()).unwrap();
        desk.set(json!({ "sender_name": "alias" })).await;
        for ((platform, place, _), conversation) in PLATFORMS.into_iter().zip(&desk.conversations) {
            let body = json!({ "type": "reply", "text": "Here I am." });
            let queued = zoe.post(&format!("/conversations/{conversation}/messages"), body).await.unwrap();
            let queued = queued.expect(202).unwrap();
            let message = desk.stage.settled(queued.text("/id").unwrap()).await.unwrap();
            assert!(is_taken(&message), "{platform}: {message}");
            let sent = desk.stage.world.control().ledger().into_iter().rfind(|send| send.platform == platform).unwrap();
            let shown = sent.body.pointer(place).and_then(Value::as_str).unwrap().to_owned();
            assert!(shown.contains("Dr. Zoë Bcc: zz"), "{platform}: {shown}");
        }
        desk.stage.strike().await;
    }
}
