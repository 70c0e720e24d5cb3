//! Bad input is refused with what is wrong, and nothing of it is stored.

use reqwest::Method;
use serde_json::json;

use super::support::Bench;

#[tokio::test]
async fn what_is_not_json_or_of_another_shape_is_400_and_says_where() {
    let bench = Bench::start().await;
    let client = &bench.admin;
    for (body, field, detail) in [
        (&b"{\"display_name\": "[..], None, "not JSON, at line 1"),
        (b"", None, "the body is empty"),
        (b"[]", None, "an object is expected"),
        (b"{\"display_name\": 5}", Some("display_name"), "a text is expected, and it is `5`"),
        (b"{\"display_nmae\": \"x\"}", Some("display_nmae"), "no such field; there is `display_name`"),
        (b"\xff\xfe", None, "not JSON"),
    ] {
        let reply = client.call(Method::POST, "/contacts", Some(body.to_vec()), &[]).await;
        let problem = reply.refused(400, "body_malformed");
        assert_eq!(problem["field"].as_str(), field, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(detail), "{problem}");
    }
    let deep = format!("{}1{}", "[".repeat(65), "]".repeat(65));
    let reply = client.call(Method::POST, "/contacts", Some(deep.into_bytes()), &[]).await;
    assert!(reply.refused(400, "body_malformed")["detail"].as_str().unwrap().contains("deeper than 64"));
    let none = client.get("/contacts").await.expect(200);
    assert_eq!(none["items"], json!([]), "nothing was stored");
    bench.stop().await;
}

#[tokio::test]
async fn nested_fields_are_named_with_their_path() {
    let bench = Bench::start().await;
    let account = bench.telegram().await;
    let conversation = bench.hears(&account, "Mara", "+4915550100001", "hello").await;
    let path = format!("/conversations/{}/messages", conversation["id"].as_str().unwrap());
    for (body, field) in [
        (
            json!({ "text": "a", "attachments": [{ "kind": "picture", "url": "https://a.example/b" }] }),
            "attachments[0].kind",
        ),
        (json!({ "template": { "name": "a" } }), "template.language"),
        (json!({ "location": { "latitude": 100, "longitude": 0 } }), "location.latitude"),
        (json!({ "reply_to": "nobody" }), "reply_to"),
        (json!({ "type": "whisper" }), "type"),
    ] {
        let problem = bench.admin.post(&path, body).await.refused(400, "body_malformed");
        assert_eq!(problem["field"], field, "{problem}");
    }
    let whisper = bench.admin.post(&path, json!({ "type": "whisper" })).await.refused(400, "body_malformed");
    assert_eq!(whisper["detail"], "`type`: one of `reply`, `note` is expected, and it is `whisper`");
    bench.stop().await;
}

