//! Calls of the platforms: trusted, journalled, answered; or refused and counted.

use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use serde_json::json;
use sha2::Sha256;

use super::support::{Account, Bench};

pub(super) fn signed(account: &Account, body: &[u8]) -> String {
    let secret = account.twin.settings["app_secret"].as_str().unwrap();
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(body).finalize();
    format!("sha256={}", hex::encode(mac.into_bytes()))
}

async fn counted(bench: &Bench, platform: &str, result: &str) -> f64 {
    let page = bench.admin.raw(Method::GET, &format!("{}/metrics", bench.admin.base), Vec::new(), &[]).await;
    let page = page.body.as_str().unwrap().to_owned();
    let line = format!("transom_webhook_accepted_total{{platform=\"{platform}\",result=\"{result}\"}} ");
    page.lines().find_map(|found| found.strip_prefix(&line)?.parse().ok()).unwrap_or(0.0)
}

#[tokio::test]
async fn a_missing_or_bad_signature_is_401_counted_and_nothing_is_stored() {
    let bench = Bench::start().await;
    let account = bench.whatsapp().await;
    let before = counted(&bench, "whatsapp", "untrusted").await;
    let body = br#"{"object":"whatsapp_business_account","entry":[]}"#.to_vec();
    let good = signed(&account, &body);
    let json = ("content-type", "application/json");
    for proof in [None, Some("sha256=00"), Some("sha256="), Some(good.trim_start_matches("sha256="))] {
        let headers: Vec<(&str, &str)> =
            proof.map(|proof| ("x-hub-signature-256", proof)).into_iter().chain([json]).collect();
        let reply = bench.admin.raw(Method::POST, &account.webhook_url, body.clone(), &headers).await;
        reply.refused(401, "webhook_untrusted");
    }
    // The right proof of other bytes.
    let other = br#"{"object":"whatsapp_business_account","entry":[1]}"#.to_vec();
    let reply =
        bench.admin.raw(Method::POST, &account.webhook_url, other, &[json, ("x-hub-signature-256", &good)]).await;
    reply.refused(401, "webhook_untrusted");

    assert!(counted(&bench, "whatsapp", "untrusted").await >= before + 5.0);
    let reader = bench.server.desk().storage().reader(&bench.caller.scope);
    assert_eq!(reader.oldest_unapplied().await.unwrap(), None, "nothing was journalled");
    assert_eq!(bench.admin.get("/quarantine").await.expect(200)["items"], json!([]));
    bench.stop().await;
}

#[tokio::test]
async fn an_unknown_shape_or_account_is_200_and_quarantined() {
    let bench = Bench::start().await;
    let account = bench.whatsapp().await;
    let post = async |body: serde_json::Value| {
        let body = body.to_string().into_bytes();
        let proof = signed(&account, &body);
        let headers = [("content-type", "application/json"), ("x-hub-signature-256", proof.as_str())];
        bench.admin.raw(Method::POST, &account.webhook_url, body, &headers).await
    };
    assert_eq!(post(json!(["what", "is", "this"])).await.status, 200);
    let stranger = json!({ "object": "whatsapp_business_account", "entry": [{ "id": "1", "changes": [{ "field": "messages", "value": {
        "messaging_product": "whatsapp", "metadata": { "display_phone_number": "1", "phone_number_id": "999" },
        "contacts": [{ "profile": { "name": "X" }, "wa_id": "4915550100009" }],
        "messages": [{ "from": "4915550100009", "id": "wamid.X", "timestamp": "1763600000", "type": "text", "text": { "body": "hello" } }]
    } }] }] });
    assert_eq!(post(stranger).await.status, 200);
    let entries = bench
        .until("both are in quarantine", || async {
            let page = bench.admin.get("/quarantine").await.expect(200);
            let entries = page["items"].as_array().unwrap().clone();
            (entries.len() == 2).then_some(entries)
        })
        .await;
    let reasons: Vec<&str> = entries.iter().map(|entry| entry["reason"].as_str().unwrap()).collect();
    assert!(reasons.contains(&"unknown_account"), "{reasons:?}");
    let page = bench.admin.get("/quarantine?limit=1").await.expect(200);
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = bench.admin.get(&format!("/quarantine?limit=1&cursor={cursor}")).await.expect(200);
    assert_eq!(rest["items"].as_array().unwrap().len(), 1);
    assert_eq!(rest["next_cursor"], json!(null));
    bench.stop().await;
}

#[tokio::test]
async fn sizes_addresses_and_handshakes() {
    let bench = Bench::with(|mut config| {
        config.limits.webhook_body = 10_000;
        config
    })
    .await;
    let account = bench.whatsapp().await;
    let big = bench.admin.raw(Method::POST, &account.webhook_url, vec![b'x'; 10_001], &[]).await;
    big.refused(413, "body_too_large");
    for nowhere in ["nothing", "", "%2e%2e", &"A".repeat(43)] {
        let url = format!("{}/webhooks/{nowhere}", bench.admin.base);
        bench.admin.raw(Method::POST, &url, Vec::new(), &[]).await.refused(404, "not_found");
    }
    let token = account.twin.settings["verify_token"].as_str().unwrap();
    let ask =
        |token: &str| format!("{}?hub.mode=subscribe&hub.challenge=4711&hub.verify_token={token}", account.webhook_url);
    let shaken = bench.admin.raw(Method::GET, &ask(token), Vec::new(), &[]).await;
    assert_eq!((shaken.status, &shaken.body), (200, &json!(4711)));
    bench.admin.raw(Method::GET, &ask("wrong"), Vec::new(), &[]).await.refused(401, "webhook_untrusted");
    bench.admin.raw(Method::DELETE, &account.webhook_url, Vec::new(), &[]).await.refused(405, "method_not_allowed");
    bench.stop().await;
}

#[tokio::test]
async fn the_address_for_signatures_comes_from_the_configuration() {
    let public = url::Url::parse("https://support.example/transom/").unwrap();
    let bench = Bench::with(|mut config| {
        config.public_url = Some(public);
        config
    })
    .await;
    let made = bench.sandbox.control().create_account(transom_sandbox::NewAccount::on("whatsapp")).unwrap();
    let setting = |name: &str| made.settings[name].clone();
    let settings = json!({ "app_secret": setting("app_secret"), "verify_token": setting("verify_token"),
        "access_token": setting("access_token"), "phone_number_id": setting("phone_number_id"), "waba_id": setting("waba_id") });
    let channel =
        bench.admin.post("/channels", json!({ "platform": "whatsapp", "settings": settings })).await.expect(201);
    let url = channel["webhook_url"].as_str().unwrap();
    assert!(url.starts_with("https://support.example/transom/webhooks/"), "{url}");
    bench.stop().await;
}
