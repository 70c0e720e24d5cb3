//! What a visitor does not come to read goes to them by email: over the sandbox's SMTP, with the clock moved.

use futures_util::future::join_all;
use serde_json::{Value, json};
use time::Duration;
use transom_desk::fallback::write_due;
use transom_domain::SettableClock;
use transom_sandbox::{Act, NewCustomer, Send};
use transom_storage::both_databases;
use transom_storage::test_support::TestDatabase;
use transom_tests::Stage;

use crate::webchat::site::{ORIGIN, Socket, client_id};

/// Nora's address at the sandbox.
const NORA: &str = "nora@example.test";

/// A shop whose chat falls back on its mailbox after five minutes.
struct Shop {
    stage: Stage,
    socket: String,
}

impl Shop {
    async fn open(db: TestDatabase) -> Self {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        stage.world.control().create_customer(NewCustomer::named("nora", "Nora Lind", "+46700000007")).unwrap();
        let chat = stage.world.account("webchat").unwrap().ours.clone();
        let key = stage.world.desk().storage().public_id(&stage.world.caller.scope, chat.connection);
        let socket = format!("{}/widget/v1/ws?widget={key}", stage.world.server.base_url());
        let shop = Self { stage, socket };
        let email = shop.stage.world.account("email").unwrap().ours.id;
        shop.configured(json!({ "fallback_channel": email, "fallback_minutes": "5" }), 200).await;
        shop
    }

    async fn configured(&self, settings: Value, status: u16) -> Value {
        let chat = self.stage.world.account("webchat").unwrap().ours.id;
        let reply = self.stage.api.patch(&format!("/channels/{chat}"), json!({ "settings": settings })).await.unwrap();
        reply.expect(status).unwrap().body
    }

    async fn visit(&self, hello: Value) -> (Socket, Value) {
        let mut socket = Socket::open(&self.socket, Some(ORIGIN)).await.unwrap();
        let welcome = socket.hello(hello).await;
        (socket, welcome)
    }

    /// A visitor writes, leaves an address if there is one, and goes. Their token, and the conversation.
    async fn wrote(&self, text: &str, address: Option<&str>) -> (Value, String) {
        let (mut socket, welcome) = self.visit(json!({})).await;
        if let Some(address) = address {
            socket.say(json!({ "type": "email", "address": address })).await;
        }
        socket.say(json!({ "type": "message", "client_id": client_id(1), "text": text })).await;
        socket.next_of("ack").await;
        self.stage.quiet().await.unwrap();
        (welcome["token"].clone(), self.conversation(text).await)
    }

    async fn conversation(&self, preview: &str) -> String {
        let list = self.stage.api.get("/conversations?tab=all&limit=100").await.unwrap().expect(200).unwrap().body;
        let found = list["items"].as_array().unwrap().iter().find(|found| found["preview"] == preview);
        found.unwrap_or_else(|| panic!("{list}"))["id"].as_str().unwrap().to_owned()
    }

    /// An agent writes; the message's id, once the visitor's mailbox has it.
    async fn writes(&self, conversation: &str, text: &str) -> String {
        let path = format!("/conversations/{conversation}/messages");
        let sent = self.stage.api.post(&path, json!({ "type": "reply", "text": text })).await.unwrap();
        let id = sent.expect(202).unwrap().text("/id").unwrap().to_owned();
        assert_eq!(self.stage.settled(&id).await.unwrap()["state"], "sent");
        id
    }

    /// Time goes by; how many letters are due after it, written by several at once, and all of them sent.
    async fn after(&self, minutes: i64) -> usize {
        let before = self.letters().len();
        self.stage.world.clock.advance(Duration::minutes(minutes));
        let desk = self.stage.world.desk();
        join_all((0..4).map(|_| write_due(desk))).await.into_iter().for_each(|written| {
            written.unwrap();
        });
        self.stage.quiet().await.unwrap();
        // The ledger has them once they are settled.
        for letter in self.written().await {
            self.stage.settled(&letter).await.unwrap();
        }
        self.letters().len() - before
    }

    /// Every letter that was written, whether it left or not.
    async fn written(&self) -> Vec<String> {
        let email = self.stage.world.account("email").unwrap().ours.id;
        let path = format!("/conversations?tab=all&limit=100&channel={email}");
        let list = self.stage.api.get(&path).await.unwrap().expect(200).unwrap().body;
        let mut letters = Vec::new();
        for conversation in list["items"].as_array().unwrap() {
            let path = format!("/conversations/{}/messages?limit=100", conversation["id"].as_str().unwrap());
            let list = self.stage.api.get(&path).await.unwrap().expect(200).unwrap().body;
            let ours = list["items"].as_array().unwrap().iter().filter(|message| message["direction"] == "outbound");
            letters.extend(ours.map(|message| message["id"].as_str().unwrap().to_owned()));
        }
        letters
    }