#[tokio::test]
async fn other_media_types_paths_methods_and_parameters_are_told() {
    let bench = Bench::start().await;
    let client = &bench.admin;
    let form = client.call(Method::POST, "/contacts", Some(b"a=b".to_vec()), &[("content-type", "text/csv")]).await;
    form.refused(415, "media_type_unsupported");
    client.get("/nowhere").await.refused(404, "not_found");
    client.call(Method::PUT, "/contacts", Some(b"{}".to_vec()), &[]).await.refused(405, "method_not_allowed");
    for path in ["/contacts?limit=0", "/contacts?limit=101", "/contacts?limit=ten", "/contacts?blocked=maybe"] {
        client.get(path).await.refused(400, "parameter_invalid");
    }
    let unknown = client.get("/conversations?asignee=x").await.refused(400, "parameter_invalid");
    assert_eq!(unknown["field"], "asignee", "{unknown}");
    client.get("/me?verbose").await.refused(400, "parameter_invalid");
    for (query, field, detail) in [
        (
            "sort=random",
            "sort",
            "one of `newest`, `oldest`, `longest_waiting`, `closing_soonest` is expected, and it is `random`",
        ),
        ("tab=foo", "tab", "one of `open`, `assigned`, `snoozed`, `closed`, `all` is expected, and it is `foo`"),
        ("status=", "status", "one of `open`, `snoozed`, `closed` is expected, and it is ``"),
        ("window=ajar", "window", "one of `open`, `closed` is expected, and it is `ajar`"),
        ("inbox=yours", "inbox", "one of `mine`, `unassigned`, `team`, `all` is expected, and it is `yours`"),
        ("counts=yes", "counts", "`true` or `false` is expected, and it is `yes`"),
        ("limit=ten", "limit", "a whole number is expected, and it is `ten`"),
        ("limit=101", "limit", "at most 100 is expected"),
        ("limit=0", "limit", "at least 1 is expected"),
        ("score=5&score=a", "score", "a whole number is expected, and it is `a`"),
        ("score=256", "score", "at most 255 is expected"),
        ("closing_within=4294967296", "closing_within", "at most 4294967295 is expected"),
        ("channel=telegram", "channel", "an id is expected, such as 0192e4a0-7b5a-7c3e-8f00-000000000001"),
        ("inbound_after=today", "inbound_after", "an instant is expected, such as 2026-11-20T10:00:00Z"),
        ("tab=open&tab=closed", "tab", "it takes one value, and 2 are given"),
    ] {
        let problem = client.get(&format!("/conversations?{query}")).await.refused(400, "parameter_invalid");
        assert_eq!(problem["field"], field, "{problem}");
        assert_eq!(problem["detail"], format!("`{field}`: {detail}"));
    }
    let unknown = client.get("/conversations?platform=telegram&platform=carrier").await;
    let unknown = unknown.refused(400, "parameter_invalid");
    assert_eq!(unknown["field"], "platform", "{unknown}");
    assert!(unknown["detail"].as_str().unwrap().starts_with("one of `email`, `http`, `instagram`"), "{unknown}");
    let malformed = client.call(Method::GET, "/events", None, &[("last-event-id", "x")]).await;
    let malformed = malformed.refused(400, "parameter_invalid");
    assert_eq!(malformed["detail"], "`Last-Event-ID`: a whole number is expected, and it is `x`");
    let body = json!({ "platform": "telegram", "now": "2026-11-20T10:00:00Z", "contact": { "opted_out": "some" } });
    let malformed = client.post("/windows/evaluate", body).await.refused(400, "body_malformed");
    assert_eq!(malformed["field"], "contact.opted_out", "{malformed}");
    assert!(
        malformed["detail"].as_str().unwrap().contains("one of `none`, `marketing`, `all` is expected"),
        "{malformed}"
    );
    for (method, path, body, field) in [
        (Method::GET, "/conversations/export?filter=status:foo", None, "filter"),
        (
            Method::POST,
            "/conversations/bulk",
            Some(json!({ "filter": "status:foo", "status": { "status": "closed" }, "dry_run": true })),
            "filter",
        ),
    ] {
        let body = body.map(|body| body.to_string().into_bytes());
        let malformed =
            client.call(method, path, body, &[("idempotency-key", "a")]).await.refused(400, "search_invalid");
        assert_eq!(malformed["field"], field, "{malformed}");
    }
    client.get("/conversations?score=4&score=5&tab=all&sort=oldest&counts=true").await.expect(200);
    let problem = client.get(&format!("/contacts?q={}", "x".repeat(201))).await.refused(400, "parameter_invalid");
    assert_eq!(problem["field"], "q", "{problem}");
    bench.stop().await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_whether_announced_or_not() {
    let bench = Bench::with(|mut config| {
        config.limits.api_body = 1_000;
        config
    })
    .await;
    let body = json!({ "display_name": "x".repeat(2_000) }).to_string();
    let client = &bench.admin;
    let reply = client.call(Method::POST, "/contacts", Some(body.clone().into_bytes()), &[]).await;
    assert!(reply.refused(413, "body_too_large")["detail"].as_str().unwrap().contains("1000 bytes"));

    // In chunks, no length is announced.
    let pieces = futures_util::stream::iter([Ok::<_, std::io::Error>(body.into_bytes())]);
    let request = client.request(Method::POST, "/contacts").header("content-type", "application/json");
    let answer = request.body(reqwest::Body::wrap_stream(pieces)).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 413);
    bench.stop().await;
}

