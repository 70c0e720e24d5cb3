//! What customers allow us, recorded by hand and by the platform.

use serde_json::{Value, json};
use transom_storage::both_databases;

use super::{Desk, refused};

fn said(desk: &Desk, platform: &str, scope: &str, state: &str) -> Value {
    json!({ "channel": desk.channel(platform), "scope": scope, "state": state, "source": "phone call", "text": "asked us to" })
}

async fn record(desk: &Desk, contact: &str, body: Value) -> Value {
    let answer = desk.api().put(&format!("/contacts/{contact}/consents"), Some(body)).await.unwrap();
    answer.expect(200).unwrap().body
}

both_databases! {
    /// An opt-out by hand bars at once, what is queued too; it is taken back by hand.
    async fn an_opt_out_by_hand_bars_what_is_queued(db: TestDatabase) {
        let desk = Desk::open(db).await;
        let (contact, conversation) = desk.hears("whatsapp", "hello").await;
        let path = format!("/conversations/{conversation}/messages");
        desk.stage.world.control().refuse_connections(true).await;
        let queued = desk.post(&path, json!({ "text": "too late" }), 202).await["id"].as_str().unwrap().to_owned();
        let now = record(&desk, &contact, said(&desk, "whatsapp", "all", "opted_out")).await;
        assert_eq!((&now["channels"][0]["opted_out"], &now["channels"][0]["by_hand"]), (&json!("all"), &json!(true)), "{now}");
        desk.stage.world.control().refuse_connections(false).await;
        let withheld = desk.stage.settled(&queued).await.unwrap();
        assert_eq!(withheld["state"], "not_sent", "{withheld}");
        assert!(withheld["failure"].to_string().contains("opted_out"), "{withheld}");
        assert!(desk.stage.world.control().ledger().is_empty());
        let problem = refused(desk.api().post(&path, json!({ "text": "hello?" })).await.unwrap(), 409, "not_permitted");
        assert!(problem["decision"].to_string().contains("opted_out"), "{problem}");

        let now = record(&desk, &contact, said(&desk, "whatsapp", "all", "opted_in")).await;
        assert_eq!(now["channels"][0].get("opted_out"), None);
        let states: Vec<&Value> = now["records"].as_array().unwrap().iter().map(|record| &record["state"]).collect();
        assert_eq!(states, [&json!("opted_in"), &json!("opted_out")]);
        assert_eq!((&now["records"][1]["source"], &now["records"][1]["text"]), (&json!("phone call"), &json!("asked us to")));
        let sent = desk.post(&path, json!({ "text": "welcome back" }), 202).await["id"].as_str().unwrap().to_owned();
        assert_eq!(desk.stage.settled(&sent).await.unwrap()["state"], "delivered");

        for (field, wrong, code) in [("source", json!("platform"), "consent_source"), ("at", json!("2099-01-01T00:00:00Z"), "invalid_value")] {
            let mut body = said(&desk, "whatsapp", "all", "opted_out");
            body[field] = wrong;
            refused(desk.api().put(&format!("/contacts/{contact}/consents"), Some(body)).await.unwrap(), 422, code);
        }
        desk.stage.strike().await;
    }
}

both_databases! {
    /// STOP over the channel is the customer's to take back: nobody of ours lifts it.
    async fn what_the_customer_told_the_platform_only_they_take_back(db: TestDatabase) {
        let desk = Desk::open(db).await;
        let (contact, _) = desk.hears("sms", "hello").await;
        desk.hears("sms", "STOP").await;
        let now = desk.get(&format!("/contacts/{contact}/consents")).await;
        let standing = &now["channels"][0];
        assert_eq!((&standing["opted_out"], &standing["by_hand"]), (&json!("all"), &json!(false)), "{now}");
        assert_eq!((&now["records"][0]["source"], &now["records"][0]["by"]["kind"]), (&json!("platform"), &json!("customer")));
        let path = format!("/contacts/{contact}/consents");
        let opt_in = said(&desk, "sms", "all", "opted_in");
        refused(desk.api().put(&path, Some(opt_in.clone())).await.unwrap(), 409, "opted_out_by_customer");
        // Nor by saying it once more first.
        for scope in ["all", "marketing"] {
            record(&desk, &contact, said(&desk, "sms", scope, "opted_out")).await;
        }
        refused(desk.api().put(&path, Some(opt_in)).await.unwrap(), 409, "opted_out_by_customer");
        desk.hears("sms", "START").await;
        let now = desk.get(&path).await;
        assert_eq!(now["channels"][0].get("opted_out"), None, "{now}");
        desk.stage.strike().await;
    }
}

both_databases! {
    /// Somebody who never wrote over a channel can forbid it all the same, by the address that we have.
    async fn an_opt_out_before_the_first_message_counts(db: TestDatabase) {
        let desk = Desk::open(db).await;
        let contact = desk.add(json!({ "display_name": "Nora", "phone": "+46700000007" })).await;
        record(&desk, &contact, said(&desk, "sms", "all", "opted_out")).await;
        let body = json!({ "channel": desk.channel("sms"), "message": { "text": "Hello!" } });
        let problem = refused(desk.api().post(&format!("/contacts/{contact}/messages"), body).await.unwrap(), 409, "not_permitted");
        assert!(problem["decision"].to_string().contains("opted_out"), "{problem}");
        let telegram = said(&desk, "telegram", "all", "opted_out");
        refused(desk.api().put(&format!("/contacts/{contact}/consents"), Some(telegram)).await.unwrap(), 409, "cannot_start");
        desk.stage.strike().await;
    }
}