    /// The letters that reached anybody.
    fn letters(&self) -> Vec<Send> {
        let ledger = self.stage.world.control().ledger();
        ledger.into_iter().filter(|send| send.platform == "email").collect()
    }

    /// What the history of a conversation says of this kind.
    async fn lines(&self, conversation: &str, kind: &str) -> Vec<Value> {
        let path = format!("/conversations/{conversation}/messages?limit=100");
        let list = self.stage.api.get(&path).await.unwrap().expect(200).unwrap().body;
        let lines = list["items"].as_array().unwrap().iter().filter(|line| line["activity"] == kind);
        lines.map(|line| line["activity_data"].clone()).collect()
    }

    async fn close(self) {
        self.stage.strike().await;
    }
}

both_databases! {
    async fn what_a_visitor_does_not_come_to_read_reaches_them_in_one_letter(db: TestDatabase) {
        let shop = Shop::open(db).await;
        let (token, chat) = shop.wrote("Where is my parcel?", Some(NORA)).await;
        let first = shop.writes(&chat, "It left today.").await;
        let second = shop.writes(&chat, "It has the number 7.").await;
        assert_eq!(shop.after(4).await, 0, "they may still come");
        let due = shop.after(2).await;
        assert_eq!(due, 1, "{:?}", shop.lines(&chat, "message.not_brought").await);
        let letter = shop.letters().remove(0);
        assert_eq!((letter.customer.as_str(), letter.text.as_str()), ("nora", "It left today.\n\nIt has the number 7."));
        assert_eq!(letter.body["subject"], "Acme");
        assert!(letter.body["headers"].to_string().contains("auto-generated"), "{}", letter.body);
        assert_eq!(shop.after(60).await, 0, "once is enough");

        // Both histories say how they hang together.
        let brought = shop.lines(&chat, "message.brought").await.remove(0);
        assert_eq!((&brought["messages"], &brought["from"]), (&json!([first, second]), &json!(chat)));
        let letters = brought["to"].as_str().unwrap().to_owned();
        assert_ne!(letters, chat);
        assert_eq!(shop.lines(&letters, "message.brought").await, std::slice::from_ref(&brought));

        // The answer by mail belongs to the letters, and the chat knows of it.
        let email = shop.stage.world.account("email").unwrap();
        shop.stage.world.control().act(&email.at_sandbox, "nora", Act::Text { text: "Thank you!".into() }).unwrap();
        shop.stage.quiet().await.unwrap();
        assert_eq!(shop.conversation("Re: Acme").await, letters);
        let answered = shop.lines(&chat, "message.answered").await.remove(0);
        assert_eq!((&answered["letter"], &answered["conversation"]), (&brought["letter"], &json!(letters)));

        // Until they come again, no other letter; then a new one goes into the thread, with what is new.
        shop.writes(&chat, "Anything else?").await;
        assert_eq!(shop.after(10).await, 0);
        let (socket, welcome) = shop.visit(json!({ "token": token })).await;
        assert_eq!(welcome["last_seq"], 4, "the chat still has all of it");
        drop(socket);
        shop.writes(&chat, "Bye, then.").await;
        assert_eq!(shop.after(6).await, 1);
        let next = shop.letters().remove(1);
        assert_eq!((next.text.as_str(), &next.body["subject"]), ("Bye, then.", &json!("Re: Acme")));
        assert_eq!(shop.lines(&letters, "message.brought").await.len(), 2);
        shop.close().await;
    }

    async fn who_is_here_or_has_read_it_gets_no_letter(db: TestDatabase) {
        let shop = Shop::open(db).await;
        let (token, chat) = shop.wrote("Hello?", Some(NORA)).await;
        let (mut socket, _) = shop.visit(json!({ "token": token, "last_seq": 1 })).await;
        shop.writes(&chat, "Hello!").await;
        let shown = socket.next_of("message").await;
        // The page stays open for ten minutes, and nobody looks.
        for _ in 0..20 {
            socket.say(json!({ "type": "ping", "t": 0 })).await;
            socket.next_of("pong").await;
            shop.stage.world.clock.advance(Duration::seconds(30));
        }
        assert_eq!(shop.after(0).await, 0, "they are here");
        socket.say(json!({ "type": "read", "conversation_id": shown["conversation_id"], "up_to": shown["message"]["id"] })).await;
        socket.say(json!({ "type": "ping", "t": 1 })).await;
        socket.next_of("pong").await;
        drop(socket);
        shop.stage.quiet().await.unwrap();
        assert_eq!(shop.after(60).await, 0, "they have read it");

        // Seen by nobody, and gone: what came while the page was open is brought, too.
        let (mut socket, _) = shop.visit(json!({ "token": token })).await;
        shop.writes(&chat, "Still there?").await;
        socket.next_of("message").await;
        socket.say(json!({ "type": "ack", "seq": 3 })).await;
        socket.say(json!({ "type": "ping", "t": 2 })).await;
        socket.next_of("pong").await;
        drop(socket);
        assert_eq!(shop.after(6).await, 1);
        assert_eq!(shop.letters().remove(0).text, "Still there?");
        shop.close().await;
    }

    async fn without_an_address_or_a_wish_for_it_nothing_is_brought(db: TestDatabase) {
        let shop = Shop::open(db).await;
        let (_, nobody) = shop.wrote("No address", None).await;
        let (token, ends) = shop.wrote("I end it", Some(NORA)).await;
        let (mut socket, welcome) = shop.visit(json!({ "token": token, "last_seq": 1 })).await;
        socket.say(json!({ "type": "end", "conversation_id": welcome["conversations"][0]["id"] })).await;
        socket.next_of("conversation").await;
        drop(socket);
        shop.stage.quiet().await.unwrap();
        shop.writes(&nobody, "Hello, nobody").await;
        shop.writes(&ends, "Goodbye").await;
        assert_eq!(shop.after(10).await, 0);

        // Switched off, and on again a day later: what is old stays where it is.
        let (_, late) = shop.wrote("Too late", Some(NORA)).await;
        shop.configured(json!({ "fallback_channel": "" }), 200).await;
        shop.writes(&late, "An answer").await;
        assert_eq!(shop.after(25 * 60).await, 0);
        let email = shop.stage.world.account("email").unwrap().ours.id;
        shop.configured(json!({ "fallback_channel": email }), 200).await;
        assert_eq!(shop.after(1).await, 0);

        let chat = shop.stage.world.account("webchat").unwrap().ours.id;
        for wrong in [json!(chat), json!("01890a5d-ac96-774b-bcce-b302099a8057")] {
            assert_eq!(shop.configured(json!({ "fallback_channel": wrong }), 422).await["code"], "fallback_unknown");
        }
        shop.close().await;
    }

    async fn who_ended_the_chat_and_writes_again_is_brought_letters_again(db: TestDatabase) {
        let shop = Shop::open(db).await;
        let (token, chat) = shop.wrote("Where is it?", Some(NORA)).await;
        let (mut socket, welcome) = shop.visit(json!({ "token": token, "last_seq": 1 })).await;
        socket.say(json!({ "type": "end", "conversation_id": welcome["conversations"][0]["id"] })).await;
        socket.next_of("conversation").await;
        shop.stage.quiet().await.unwrap();
        shop.writes(&chat, "Never mind, then.").await;
        assert_eq!(shop.after(10).await, 0, "they wanted no more");
        socket.say(json!({ "type": "message", "client_id": client_id(2), "text": "It is still not here" })).await;
        socket.next_of("ack").await;
        drop(socket);
        shop.stage.quiet().await.unwrap();
        shop.writes(&chat, "It comes tomorrow.").await;
        assert_eq!(shop.after(10).await, 1, "{:?}", shop.lines(&chat, "message.not_brought").await);
        assert_eq!(shop.letters().remove(0).text, "It comes tomorrow.");
        shop.close().await;
    }

    async fn where_no_letter_may_go_the_history_says_why(db: TestDatabase) {
        let shop = Shop::open(db).await;
        let (_, chat) = shop.wrote("Where is it?", Some(NORA)).await;
        let email = shop.stage.world.account("email").unwrap().ours.id;
        let off = json!({ "enabled": false });
        shop.stage.api.patch(&format!("/channels/{email}"), off).await.unwrap().expect(200).unwrap();
        let message = shop.writes(&chat, "On its way.").await;
        assert_eq!(shop.after(10).await, 0);
        let lines = shop.lines(&chat, "message.not_brought").await;
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert_eq!((&lines[0]["code"], &lines[0]["messages"]), (&json!("account_disabled"), &json!([message])));
        assert_eq!(shop.after(10).await, 0);
        assert_eq!(shop.lines(&chat, "message.not_brought").await.len(), 1);
        shop.close().await;
    }
}