#[tokio::test]
async fn ids_that_are_unknown_or_no_ids_are_404() {
    let bench = Bench::start().await;
    let unknown = "0192e4a0-7b5a-7c3e-8f00-000000000001";
    for id in [unknown, "me", "1", "0192e4a0"] {
        bench.admin.get(&format!("/contacts/{id}")).await.refused(404, "not_found");
        bench.admin.get(&format!("/conversations/{id}/window")).await.refused(404, "not_found");
        let body = json!({ "text": "hello" });
        bench.admin.post(&format!("/conversations/{id}/messages"), body).await.refused(404, "not_found");
    }
    bench.admin.get("/policies/nothing").await.refused(404, "not_found");
    for filter in ["channel", "assignee", "team", "contact"] {
        bench.admin.get(&format!("/conversations?{filter}={unknown}")).await.refused(404, "not_found");
    }
    bench.stop().await;
}

#[tokio::test]
async fn tokens_that_do_not_work_are_401() {
    let bench = Bench::start().await;
    let forged = {
        let mut token = bench.admin.token.clone();
        token.pop();
        token + if bench.admin.token.ends_with('A') { "B" } else { "A" }
    };
    for token in ["", "nonsense", "trn_", &forged, &"x".repeat(5_000)] {
        let reply = bench.admin.with_token(token).get("/me").await;
        assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
        reply.refused(401, "unauthenticated");
    }
    let bare = bench.admin.raw(Method::GET, &format!("{}/v1/me", bench.admin.base), Vec::new(), &[]).await;
    bare.refused(401, "unauthenticated");
    bench.stop().await;
}

#[tokio::test]
async fn content_that_the_channel_or_the_window_does_not_take() {
    let bench = Bench::start().await;
    let account = bench.whatsapp().await;
    let conversation = bench.hears(&account, "Mara", "+4915550100001", "hello").await;
    let path = format!("/conversations/{}/messages", conversation["id"].as_str().unwrap());
    let post = |body| bench.admin.post(&path, body);

    let long = post(json!({ "text": "x".repeat(5_000) })).await.refused(422, "text_too_long");
    assert!(long["detail"].as_str().unwrap().contains("5000 characters, and at most 4096"), "{long}");
    post(json!({})).await.refused(422, "message_empty");
    post(json!({ "type": "note", "text": "  " })).await.refused(422, "message_empty");
    post(json!({ "type": "note", "text": "a", "message_tag": "b" })).await.refused(422, "content_ambiguous");
    post(json!({ "text": "a", "conversation_tags": ["vip"] })).await.refused(422, "tag_unknown");
    let unknown = post(json!({ "template": { "name": "nothing", "language": "en_US" } })).await;
    unknown.refused(422, "template_unknown");

    let template = json!({ "name": "order_update", "language": "en_US", "category": "UTILITY",
        "components": [{ "type": "BODY", "text": "Hi {{1}}, about {{2}}.", "example": { "body_text": [["a", "b"]] } }] });
    bench.sandbox.control().platform(&account.twin.id, "template", template).await.unwrap();
    let synced = bench.admin.post(&format!("/channels/{}/templates/sync", account.id), json!({})).await.expect(200);
    assert!(synced["added"].as_u64().unwrap() >= 1);
    let named = json!({ "name": "order_update", "language": "en_US", "parameters": { "body": ["only one"] } });
    post(json!({ "template": named })).await.refused(422, "template_parameters");
    let both = json!({ "name": "order_update", "language": "en_US", "parameters": { "header":
        { "text": [], "location": { "latitude": 1, "longitude": 1 } } } });
    post(json!({ "template": both })).await.refused(422, "template_parameters");

    // A day later only templates may be sent, and every refusal says why.
    bench.clock.advance(time::Duration::hours(25));
    let before = bench.sandbox.control().ledger().len();
    let refused = post(json!({ "text": "are you there?" })).await.refused(409, "template_required");
    assert!(refused["detail"].as_str().unwrap().starts_with("only a template may be sent now"), "{refused}");
    let refusals = refused["decision"]["refusals"].as_array().unwrap();
    let because = refusals.iter().find(|refusal| refusal["basis"] == "free_form").unwrap();
    assert_eq!(because["because"][0]["reason"], "window_over");
    assert_eq!(refused["house"], json!([]));
    assert_eq!(bench.sandbox.control().ledger().len(), before, "nothing left");
    let messages = bench.admin.get(&path).await.expect(200);
    let replies = messages["items"].as_array().unwrap().iter().filter(|message| message["direction"] == "outbound");
    assert_eq!(replies.count(), 0, "nothing was stored");
    bench.stop().await;
}

