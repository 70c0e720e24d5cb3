//! Files over HTTP: uploaded, read, sent, and what goes wrong with those of customers.

use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use transom_sandbox::{Act, Fault, FaultKind, MediaAct, NewCustomer};

use super::support::{Account, Bench, Client, Reply};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and the rest of the picture";

/// A form with one field.
fn form(field: &str, file_name: &str, mime: &str, bytes: &[u8]) -> Vec<u8> {
    let head = format!(
        "--edge\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"{file_name}\"\r\nContent-Type: {mime}\r\n\r\n"
    );
    [head.as_bytes(), bytes, b"\r\n--edge--\r\n"].concat()
}

async fn post_form(client: &Client, body: Vec<u8>) -> Reply {
    client
        .call(Method::POST, "/attachments", Some(body), &[("content-type", "multipart/form-data; boundary=edge")])
        .await
}

pub(crate) async fn upload(client: &Client, file_name: &str, bytes: &[u8]) -> Value {
    post_form(client, form("file", file_name, "application/x-anything", bytes)).await.expect(201)
}

#[expect(clippy::disallowed_methods, reason = "a stranger's client")]
pub(crate) async fn get(client: &Client, url: &str) -> (u16, http::HeaderMap, Vec<u8>) {
    let answer = reqwest::Client::new().get(url).bearer_auth(&client.token).send().await.unwrap();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    (status, headers, answer.bytes().await.unwrap().to_vec())
}

async fn get_plain(url: &str) -> (u16, http::HeaderMap, Vec<u8>) {
    let answer = reqwest::get(url).await.unwrap();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    (status, headers, answer.bytes().await.unwrap().to_vec())
}

fn count_files(folder: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries.map(|entry| entry.unwrap().path()).map(|path| if path.is_dir() { count_files(&path) } else { 1 }).sum()
}

#[tokio::test]
async fn a_file_is_kept_as_what_it_is_and_read_by_those_who_may() {
    let bench = Bench::start().await;
    let made = upload(&bench.admin, "../../box 1.html", PNG).await;
    assert_eq!(
        (&made["mime"], &made["size"], &made["state"]),
        (&json!("image/png"), &json!(PNG.len()), &json!("stored"))
    );
    assert_eq!(made["sha256"], json!(hex::encode(Sha256::digest(PNG))));
    assert_eq!(made["file_name"], "box 1.html", "a name is no path");
    let id = made["id"].as_str().unwrap();
    let path = format!("/attachments/{id}");
    assert_eq!(
        bench.admin.get(&path).await.expect(200)["uploaded_by"],
        bench.admin.get("/me").await.expect(200)["agent"]["id"]
    );

    let (status, headers, bytes) = get(&bench.admin, &format!("{}/v1{path}/content", bench.admin.base)).await;
    assert_eq!((status, bytes.as_slice()), (200, PNG));
    assert_eq!(headers["content-type"], "image/png");

    // Without a token, by its signed address, and as nothing that a browser would run.
    let url = made["content_url"].as_str().unwrap();
    let (status, headers, bytes) = get_plain(url).await;
    assert_eq!((status, bytes.as_slice()), (200, PNG));
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert_eq!(headers["content-security-policy"], "default-src 'none'; sandbox");
    assert!(headers["content-disposition"].to_str().unwrap().starts_with("attachment; filename="));
    assert_eq!(headers["content-length"], PNG.len().to_string().as_str());
    for wrong in [
        url.replace("signature=", "signature=A"),
        url.replace("expires=", "expires=1"),
        url.split('&').next().unwrap().to_owned(),
        url.split('?').next().unwrap().to_owned(),
        url.replacen("/attachments/", "/attachments/AAAA", 1),
    ] {
        let (status, _, body) = get_plain(&wrong).await;
        assert_eq!(status, 404, "{wrong}: {}", String::from_utf8_lossy(&body));
    }
    let eve = bench.neighbour().await;
    eve.get(&path).await.refused(404, "not_found");
    eve.get(&format!("{path}/content")).await.refused(404, "not_found");
    bench.clock.advance(time::Duration::seconds(3_601));
    assert_eq!(get_plain(url).await.0, 404, "its time is over");
    bench.stop().await;
}

#[tokio::test]
async fn an_upload_with_a_key_is_kept_once() {
    let bench = Bench::start().await;
    let post = async |name: &str, bytes: &[u8], edge: &str| {
        let form =
            String::from_utf8(form("file", name, "text/plain", bytes)).unwrap().replace("--edge", &format!("--{edge}"));
        let kind = format!("multipart/form-data; boundary={edge}");
        let headers = [("content-type", kind.as_str()), ("idempotency-key", "upload-1")];
        bench.admin.call(Method::POST, "/attachments", Some(form.into_bytes()), &headers).await
    };
    let first = post("a.txt", b"some text", "edge").await;
    assert_eq!((first.status, first.header("idempotency-replayed")), (201, None), "{}", first.body);
    // The form around it is made anew each time.
    let again = post("a.txt", b"some text", "another").await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (201, Some("true")));
    assert_eq!(again.body, first.body);
    post("a.txt", b"other text", "edge").await.refused(422, "idempotency_key_reused");
    post("b.txt", b"some text", "edge").await.refused(422, "idempotency_key_reused");
    bench.stop().await;
}

