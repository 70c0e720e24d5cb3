//! Web chat from the visitors' side, against a service of this file: what a browser says, and what it takes.

use std::sync::{Arc, Mutex};
use std::time::Duration as Patience;

use crate::common::Bench;
use futures_util::{SinkExt, StreamExt};
use rstest::rstest;
use serde_json::{Value, json};
use time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};
use transom_sandbox::platforms::webchat::proof;
use transom_sandbox::{Act, Ask, Because, NewAccount};

const VISITOR: &str = "v_00000000000000000000000000000001";
const SECRET: &str = "what the site proves identities with";

/// A widget, somebody on its site, and the service that it connects to.
struct Site {
    bench: Bench,
    widget: String,
    door: TcpListener,
}

/// A visitor's line, from the service's side.
struct Line {
    stream: WebSocketStream<TcpStream>,
    path: String,
    headers: Vec<(String, String)>,
}

impl Site {
    async fn open() -> Self {
        let bench = Bench::new().await;
        bench.mara();
        let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let hook = format!("http://{}/webhooks/KEY", door.local_addr().unwrap());
        let settings = json!({ "widget": "wgt_1", "origin": "https://shop.example", "identity_secret": SECRET });
        let new = NewAccount::on("webchat").webhook(&hook).settings(settings);
        let widget = bench.control.create_account(new).unwrap().id;
        Self { bench, widget, door }
    }

    fn acts(&self, act: Act) {
        self.bench.control.act(&self.widget, "mara", act).unwrap();
    }

    fn does(&self, kind: &str) {
        self.acts(Act::Other { kind: kind.into(), data: Value::Null });
    }

    fn writes(&self, text: &str) {
        self.acts(Act::Text { text: text.into() });
    }

    /// The next line that a browser opens.
    async fn line(&self) -> Line {
        let (stream, _) = timeout(Patience::from_mins(1), self.door.accept()).await.expect("a line").unwrap();
        let told = Arc::new(Mutex::new((String::new(), Vec::new())));
        let asked = Arc::clone(&told);
        #[expect(clippy::result_large_err, reason = "the library's signature")]
        let callback = move |request: &Request, mut response: Response| {
            let headers = request.headers().iter();
            let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
            *asked.lock().unwrap() = (request.uri().to_string(), headers.collect());
            response.headers_mut().insert("sec-websocket-protocol", "chat.v1.json".parse().unwrap());
            Ok(response)
        };
        let stream = accept_hdr_async(stream, callback).await.unwrap();
        let (path, headers) = told.lock().unwrap().clone();
        Line { stream, path, headers }
    }

    /// A line that has said hello and was welcomed.
    async fn welcomed(&self) -> (Line, Value) {
        let mut line = self.line().await;
        let hello = line.next().await;
        line.welcomes(VISITOR, "ok", 0).await;
        (line, hello)
    }

    fn allowed(&self, ask: &Ask) -> (bool, Option<Because>) {
        let verdict = self.bench.control.would_accept(&self.widget, "mara", ask).unwrap();
        (verdict.allowed, verdict.because)
    }

    fn later(&self, by: Duration) {
        self.bench.control.advance(by);
    }
}

impl Line {
    async fn next(&mut self) -> Value {
        loop {
            let frame = timeout(Patience::from_mins(1), self.stream.next()).await.expect("a frame in time");
            match frame.expect("an open line").unwrap() {
                Message::Text(text) => {
                    let frame: Value = serde_json::from_str(&text).unwrap();
                    if frame["type"] != "ping" {
                        return frame;
                    }
                    self.say(json!({ "type": "pong", "t": frame["t"] })).await;
                }
                Message::Close(_) => return json!({ "type": "closed" }),
                _ => {}
            }
        }
    }

    async fn say(&mut self, frame: Value) {
        self.stream.send(Message::text(frame.to_string())).await.unwrap();
    }

    async fn welcomes(&mut self, visitor: &str, resume: &str, last_seq: u64) {
        self.say(
            json!({ "type": "welcome", "visitor_id": visitor, "token": "vt_1", "verified": false, "resume": resume,
            "server_time": "2026-03-01T09:00:00Z", "last_seq": last_seq, "conversations": [], "settings": {} }),
        )
        .await;
    }

    /// Acknowledges a message of the visitor's.
    async fn acks(&mut self, message: &Value, seq: u64) {
        self.say(
            json!({ "type": "ack", "client_id": message["client_id"], "message_id": format!("m_{seq}"), "seq": seq,
            "created_at": "2026-03-01T09:00:00Z" }),
        )
        .await;
    }