#[tokio::test]
async fn half_sent_headers_are_cut_off() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let bench = Bench::with(|mut config| {
        config.limits.header_seconds = 1;
        config
    })
    .await;
    let mut stream = tokio::net::TcpStream::connect(bench.server.local_addr()).await.unwrap();
    stream.write_all(b"GET /health/live HTTP/1.1\r\nHost: a\r\n").await.unwrap();
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(std::time::Duration::from_mins(1), stream.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "the connection is still open");

    bench.stop().await;
}

#[tokio::test]
async fn a_head_that_is_too_large_is_431_and_says_by_how_much() {
    let bench = Bench::start().await;
    let client = &bench.admin;
    let id = "0192e4a0-7b5a-7c3e-8f00-000000000001";
    let asking = |ids: usize| format!("/conversations/export?{}", vec![format!("ids={id}"); ids].join("&"));
    // As many as the document allows fit, and are looked for.
    client.get(&asking(500)).await.refused(404, "not_found");
    client.get(&asking(501)).await.refused(400, "parameter_invalid");
    for path in [asking(1_000), "/me".to_owned(), "/nowhere".to_owned()] {
        let long = "x".repeat(if path.len() > 1_000 { 1 } else { 40_000 });
        let problem = client.call(Method::GET, &path, None, &[("x-long", &long)]).await.refused(431, "head_too_large");
        assert!(problem["detail"].as_str().unwrap().ends_with("at most 32768 are taken"), "{problem}");
    }

    bench.stop().await;
}

/// What hyper refuses before there is a request has a body as well.
#[tokio::test]
async fn a_head_that_is_far_too_large_is_the_same_431() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    const TAKEN: usize = 100_000;
    let bench = Bench::with(|mut config| {
        config.limits.headers = TAKEN;
        config
    })
    .await;
    let asked = async |head: String| {
        let mut stream = tokio::net::TcpStream::connect(bench.server.local_addr()).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let long_address = format!("GET /v1/conversations/export?ids={} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(70_000));
    // As much as is read of a head, and no end to it.
    let begun = "GET /health/live HTTP/1.1\r\nHost: a\r\nX: ";
    let headers = format!("{begun}{}", "x".repeat(2 * TAKEN - begun.len()));
    let after_another = format!("GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n{long_address}");
    for (head, before) in [(long_address, 0), (headers, 0), (after_another, 1)] {
        let answer = asked(head).await;
        let answers: Vec<&str> = answer.split("HTTP/1.1 ").skip(1).collect();
        assert_eq!(answers.len(), before + 1, "{answer}");
        let (head, body) = answers[before].split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("431 ") && head.contains("content-type: application/problem+json"), "{head}");
        assert!(head.contains(&format!("content-length: {}", body.len())), "{answer}");
        let problem: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!((&problem["code"], &problem["status"]), (&json!("head_too_large"), &json!(431)));
        let says = "the address and the headers are far too large: at most 100000 bytes of both together are taken";
        assert_eq!(problem["detail"], says);
    }
    bench.stop().await;
}
