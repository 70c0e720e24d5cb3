//! The client against a real socket: what is written, and what each answer means.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests may fail loudly"
)]

use std::time::Duration;

use bytes::Bytes;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use transom_channel::http::HttpClient;
use transom_channel::{Ports, SendError};
use transom_meta::{ApiVersion, Graph, GraphFailure, Upload, classify};

/// A server that gives these answers, one a connection, and tells what it was asked.
struct Server {
    base: String,
    asked: UnboundedReceiver<String>,
}

impl Server {
    async fn answering(answers: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (tell, asked) = unbounded_channel();
        tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                tell.send(request(&mut stream).await).unwrap();
                stream.write_all(answer.as_bytes()).await.unwrap();
                stream.shutdown().await.unwrap();
            }
        });
        Self { base, asked }
    }

    fn graph(&self) -> Graph {
        let http = HttpClient::with_total_timeout(Duration::from_secs(5)).unwrap();
        let ports = Ports { http, ..Ports::system().unwrap() };
        Graph::new(&ports, &self.base, ApiVersion::default(), SecretString::from("EAAinvented".to_owned()))
    }

    async fn request(&mut self) -> String {
        self.asked.recv().await.unwrap()
    }
}

/// Reads one request: the head, then as many bytes as it announces.
async fn request(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    loop {
        let mut buffer = [0; 4096];
        let n = stream.read(&mut buffer).await.unwrap();
        read.extend_from_slice(&buffer[..n]);
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let announced = head
                .lines()
                .filter_map(|line| line.split_once(": "))
                .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                .map_or(0, |(_, length)| length.parse().unwrap());
            if body.len() >= announced {
                return text;
            }
        }
        assert!(n > 0, "the request broke off");
    }
}

