//! What a platform refuses once is not asked for again, over real HTTP, on both databases.

use serde_json::{Value, json};
use transom_domain::{ConversationId, Ids as _, SettableClock, UuidV7};
use transom_sandbox::{Fault, FaultKind, NewCustomer};
use transom_storage::both_databases;
use transom_tests::Stage;

async fn conversation(stage: &Stage, platform: &str, name: &str) -> ConversationId {
    let (account, id) = (stage.world.account(platform).unwrap().at_sandbox.clone(), name.to_lowercase());
    let control = stage.world.control();
    let phone = format!("+38591000{:04}", id.bytes().map(u32::from).sum::<u32>());
    control.create_customer(NewCustomer::named(&id, name, &phone)).unwrap();
    control.writes(&account, &id, "hello").unwrap();
    stage.world.conversation_with(platform, name).await.unwrap().1
}

/// The message once it stands still.
async fn send(stage: &Stage, conversation: ConversationId, body: Value) -> Value {
    let sent = stage.api.post(&format!("/conversations/{conversation}/messages"), body).await.unwrap();
    let id = sent.expect(202).unwrap().text("/id").unwrap().to_owned();
    stage.settled(&id).await.unwrap()
}

fn refuses(stage: &Stage, platform: &str, code: i64, detail: Option<&str>) {
    let account = &stage.world.account(platform).unwrap().at_sandbox;
    let kind = FaultKind::Error { code, detail: detail.map(str::to_owned), asynchronous: false };
    stage.world.control().fault(account, Fault::always(kind)).unwrap();
}

fn refusals(stage: &Stage, platform: &str) -> usize {
    let account = stage.world.account(platform).unwrap().at_sandbox.clone();
    let calls = stage.world.control().calls();
    calls.iter().filter(|call| call.account.as_ref() == Some(&account) && call.fault.is_some()).count()
}

both_databases! {
    /// Our session is open and the platform's is not: what it would have counted is used up, for everybody, and the session
    /// is over until they write again.
    async fn a_month_that_is_used_up_ends_a_session_that_only_we_hold_open(db: TestDatabase) {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        let (vesna, luka) = (conversation(&stage, "viber", "Vesna").await, conversation(&stage, "viber", "Luka").await);
        refuses(&stage, "viber", 23, None);
        let message = send(&stage, vesna, json!({ "text": "On its way!" })).await;
        assert_eq!(message["state"], "not_sent", "{message}");
        assert_eq!(refusals(&stage, "viber"), 1);

        // Luka's month is the same one.
        let permits = |conversation: ConversationId| {
            let (stage, path) = (&stage, format!("/conversations/{conversation}/window"));
            async move {
                let window = stage.api.get(&path).await.unwrap().expect(200).unwrap().body;
                let permits = window["human"]["permits"].as_array().unwrap().clone();
                permits.iter().map(|permit| permit["grant"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
            }
        };
        assert_eq!(permits(luka).await, ["session"]);
        assert_eq!(permits(vesna).await, [""; 0]);

        let control = stage.world.control();
        control.clear_faults(&stage.world.account("viber").unwrap().at_sandbox).unwrap();
        control.writes(&stage.world.account("viber").unwrap().at_sandbox, "vesna", "and?").unwrap();
        stage.quiet().await.unwrap();
        let message = send(&stage, vesna, json!({ "text": "Here it is." })).await;
        assert!(["sent", "delivered", "read"].contains(&message["state"].as_str().unwrap()), "{message}");
        stage.strike().await;
    }
}

both_databases! {
    /// A count that nobody here knows: the right itself is refused.
    async fn a_quota_without_a_name_ends_a_right_that_spends_none(db: TestDatabase) {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        stage.world.add_templates().await.unwrap();
        let nikos = conversation(&stage, "http", "Nikos").await;
        refuses(&stage, "http", 422, Some("quota_reached"));
        let template = json!({ "template": {
            "name": "order_update", "language": "en_US", "parameters": { "body": ["Nikos", "B-7"] } } });
        let message = send(&stage, nikos, template).await;
        assert_eq!(message["state"], "not_sent", "{message}");
        assert_eq!(refusals(&stage, "http"), 1);
        stage.strike().await;
    }
}

both_databases! {
    /// whatsapp.md 1.5: what promotes is not delivered to the United States, so it is not even accepted here. The first message counts
    /// already, which makes the contact.
    async fn what_promotes_does_not_go_to_the_united_states(db: TestDatabase) {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        stage.world.add_templates().await.unwrap();
        let (control, whatsapp) = (stage.world.control(), stage.world.account("whatsapp").unwrap());
        for (id, phone) in [("abe", "+12125550100"), ("cleo", "+16135550100")] {
            control.create_customer(NewCustomer::named(id, id, phone)).unwrap();
        }
        let outbound = async |phone: &str, template: Value| {
            let body = json!({ "channel": whatsapp.ours.id, "to": { "phone": phone }, "message": { "template": template } });
            let key = UuidV7.next().to_string();
            stage.api.post_once("/outbound", &key, body).await.unwrap()
        };
        let sale = json!({ "name": "spring_sale", "language": "en_US" });
        let order = json!({ "name": "order_update", "language": "en_US", "parameters": { "body": ["Abe", "B-7"] } });

        let refused = outbound("+12125550100", sale.clone()).await;
        assert_eq!((refused.status, refused.text("/code")), (409, Some("not_permitted")), "{}", refused.body);
        assert!(refused.body.to_string().contains("country is US"), "{}", refused.body);
        for (phone, template) in [("+16135550100", sale.clone()), ("+12125550100", order)] {
            let sent = outbound(phone, template).await.expect(202).unwrap();
            let message = stage.settled(sent.text("/message/id").unwrap()).await.unwrap();
            assert!(["sent", "delivered", "read"].contains(&message["state"].as_str().unwrap()), "{message}");
        }
        // Nor does an open window change it.
        control.writes(&whatsapp.at_sandbox, "abe", "hello").unwrap();
        stage.quiet().await.unwrap();
        let refused = outbound("+12125550100", sale).await;
        assert_eq!(refused.status, 409, "{}", refused.body);
        assert_eq!(control.ledger().len(), 2, "the platform had nothing to refuse");
        stage.strike().await;
    }
}