#[tokio::test]
async fn an_upload_that_can_not_be_kept_leaves_nothing() {
    let bench = Bench::with(|mut config| {
        config.attachments.max_bytes = 1_000;
        config
    })
    .await;
    post_form(&bench.admin, form("file", "a.txt", "text/plain", b"")).await.refused(422, "file_empty");
    post_form(&bench.admin, form("file", "a.txt", "text/plain", &[b'a'; 1_001])).await.refused(422, "file_too_large");
    post_form(&bench.admin, form("other", "a.txt", "text/plain", b"a")).await.refused(400, "body_malformed");
    post_form(&bench.admin, b"--edge\r\nContent-Dispo".to_vec()).await.refused(400, "body_malformed");
    post_form(&bench.admin, Vec::new()).await.refused(400, "body_malformed");
    bench.admin.post("/attachments", json!({ "file": "a" })).await.refused(415, "media_type_unsupported");
    let huge = form("file", "a.txt", "text/plain", &vec![b'a'; 200_000]);
    post_form(&bench.admin, huge.clone()).await.refused(413, "body_too_large");
    // Of unknown length, cut off where it is too much.
    let pieces = futures_util::stream::iter(
        huge.chunks(1_000).map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec())).collect::<Vec<_>>(),
    );
    let request =
        bench.admin.request(Method::POST, "/attachments").header("content-type", "multipart/form-data; boundary=edge");
    let answer = request.body(reqwest::Body::wrap_stream(pieces)).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 413);
    assert_eq!(count_files(&bench.folder().join("attachments")), 0);
    upload(&bench.admin, "a.txt", &[b'a'; 1_000]).await;
    assert_eq!(count_files(&bench.folder().join("attachments")), 1);
    bench.stop().await;
}

#[tokio::test]
async fn a_file_that_the_channel_does_not_take_is_refused_before_anything_is_stored() {
    let bench = Bench::start().await;
    let account = bench.whatsapp().await;
    let conversation = bench.hears(&account, "Mara", "+4915550100001", "hello").await;
    let messages = format!("/conversations/{}/messages", conversation["id"].as_str().unwrap());
    let picture = upload(&bench.admin, "a.png", PNG).await;
    let script = upload(&bench.admin, "a.png", b"<!DOCTYPE html><html><script>alert(1)</script></html>").await;
    let large = upload(&bench.admin, "a.png", &[PNG, &vec![0; 5 * 1024 * 1024]].concat()).await;
    let foreign = upload(&bench.neighbour().await, "a.png", PNG).await;
    let send = async |attachment: Value| bench.admin.post(&messages, json!({ "attachments": [attachment] })).await;

    let wrong = send(json!({ "kind": "image", "id": script["id"] })).await.refused(422, "media_type_not_accepted");
    assert!(wrong["detail"].as_str().unwrap().contains("image/png"), "it says what is taken: {wrong}");
    let wrong = send(json!({ "kind": "image", "id": large["id"] })).await.refused(422, "media_too_large");
    assert!(
        wrong["detail"].as_str().unwrap().contains("bytes, and at most 5242880 are taken"),
        "it says the limit: {wrong}"
    );
    // What the sender claims of it changes nothing.
    send(json!({ "kind": "image", "id": script["id"], "mime": "image/png" }))
        .await
        .refused(422, "media_type_not_accepted");
    send(json!({ "kind": "image", "id": foreign["id"] })).await.refused(404, "not_found");
    send(json!({ "kind": "image" })).await.refused(422, "attachment_ambiguous");
    let both = json!({ "kind": "image", "id": picture["id"], "url": "https://a.example/b.png" });
    send(both).await.refused(422, "attachment_ambiguous");
    let stored = bench.admin.get(&messages).await.expect(200);
    let outbound =
        stored["items"].as_array().unwrap().iter().filter(|message| message["direction"] == "outbound").count();
    assert_eq!(outbound, 0, "{stored}");
    send(json!({ "kind": "image", "id": picture["id"] })).await.expect(202);
    bench.stop().await;
}

