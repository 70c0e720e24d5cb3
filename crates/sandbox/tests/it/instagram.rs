//! The sandbox as Instagram: what differs from Messenger, over HTTP.

use serde_json::{Value, json};
use time::Duration;
use transom_sandbox::{AccountView, Act};

use crate::common::{Bench, answer};

struct Shop {
    bench: Bench,
    account: AccountView,
    igsid: String,
}

impl Shop {
    async fn written_to() -> Self {
        let bench = Bench::new().await;
        let account = bench.account("instagram", json!({"human_agent": true}));
        let igsid = bench.mara().addresses["instagram"].clone();
        bench.control.writes(&account.id, "mara", "Where is A-1001?").unwrap();
        bench.arrived().await;
        Self { bench, account, igsid }
    }

    async fn sends(&self, node: &str, body: Value) -> Value {
        let url = format!("{}/v25.0/{node}/messages", self.account.api_base);
        let token = self.account.settings["access_token"].as_str().unwrap();
        answer(self.bench.http.post(url).bearer_auth(token).json(&body)).await.1
    }

    async fn says(&self, message: Value, right: Value) -> Value {
        let mut body = json!({"recipient": {"id": self.igsid}, "message": message});
        body.as_object_mut().unwrap().extend(right.as_object().unwrap().clone());
        self.sends(&self.account.id, body).await
    }

    fn acts(&self, act: Act) {
        self.bench.control.act(&self.account.id, "mara", act).unwrap();
    }
}

fn subcode(answer: &Value) -> i64 {
    answer["error"]["error_subcode"].as_i64().unwrap_or_default()
}

/// By the Page, by the account, and by `me`: the two set-ups.
#[tokio::test]
async fn both_set_ups_are_answered() {
    let shop = Shop::written_to().await;
    let page = shop.account.settings["page_id"].as_str().unwrap();
    for node in [page, &shop.account.id, "me"] {
        let answered = shop.sends(node, json!({"recipient": {"id": shop.igsid}, "message": {"text": "hi"}})).await;
        assert!(answered["message_id"].as_str().unwrap().starts_with("aWdf"), "{node}: {answered}");
    }
}

#[tokio::test]
async fn after_seven_days_there_is_nothing() {
    let shop = Shop::written_to().await;
    let tag = || json!({"messaging_type": "MESSAGE_TAG", "tag": "HUMAN_AGENT"});
    let text = || json!({"text": "hello"});
    shop.bench.control.advance(Duration::hours(24));
    assert_eq!(subcode(&shop.says(text(), json!({})).await), 2_534_022);
    assert!(shop.says(text(), tag()).await["message_id"].is_string());
    // It is the only tag, and did not open anything.
    let other = json!({"messaging_type": "MESSAGE_TAG", "tag": "ACCOUNT_UPDATE"});
    assert_eq!(shop.says(text(), other).await["error"]["code"], 100);
    shop.bench.control.advance(Duration::days(6));
    assert_eq!(subcode(&shop.says(text(), tag()).await), 2_534_022);
    let template = json!({"template": {"name": "order_update", "language": {"code": "en_US"}}});
    assert!(shop.says(template, json!({"messaging_type": "UTILITY"})).await["error"].is_object());

    shop.acts(Act::Other { kind: "story_mention".into(), data: json!({}) });
    assert!(shop.says(text(), json!({})).await["message_id"].is_string());
}

#[tokio::test]
async fn a_reaction_opens_nothing_and_a_text_has_a_thousand_bytes() {
    let shop = Shop::written_to().await;
    let sent = shop.says(json!({"text": "é".repeat(500)}), json!({})).await;
    assert_eq!(shop.says(json!({"text": "é".repeat(501)}), json!({})).await["error"]["code"], 100);
    shop.bench.control.advance(Duration::days(2));
    shop.acts(Act::Reaction { message_id: sent["message_id"].as_str().unwrap().into(), emoji: Some("❤️".into()) });
    assert_eq!(subcode(&shop.says(json!({"text": "hi"}), json!({})).await), 2_534_022);
}

#[tokio::test]
async fn pictures_go_together_and_seen_names_the_latest() {
    let shop = Shop::written_to().await;
    let url = "https://cdn.example.com/a.png";
    shop.bench.control.publish(url, "image/png", &b"\x89PNG\r\n\x1a\n"[..]);
    let picture = json!({"type": "image", "payload": {"url": url}});
    let several = json!({"attachments": vec![picture.clone(); 10]});
    let mid = shop.says(several, json!({})).await["message_id"].as_str().unwrap().to_owned();
    assert_eq!(shop.says(json!({"attachments": vec![picture; 11]}), json!({})).await["error"]["code"], 100);
    shop.bench.arrived().await;
    shop.acts(Act::Read);
    let told = shop.bench.arrived().await;
    // There is no delivery webhook.
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["entry"][0]["messaging"][0]["read"], json!({"mid": mid}));
}