fn answer(status: u16, headers: &[&str], body: &str) -> String {
    let headers: String = headers.iter().flat_map(|header| [*header, "\r\n"]).collect();
    format!("HTTP/1.1 {status} Words\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

fn ok(body: &Value) -> String {
    answer(200, &["Content-Type: application/json"], &body.to_string())
}

#[tokio::test]
async fn requests_carry_version_token_and_body() {
    let mut server =
        Server::answering(vec![ok(&json!({"id": "1"})), ok(&json!({"messages": []})), ok(&json!({"success": true}))])
            .await;
    let graph = server.graph();

    let _: Value = graph.get("1", &[("fields", "id,name")]).await.unwrap();
    let asked = server.request().await;
    assert!(asked.starts_with("GET /v25.0/1?fields=id%2Cname HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("authorization: Bearer EAAinvented\r\n"), "{asked}");

    let _: Value = graph.post("1/messages", &json!({"to": "+4915550100001"})).await.unwrap();
    let asked = server.request().await;
    assert!(
        asked.starts_with("POST /v25.0/1/messages HTTP/1.1\r\n") && asked.ends_with(r#"{"to":"+4915550100001"}"#),
        "{asked}"
    );
    assert!(asked.contains("content-type: application/json\r\n"), "{asked}");

    let _: Value = graph.delete("media1").await.unwrap();
    assert!(server.request().await.starts_with("DELETE /v25.0/media1 HTTP/1.1\r\n"));
}

#[tokio::test]
async fn a_file_goes_up_as_a_form() {
    let mut server = Server::answering(vec![ok(&json!({"id": "media1"}))]).await;
    let file =
        Upload { bytes: Bytes::from_static(b"%PDF-1.7 words"), mime: "application/pdf", file_name: "invoice.pdf" };
    let up: Value = server.graph().upload("1/media", &[("messaging_product", "whatsapp")], file).await.unwrap();
    assert_eq!(up["id"], "media1");
    let asked = server.request().await;
    assert!(asked.contains("content-type: multipart/form-data; boundary="), "{asked}");
    assert!(asked.contains("name=\"messaging_product\"\r\n\r\nwhatsapp\r\n"), "{asked}");
    assert!(asked.contains("name=\"file\"; filename=\"invoice.pdf\"\r\nContent-Type: application/pdf\r\n"), "{asked}");
    assert!(asked.contains("%PDF-1.7 words"), "{asked}");
}

#[tokio::test]
async fn a_refusal_is_read_whatever_the_status() {
    let error =
        json!({"error": {"message": "(#131056) pair rate", "code": 131_056, "error_data": {"details": "slow down"}}})
            .to_string();
    let usage = r#"X-Business-Use-Case-Usage: {"7":[{"call_count":100,"estimated_time_to_regain_access":2}]}"#;
    let server = Server::answering(vec![answer(400, &[usage], &error), answer(200, &["Retry-After: 7"], &error)]).await;
    let graph = server.graph();
    for expected in [120_000, 7_000] {
        let failure = graph.post::<Value>("1/messages", &json!({})).await.unwrap_err();
        let GraphFailure::Refused(refusal) = failure else { panic!("{failure:?}") };
        assert_eq!((refusal.error.code, refusal.wish_ms), (131_056, Some(expected)));
        assert_eq!(refusal.error.message, "(#131056) pair rate: slow down");
    }
}

#[tokio::test]
async fn unreadable_answers_are_no_refusals() {
    let page = "<html>Bad Gateway</html>";
    let cut = answer(200, &[], r#"{"messages":[{"id":"wamid.1"}]}"#).replace("Length: 31", "Length: 400");
    let redirect = answer(302, &["Location: https://elsewhere.example/"], "");
    let server = Server::answering(vec![answer(502, &[], page), answer(200, &[], page), cut, redirect]).await;
    let graph = server.graph();
    for what in ["gateway", "garbage", "cut", "redirect"] {
        let error = graph.post::<Value>("1/messages", &json!({})).await.unwrap_err().of_send(classify);
        assert!(matches!(error, SendError::OutcomeUnknown { .. }), "{what}: {error:?}");
    }
}

#[tokio::test]
async fn nobody_there_is_not_connected() {
    let server = Server::answering(Vec::new()).await;
    let graph = server.graph();
    drop(server);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let error = graph.post::<Value>("1/messages", &json!({})).await.unwrap_err().of_send(classify);
    assert!(matches!(error, SendError::NotConnected { .. }), "{error:?}");
}

#[tokio::test]
async fn lists_are_read_to_their_end() {
    let page = |entry: u8, after: &str| {
        ok(
            &json!({"data": [entry], "paging": {"cursors": {"before": "x", "after": after}, "next": "https://elsewhere.example/?access_token=EAA"}}),
        )
    };
    let last = ok(&json!({"data": [3], "paging": {"cursors": {"after": "c3"}}}));
    let mut server = Server::answering(vec![page(1, "c1"), page(2, "c2"), last]).await;
    let entries = server.graph().list("7/message_templates", &[("limit", "100")], 10).await.unwrap();
    assert_eq!(entries, [1, 2, 3]);
    assert!(server.request().await.starts_with("GET /v25.0/7/message_templates?limit=100 "));
    assert!(server.request().await.starts_with("GET /v25.0/7/message_templates?limit=100&after=c1 "));
    assert!(server.request().await.starts_with("GET /v25.0/7/message_templates?limit=100&after=c2 "));
}

#[tokio::test]
async fn lists_without_end_are_refused() {
    let page = |after: &str| {
        ok(&json!({"data": [1], "paging": {"cursors": {"after": after}, "next": "https://elsewhere.example/"}}))
    };
    let circle = Server::answering(vec![page("c1"), page("c1")]).await;
    assert_eq!(circle.graph().list("7/x", &[], 10).await, Err(GraphFailure::Endless { pages: 10 }));
    let long = Server::answering(vec![page("c1"), page("c2")]).await;
    assert_eq!(long.graph().list("7/x", &[], 2).await, Err(GraphFailure::Endless { pages: 2 }));
}

#[tokio::test]
async fn the_token_goes_to_graphs_addresses_only() {
    let mut server =
        Server::answering(vec![answer(200, &[], "bytes"), answer(200, &[], "more bytes"), answer(404, &[], "")]).await;
    let graph = server.graph();
    let url = format!("{}/lookaside/1", server.base);
    assert_eq!(graph.download(&url, 100).await.unwrap().body, "bytes");
    assert!(server.request().await.contains("authorization: Bearer EAAinvented\r\n"));
    assert!(matches!(graph.download(&url, 5).await, Err(GraphFailure::Transport(_))));
    assert!(matches!(graph.download(&url, 5).await, Err(GraphFailure::Unreadable { status: 404, .. })));
    for elsewhere in ["http://elsewhere.example/1", "http://127.0.0.1:1/1", "file:///etc/hosts", "1"] {
        assert!(
            matches!(graph.download(elsewhere, 5).await, Err(GraphFailure::Unreadable { status: 200, .. })),
            "{elsewhere}"
        );
    }
}

/// A webhook names the address: whoever holds the secret could ask for what only we can reach (reliability.md 15).
#[tokio::test]
async fn files_inside_of_the_network_are_not_fetched() {
    let mut server =
        Server::answering(vec![answer(200, &[], "bytes"), answer(302, &["location: https://127.0.0.1/secret"], "")])
            .await;
    let graph = server.graph();
    assert_eq!(graph.fetch(&format!("{}/1", server.base), 100).await.unwrap().body, "bytes");
    assert!(!server.request().await.contains("authorization"));
    for inside in [format!("{}/2", server.base), "https://127.0.0.1/1".to_owned(), "https://[::ffff:a00:1]/".to_owned()]
    {
        match graph.fetch(&inside, 100).await {
            Err(GraphFailure::Transport(error)) => assert!(error.detail.contains("outside.allow"), "{error}"),
            other => panic!("{inside}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn debug_shows_no_token() {
    let server = Server::answering(Vec::new()).await;
    assert!(!format!("{:?}", server.graph()).contains("EAAinvented"));
}
