//! The HTTP client over real sockets: what is known after each way to fail.

use std::time::Duration;

use crate::server::{Reply, Server};
use reqwest::Method;
use rstest::rstest;
use serde_json::json;
use transom_channel::SendError;
use transom_channel::http::{HttpClient, Phase, TransportError};

const TOKEN: &str = "123456:AAF-very-secret";

fn client() -> HttpClient {
    HttpClient::with_total_timeout(Duration::from_millis(500)).unwrap()
}

/// Posts to a path with a token in it, as some platforms want it.
async fn post(address: &str) -> Result<transom_channel::http::HttpAnswer, TransportError> {
    let client = client();
    let request =
        client.request(Method::POST, &format!("{address}/bot{TOKEN}/send")).json(&json!({"text": "private words"}));
    client.execute(request).await
}

#[tokio::test]
async fn an_answer_is_read_whole() {
    let server = Server::start(|_| Reply::Answer {
        status: 429,
        headers: vec![("retry-after", "7200".into()), ("content-type", "application/json".into())],
        body: br#"{"ok":false}"#.to_vec(),
    })
    .await;
    let answer = post(&server.address).await.unwrap();
    assert_eq!((answer.status, answer.is_success()), (429, false));
    assert_eq!(answer.json::<serde_json::Value>(), Some(json!({"ok": false})));
    // At most an hour, whatever the platform says.
    assert_eq!(answer.retry_after_ms(), Some(3_600_000));
    let request = &server.requests()[0];
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/bot123456:AAF-very-secret/send"));
    assert!(request.header("user-agent").unwrap().starts_with("transom/"), "{request:?}");
}

#[rstest]
#[case::lost(Reply::Nothing, Phase::Written)]
#[case::late(Reply::Late(Duration::from_secs(3), Box::new(Reply::text(200, "late"))), Phase::Written)]
#[case::broken_off(Reply::Short { promised: 100, body: b"{\"ok\":tr".to_vec() }, Phase::Answered)]
#[case::too_long(Reply::Answer { status: 200, headers: Vec::new(), body: vec![b'x'; 1024 * 1024 + 1] }, Phase::Answered)]
#[tokio::test]
async fn what_may_have_arrived_is_unknown_and_asked_once(#[case] reply: Reply, #[case] phase: Phase) {
    let server = Server::start(move |_| reply.clone()).await;
    let error = post(&server.address).await.unwrap_err();
    assert_eq!(error.phase, phase, "{error}");
    assert_eq!(server.requests().len(), 1, "a lost answer is never asked for again");
    assert!(matches!(SendError::from(error), SendError::OutcomeUnknown { .. }));
}

#[tokio::test]
async fn a_lost_answer_on_a_used_connection_is_not_asked_again() {
    let server = Server::start(|request| match request.path.as_str() {
        "/first" => Reply::text(200, "ok"),
        _ => Reply::Nothing,
    })
    .await;
    let client = client();
    let get = |path: &str| client.request(Method::POST, &format!("{}{path}", server.address)).body("x");
    client.execute(get("/first")).await.unwrap();
    let error = client.execute(get("/second")).await.unwrap_err();
    assert_eq!((error.phase, server.requests().len()), (Phase::Written, 2));
}

#[tokio::test]
async fn nothing_was_written_where_nobody_listens() {
    let closed = Server::start(|_| Reply::Nothing).await.address.clone();
    // The server is gone, and its port with it.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let error = post(&closed).await.unwrap_err();
    assert_eq!(error.phase, Phase::NothingWritten, "{error}");
    assert!(matches!(SendError::from(error), SendError::NotConnected { .. }));
}

#[tokio::test]
async fn nothing_was_written_where_the_name_is_unknown_or_the_address_is_none() {
    for address in ["http://no-such-host.invalid", "not an address"] {
        let error = post(address).await.unwrap_err();
        assert_eq!(error.phase, Phase::NothingWritten, "{address}: {error}");
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let elsewhere = Server::start(|_| Reply::text(200, "token, please")).await;
    let location = format!("{}/elsewhere", elsewhere.address);
    let server = Server::start(move |_| Reply::Answer {
        status: 307,
        headers: vec![("location", location.clone())],
        body: Vec::new(),
    })
    .await;
    assert_eq!(post(&server.address).await.unwrap().status, 307);
    assert!(elsewhere.requests().is_empty(), "a token must not travel to where a redirect points");
}

#[tokio::test]
async fn a_download_stops_at_its_own_limit() {
    let server = Server::start(|_| Reply::Answer { status: 200, headers: Vec::new(), body: vec![7; 2_000] }).await;
    let client = client();
    let get = || client.request(Method::GET, &server.address);
    assert_eq!(client.execute_up_to(get(), 2_000).await.unwrap().body.len(), 2_000);
    let error = client.execute_up_to(get(), 1_999).await.unwrap_err();
    assert_eq!((error.phase, error.detail.contains("1999")), (Phase::Answered, true));
}

#[tokio::test]
async fn errors_show_no_address_no_token_and_no_text() {
    let silent = Server::start(|_| Reply::Late(Duration::from_secs(3), Box::new(Reply::Nothing))).await;
    let lost = Server::start(|_| Reply::Nothing).await;
    let short = Server::start(|_| Reply::Short { promised: 9, body: b"x".to_vec() }).await;
    let addresses =
        ["http://127.0.0.1:9", "http://no-such-host.invalid", &silent.address, &lost.address, &short.address];
    for address in addresses {
        let error = post(address).await.unwrap_err();
        let shown = format!("{error} {error:?} {:?}", SendError::from(error.clone()));
        for private in ["127.0.0.1", "no-such-host", TOKEN, "bot123", "private words"] {
            assert!(!shown.contains(private), "{shown}");
        }
    }
}