    /// A message of the business.
    async fn sends(&mut self, seq: u64, text: &str, invitation: bool) {
        let message = json!({ "id": format!("m_{seq}"), "from": { "kind": "agent" }, "text": text, "format": "plain",
            "attachments": [], "invitation": invitation, "created_at": "2026-03-01T09:00:00Z" });
        self.say(
            json!({ "type": "message", "seq": seq, "conversation_id": format!("c_{VISITOR}"), "message": message }),
        )
        .await;
    }

    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

#[tokio::test]
async fn a_browser_says_hello_and_comes_back_where_it_was() {
    let site = Site::open().await;
    site.writes("Where is my parcel?");
    let (mut line, hello) = site.welcomed().await;
    assert_eq!(line.path, "/widget/v1/ws?widget=KEY");
    assert_eq!(
        (line.header("origin"), line.header("sec-websocket-protocol")),
        ("https://shop.example", "chat.v1.json")
    );
    assert_eq!((&hello["type"], &hello["v"], &hello["token"]), (&json!("hello"), &json!(1), &Value::Null));
    assert_eq!(hello["profile"]["name"], "Mara K.");
    let message = line.next().await;
    assert_eq!((&message["type"], &message["text"]), (&json!("message"), &json!("Where is my parcel?")));
    assert_eq!(message["client_id"].as_str().unwrap().len(), 36, "a UUID");
    line.acks(&message, 1).await;
    site.bench.settled().await;

    // The line breaks: the next one has the token and the place, and says nothing twice.
    drop(line);
    let mut line = site.line().await;
    let hello = line.next().await;
    assert_eq!((&hello["token"], &hello["last_seq"]), (&json!("vt_1"), &json!(1)));
    line.welcomes(VISITOR, "ok", 1).await;
    site.writes("Hello?");
    assert_eq!(line.next().await["text"], "Hello?");
}

#[tokio::test]
async fn what_was_refused_for_its_haste_is_said_again_under_the_same_key() {
    let site = Site::open().await;
    site.writes("Too fast");
    let (mut line, _) = site.welcomed().await;
    let first = line.next().await;
    line.say(json!({ "type": "error", "code": "rate_limited", "message": "", "client_id": first["client_id"], "retry_after": 1 }))
        .await;
    let again = line.next().await;
    assert_eq!(again, first);
    line.acks(&again, 1).await;
    site.bench.settled().await;
}

#[tokio::test]
async fn what_a_visitor_may_be_sent_is_booked_acknowledged_and_read() {
    let site = Site::open().await;
    site.writes("Hi");
    let (mut line, _) = site.welcomed().await;
    let message = line.next().await;
    line.acks(&message, 1).await;
    line.sends(2, "Hello", false).await;
    let ack = line.next().await;
    assert_eq!((&ack["type"], &ack["seq"]), (&json!("ack"), &json!(2)));
    let ledger = site.bench.control.ledger();
    assert_eq!((ledger.len(), ledger[0].text.as_str(), ledger[0].provider_ids[0].as_str()), (1, "Hello", "m_2"));
    // Delivered once, booked once.
    line.sends(2, "Hello", false).await;
    site.acts(Act::Read);
    let mut frame = line.next().await;
    while frame["type"] != "read" {
        frame = line.next().await;
    }
    assert_eq!(frame["up_to"], "m_2");
    assert_eq!(site.bench.control.ledger().len(), 1);
}

#[tokio::test]
async fn a_stranger_is_invited_once_a_day_and_not_after_a_refusal() {
    let site = Site::open().await;
    let invitation = Ask::tagged("invitation");
    assert_eq!(site.allowed(&invitation), (false, Some(Because::WindowClosed)), "nobody is there");
    assert_eq!(site.allowed(&Ask::free_form()), (false, Some(Because::NeverOpened)));
    site.does("visit");
    let (mut line, _) = site.welcomed().await;
    assert_eq!(site.allowed(&invitation), (true, None));
    assert_eq!(site.allowed(&Ask::free_form()), (false, Some(Because::NeverOpened)));
    // What a stranger may not be sent shows as a refused call.
    line.sends(1, "Buy!", false).await;
    line.sends(2, "May I help?", true).await;
    assert_eq!(line.next().await["seq"], 2);
    let sent: Vec<String> = site.bench.control.ledger().into_iter().map(|send| send.text).collect();
    assert_eq!(sent, ["May I help?"]);
    let refused = site.bench.control.calls();
    assert_eq!(refused.iter().filter(|call| call.status == Some(403)).count(), 1, "{refused:?}");
    assert_eq!(site.allowed(&invitation), (false, Some(Because::Quota)));

    site.acts(Act::OptOut);
    let end = line.next().await;
    assert_eq!((&end["type"], &end["conversation_id"]), (&json!("end"), &json!(format!("c_{VISITOR}"))));
    for (wait, because) in [(Duration::days(2), Because::WindowClosed), (Duration::days(6), Because::WindowClosed)] {
        site.later(wait);
        site.does("visit");
        assert_eq!(site.allowed(&invitation), (false, Some(because)), "after {wait}");
    }
}

#[tokio::test]
async fn the_site_says_who_somebody_is_and_a_browser_forgets_them() {
    let site = Site::open().await;
    site.does("identify");
    let mut line = site.line().await;
    let hello = line.next().await;
    assert_eq!(hello["identity"], json!({ "external_id": "mara", "user_hash": proof(SECRET, "mara") }));
    line.welcomes("x:mara", "reset", 0).await;
    assert_eq!(site.allowed(&Ask::free_form()), (true, None), "the site knows them, though they never wrote");

    site.does("forget");
    assert_eq!(line.next().await["type"], "closed");
    site.does("visit");
    let hello = site.line().await.next().await;
    assert_eq!((hello.get("identity"), &hello["token"]), (None, &Value::Null), "somebody new");
}

#[rstest]
#[case("blocked")]
#[case("origin_not_allowed")]
#[tokio::test]
async fn who_is_sent_away_stays_away(#[case] code: &str) {
    let site = Site::open().await;
    site.writes("Hi");
    let mut line = site.line().await;
    line.next().await;
    line.say(json!({ "type": "error", "code": code, "message": "" })).await;
    assert_eq!(line.next().await["type"], "closed");
    site.bench.settled().await;
    let blocked = site.bench.control.would_accept(&site.widget, "mara", &Ask::free_form()).unwrap().blocked;
    assert_eq!(blocked, code == "blocked");
}

#[tokio::test]
async fn what_a_visitor_can_not_do_is_said() {
    let site = Site::open().await;
    let refused = |act: Act| site.bench.control.act(&site.widget, "mara", act).unwrap_err().to_string();
    assert!(refused(Act::Other { kind: "dance".into(), data: Value::Null }).contains("not `dance`"));
    assert!(refused(Act::OptOut).contains("visit or write first"));
    assert!(refused(Act::Location { latitude: 0.0, longitude: 0.0, name: None, address: None }).contains("visitor"));
}