/// A customer sends a picture; the message that it came with, once its file is in one of these states.
async fn sends_picture(bench: &Bench, account: &Account, caption: &str) -> String {
    let control = bench.sandbox.control();
    let _ = control.create_customer(NewCustomer::named("mara", "Mara", "+4915550100001"));
    let base64 = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, PNG);
    let picture = MediaAct {
        media: "image".into(),
        mime: Some("image/png".into()),
        caption: Some(caption.into()),
        base64: Some(base64),
        ..MediaAct::default()
    };
    control.act(&account.twin.id, "mara", Act::Media(picture)).unwrap();
    let path = format!("/conversations?channel={}", account.id);
    bench
        .until("the picture's message arrives", || async {
            let list = bench.admin.get(&path).await.expect(200);
            let found = list["items"].as_array().unwrap().iter().find(|item| item["preview"] == caption);
            found.map(|item| format!("/conversations/{}/messages", item["id"].as_str().unwrap()))
        })
        .await
}

/// The newest message's file, once it is as `wanted`.
async fn file_that(bench: &Bench, messages: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    bench
        .until("the file is as expected", || async {
            let page = bench.admin.get(messages).await.expect(200);
            let file = page["items"].as_array().unwrap().iter().find_map(|item| item["content"]["attachments"].get(0));
            file.filter(|file| wanted(file)).cloned()
        })
        .await
}

fn strikes(bench: &Bench, account: &Account, kind: FaultKind, count: Option<u32>) {
    let fault = Fault { kind, count, on: transom_sandbox::On::Any };
    bench.sandbox.control().fault(&account.twin.id, fault).unwrap();
}

#[tokio::test]
async fn a_customers_file_is_tried_again_while_the_platform_is_in_trouble() {
    let bench = Bench::start().await;
    for account in [bench.whatsapp().await, bench.telegram().await] {
        strikes(&bench, &account, FaultKind::Status { status: 500 }, Some(1));
        strikes(&bench, &account, FaultKind::Garbage, Some(1));
        let messages = sends_picture(&bench, &account, "in trouble").await;
        let waiting = file_that(&bench, &messages, |file| file["reason"] == "unavailable").await;
        assert_eq!((&waiting["state"], waiting.get("content_url")), (&json!("remote"), None), "{waiting}");
        let id = waiting["id"].as_str().unwrap();
        bench.admin.get(&format!("/attachments/{id}/content")).await.refused(409, "attachment_not_stored");
        let body = json!({ "attachments": [{ "kind": "image", "id": id }] });
        bench.admin.post(&messages, body).await.refused(409, "attachment_not_stored");
        let stored = file_that(&bench, &messages, |file| file["state"] == "stored").await;
        assert_eq!(stored.get("reason"), None);
        assert_eq!(get_plain(stored["content_url"].as_str().unwrap()).await.2, PNG);
    }
    bench.stop().await;
}

#[tokio::test]
async fn a_customers_file_that_can_not_be_had_says_why() {
    let bench = Bench::with(|mut config| {
        config.attachments.max_bytes = 10;
        config
    })
    .await;
    for account in [bench.whatsapp().await, bench.telegram().await] {
        let messages = sends_picture(&bench, &account, "too large").await;
        let failed = file_that(&bench, &messages, |file| file["state"] == "failed").await;
        assert_eq!((&failed["reason"], failed.get("content_url")), (&json!("too_large"), None), "{failed}");
        let meta = bench.admin.get(&format!("/attachments/{}", failed["id"].as_str().unwrap())).await.expect(200);
        assert_eq!((&meta["state"], &meta["reason"]), (&json!("failed"), &json!("too_large")));
    }
    bench.stop().await;

    let bench = Bench::start().await;
    for (account, code) in [(bench.whatsapp().await, 100), (bench.telegram().await, 400)] {
        let detail = Some("Bad Request: invalid file_id".to_owned());
        strikes(&bench, &account, FaultKind::Error { code, detail, asynchronous: false }, Some(1));
        let messages = sends_picture(&bench, &account, "gone").await;
        let failed = file_that(&bench, &messages, |file| file["state"] == "failed").await;
        assert_eq!(failed["reason"], "not_found", "{failed}");
    }
    bench.stop().await;
}

#[tokio::test]
async fn what_was_to_be_fetched_is_fetched_after_a_restart() {
    let bench = Bench::start().await;
    let account = bench.whatsapp().await;
    strikes(&bench, &account, FaultKind::Status { status: 503 }, None);
    let messages = sends_picture(&bench, &account, "wait for me").await;
    file_that(&bench, &messages, |file| file["reason"] == "unavailable").await;
    let bench = bench.restarted().await;
    bench.sandbox.control().clear_faults(&account.twin.id).unwrap();
    let stored = file_that(&bench, &messages, |file| file["state"] == "stored").await;
    assert_eq!(get_plain(stored["content_url"].as_str().unwrap()).await.2, PNG);
    bench.stop().await;
}
