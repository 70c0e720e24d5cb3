//! The HTTP channel's other side: signatures, repeated requests, and the rules that it keeps.

use crate::common::{Bench, answer};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use time::Duration;
use transom_domain::Clock;
use transom_sandbox::{Act, Ask, Because};

const SIGNING: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const HEARING: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

fn proof(secret: &str, id: &str, timestamp: i64, body: &[u8]) -> String {
    let key = BASE64.decode(secret.trim_start_matches("whsec_")).unwrap();
    let signed = [format!("{id}.{timestamp}.").as_bytes(), body].concat();
    let mac = Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap().chain_update(signed);
    format!("v1,{}", BASE64.encode(mac.finalize().into_bytes()))
}

struct Stage {
    bench: Bench,
}

impl Stage {
    async fn new(rules: &str) -> Self {
        let bench = Bench::new().await;
        let settings = json!({"account": "main", "signing_secret": SIGNING, "webhook_secret": HEARING, "rules": rules});
        bench.account("http", settings);
        bench.mara();
        Self { bench }
    }

    fn request(&self, id: &str, late: i64, body: &Value) -> reqwest::RequestBuilder {
        let (body, at) = (body.to_string(), self.bench.sandbox.clock().now().unix_timestamp() - late);
        let request = self.bench.http.post(self.bench.url("/http/main"));
        let request = request.header("webhook-id", id).header("webhook-timestamp", at);
        request.header("webhook-signature", proof(SIGNING, id, at, body.as_bytes())).body(body)
    }

    /// Sends a text to Mara's number; the status, and the id or the code.
    async fn text(&self, id: &str) -> (u16, String) {
        let body = json!({"type": "message.send", "account": "main", "id": id, "to": {"phone": "+4915550100001"},
            "content": {"type": "text", "text": "hi"}});
        let (status, body) = answer(self.request(id, 0, &body)).await;
        let word = body.pointer("/error/code").or(body.get("id")).and_then(Value::as_str);
        (status, word.unwrap_or_default().to_owned())
    }
}

#[tokio::test]
async fn only_fresh_and_genuine_requests_are_taken() {
    let stage = Stage::new("in_house").await;
    let check = json!({"type": "account.check", "account": "main"});
    assert_eq!(answer(stage.request("1", 0, &check)).await.0, 200);
    assert_eq!(answer(stage.request("1", 301, &check)).await.0, 401);
    let other = json!({"type": "templates.list", "account": "main"}).to_string();
    assert_eq!(answer(stage.request("1", 0, &check).body(other)).await.0, 401, "another body than was signed");
}

#[tokio::test]
async fn an_id_that_was_seen_is_not_sent_again() {
    let stage = Stage::new("in_house").await;
    stage.bench.control.writes("main", "mara", "hello").unwrap();
    let first = stage.text("a").await;
    assert_eq!((first.0, stage.text("a").await), (200, first));
    assert_eq!(stage.bench.control.ledger().len(), 1);
    stage.text("b").await;
    assert_eq!(stage.bench.control.ledger().len(), 2);
}

#[tokio::test]
async fn a_session_is_24_hours_and_five_in_a_row() {
    let stage = Stage::new("viber_business").await;
    let because = || stage.bench.control.would_accept("main", "mara", &Ask::free_form()).unwrap().because;
    assert_eq!(stage.text("0").await.1, "window_closed");
    assert_eq!(because(), Some(Because::NeverOpened));
    stage.bench.control.writes("main", "mara", "hello").unwrap();
    for n in 1..=5 {
        assert_eq!(stage.text(&n.to_string()).await.0, 200);
    }
    assert_eq!(stage.text("6").await.1, "SRVC_WAIT_FOR_USER_RESPONSE");
    assert_eq!(because(), Some(Because::Quota));
    stage.bench.control.advance(Duration::hours(23));
    stage.bench.control.writes("main", "mara", "yes?").unwrap();
    assert_eq!(stage.text("7").await.0, 200);
    stage.bench.control.advance(Duration::HOUR);
    assert_eq!(stage.text("8").await.1, "window_closed", "the second message did not prolong it");
    assert_eq!(because(), Some(Because::WindowClosed));
}

#[tokio::test]
async fn calls_are_signed_over_id_time_and_body() {
    let stage = Stage::new("in_house").await;
    stage.bench.control.act("main", "mara", Act::OptOut).unwrap();
    stage.bench.settled().await;
    let call = stage.bench.receiver.take().remove(0);
    let (id, timestamp) = (call.header("webhook-id"), call.header("webhook-timestamp").parse().unwrap());
    assert_eq!(call.json()["id"], id);
    assert_eq!(call.header("webhook-signature"), proof(HEARING, id, timestamp, &call.body));
    assert_eq!((&call.json()["standing"], stage.text("x").await.1.as_str()), (&json!("opted_out"), "opted_out"));
}
