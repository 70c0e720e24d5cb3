//! What visitors and agents do, and what the other side sees of it.

use serde_json::{Value, json};
use transom_storage::both_databases;

use crate::webchat::site::{ORIGIN, Site, Socket, browser, client_id, user_hash};

both_databases! {
    async fn a_visitor_writes_and_hears_the_answer(db: TestDatabase) {
        let site = Site::open(&db).await;
        let (mut socket, welcome) = site.visit(json!({"page": {"url": "https://shop.example/cart"}})).await;
        assert!(welcome["token"].as_str().unwrap().starts_with("vt_") && welcome["verified"] == false, "{welcome}");
        let presence = socket.next().await;
        assert_eq!((&presence["type"], &presence["online"]), (&json!("presence"), &json!(true)));

        socket.say(json!({"type": "message", "client_id": client_id(1), "text": "Hi\u{0} there"})).await;
        let ack = socket.next().await;
        assert_eq!((&ack["type"], &ack["client_id"], &ack["seq"]), (&json!("ack"), &json!(client_id(1)), &json!(1)));
        let conversation = site.conversation().await;
        let heard = site.heard(&conversation, 1).await.remove(0);
        assert_eq!(heard["content"]["text"], "Hi there", "{heard}");

        let message = site.writes(&conversation, json!({"text": "Hello"})).await;
        let answer = socket.next_of("message").await;
        assert_eq!((&answer["seq"], &answer["message"]["text"]), (&json!(2), &json!("Hello")));
        assert_eq!(answer["message"]["from"], json!({ "kind": "agent", "name": "Ada" }));
        site.becomes(&message, "sent").await;
        socket.say(json!({"type": "ack", "seq": 2})).await;
        site.becomes(&message, "delivered").await;
        let (id, up_to) = (&answer["conversation_id"], &answer["message"]["id"]);
        socket.say(json!({"type": "read", "conversation_id": id, "up_to": up_to})).await;
        site.becomes(&message, "read").await;
        site.close().await;
    }

    async fn a_resumed_visitor_misses_nothing_and_gets_nothing_twice(db: TestDatabase) {
        let site = Site::open(&db).await;
        let (mut socket, welcome) = site.visit(json!({})).await;
        let token = welcome["token"].clone();
        socket.say(json!({"type": "message", "client_id": client_id(1), "text": "first"})).await;
        let first = socket.next_of("ack").await;
        let conversation = site.conversation().await;
        site.writes(&conversation, json!({"text": "seen"})).await;
        assert_eq!(socket.next_of("message").await["seq"], 2);
        drop(socket);
        for text in ["one", "two", "three"] {
            let message = site.writes(&conversation, json!({"text": text})).await;
            site.becomes(&message, "sent").await;
        }

        let (mut socket, welcome) = site.visit(json!({"token": token, "last_seq": 2})).await;
        assert_eq!((&welcome["resume"], &welcome["last_seq"], &welcome["token"]), (&json!("ok"), &json!(5), &Value::Null));
        let mut missed = Vec::new();
        for _ in 0..3 {
            let frame = socket.next_of("message").await;
            missed.push((frame["seq"].as_u64().unwrap(), frame["message"]["text"].as_str().unwrap().to_owned()));
        }
        assert_eq!(missed, [(3, "one".into()), (4, "two".into()), (5, "three".into())]);
        // What was written before is written once, and its ack is the first one.
        socket.say(json!({"type": "message", "client_id": client_id(1), "text": "first"})).await;
        assert_eq!(socket.next_of("ack").await, first);
        socket.say(json!({"type": "message", "client_id": client_id(2), "text": "second"})).await;
        assert_eq!(socket.next_of("ack").await["seq"], 6);
        let texts: Vec<Value> = site.heard(&conversation, 2).await.iter().map(|m| m["content"]["text"].clone()).collect();
        assert_eq!(texts, ["first", "second"]);

        // A number that the mailbox never gave: begin anew.
        let (_other, welcome) = site.visit(json!({"token": token, "last_seq": 99})).await;
        assert_eq!(welcome["resume"], "reset");
        site.close().await;
    }

    async fn every_tab_sees_the_same_and_the_history_tells_the_rest(db: TestDatabase) {
        let site = Site::open(&db).await;
        let (mut one, welcome) = site.visit(json!({})).await;
        let (mut two, _) = site.visit(json!({"token": welcome["token"]})).await;
        one.say(json!({"type": "message", "client_id": client_id(1), "text": "from the first tab"})).await;
        let echo = two.next_of("message").await;
        assert_eq!((&echo["message"]["from"]["kind"], &echo["message"]["client_id"]), (&json!("visitor"), &json!(client_id(1))));
        let conversation = site.conversation().await;
        site.heard(&conversation, 1).await;
        let choices = json!({"text": "Was it good?", "buttons": [{"id": "csat:5", "title": "Yes"}]});
        site.writes(&conversation, json!({"choices": choices})).await;
        let asked = two.next_of("message").await;
        assert_eq!(asked["message"]["buttons"], json!([{"label": "Yes", "payload": "csat:5"}]));
        two.say(json!({"type": "button", "message_id": asked["message"]["id"], "payload": "csat:5"})).await;
        two.next_of("ack").await;
        two.say(json!({"type": "button", "message_id": asked["message"]["id"], "payload": "csat:1"})).await;
        assert_eq!(two.next_of("error").await["code"], "bad_request");
        let tapped = site.heard(&conversation, 2).await.remove(1);
        assert_eq!(tapped["content"]["text"], "Yes", "{tapped}");

        one.say(json!({"type": "fetch", "conversation_id": asked["conversation_id"], "limit": 2})).await;
        let page = one.next_of("history").await;
        let texts = |page: &Value| -> Vec<String> {
            page["messages"].as_array().unwrap().iter().map(|m| m["text"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(texts(&page), ["Was it good?", "Yes"]);
        one.say(json!({"type": "fetch", "conversation_id": asked["conversation_id"], "before": page["before"]})).await;
        let page = one.next_of("history").await;
        assert_eq!((texts(&page), &page["before"]), (vec!["from the first tab".to_owned()], &Value::Null));
        site.close().await;
    }

    async fn a_stranger_who_turns_out_to_be_known_keeps_the_conversation(db: TestDatabase) {
        let site = Site::open(&db).await;
        let (mut socket, welcome) = site.visit(json!({})).await;
        socket.say(json!({"type": "message", "client_id": client_id(1), "text": "who am I?"})).await;
        socket.next_of("ack").await;
        let conversation = site.conversation().await;
        let proof = json!({"external_id": "cust-42", "user_hash": user_hash("cust-42")});
        let (mut known, again) = site.visit(json!({"token": welcome["token"], "identity": proof})).await;
        assert_eq!((&again["visitor_id"], &again["verified"], &again["token"]), (&json!("x:cust-42"), &json!(true), &Value::Null));
        assert_eq!(again["resume"], "reset");
        // The tab that did not know it has to come again.
        assert_eq!(socket.closed().await.1, 1012);
        let contact = site.until(&format!("/conversations/{conversation}"), |found| found["contact"].as_str().map(str::to_owned)).await;
        let addresses = |found: &Value| found["identities"][0]["addresses"].as_array().map(Vec::len).filter(|count| *count == 2);
        site.until(&format!("/contacts/{contact}"), addresses).await;
        site.writes(&conversation, json!({"text": "You are Ann."})).await;
        assert_eq!(known.next_of("message").await["message"]["text"], "You are Ann.");
        known.say(json!({"type": "fetch", "conversation_id": "c_x:cust-42"})).await;
        assert_eq!(known.next_of("history").await["messages"][0]["text"], "who am I?");

        // The same device, somebody else: nothing goes along.
        let other = json!({"external_id": "cust-7", "user_hash": user_hash("cust-7")});
        let (mut other, _) = site.visit(json!({"token": welcome["token"], "identity": other})).await;
        other.say(json!({"type": "fetch", "conversation_id": "c_x:cust-7"})).await;
        assert_eq!(other.next_of("history").await["messages"], json!([]));
        site.close().await;
    }

    async fn somebody_with_an_external_id_is_written_to_before_they_come(db: TestDatabase) {
        let site = Site::open(&db).await;
        let contact = site.api.post("/contacts", json!({"display_name": "Ann", "external_id": "cust-42"})).await.unwrap();
        let contact = contact.expect(201).unwrap().body["id"].as_str().unwrap().to_owned();
        let path = format!("/contacts/{contact}/messages");
        let sent = site.api.post(&path, json!({"channel": site.channel, "message": {"text": "Your parcel waits."}})).await.unwrap();
        let message = sent.expect(202).unwrap().body["id"].as_str().unwrap().to_owned();
        site.becomes(&message, "sent").await;
        let proof = json!({"external_id": "cust-42", "user_hash": user_hash("cust-42")});
        let (mut socket, welcome) = site.visit(json!({"identity": proof})).await;
        assert_eq!((&welcome["last_seq"], &welcome["resume"]), (&json!(1), &json!("reset")));
        let id = welcome["conversations"][0]["id"].clone();
        socket.say(json!({"type": "fetch", "conversation_id": id})).await;
        assert_eq!(socket.next_of("history").await["messages"][0]["text"], "Your parcel waits.");
        socket.say(json!({"type": "ack", "seq": 1})).await;
        site.becomes(&message, "delivered").await;
        // The answer comes into the same conversation.
        socket.say(json!({"type": "message", "client_id": client_id(1), "text": "Thanks!"})).await;
        let conversation = site.conversation().await;
        site.heard(&conversation, 1).await;
        // By one call, nobody has to be a contact before.
        let proof = json!({"external_id": "cust-43", "user_hash": user_hash("cust-43")});
        let (mut other, _) = site.visit(json!({"identity": proof})).await;
        let to = json!({"to": {"external_id": "cust-43"}, "channel": site.channel, "message": {"text": "Hello, 43"}});
        site.api.post_once("/outbound", "k-1", to).await.unwrap().expect(202).unwrap();
        let written = other.next_of("message").await;
        assert_eq!(written["message"]["text"], "Hello, 43");
        other.say(json!({"type": "message", "client_id": client_id(1), "text": "Hello back"})).await;
        other.next_of("ack").await;
        // What was only just said is in the history, however far the desk is.
        other.say(json!({"type": "fetch", "conversation_id": "c_x:cust-43"})).await;
        let history = other.next_of("history").await;
        let texts: Vec<&Value> = history["messages"].as_array().unwrap().iter().map(|m| &m["text"]).collect();
        assert_eq!(texts, ["Hello, 43", "Hello back"]);
        let nobody = site.api.post("/contacts", json!({"display_name": "Bob"})).await.unwrap().expect(201).unwrap();
        let path = format!("/contacts/{}/messages", nobody.body["id"].as_str().unwrap());
        let refused = site.api.post(&path, json!({"channel": site.channel, "message": {"text": "Hi"}})).await.unwrap();
        assert_eq!((refused.status, refused.text("/code")), (409, Some("no_address")));
        site.close().await;
    }

    async fn where_no_socket_gets_through_events_come_over_http(db: TestDatabase) {
        let site = Site::open(&db).await;
        let http = browser();
        let post = |path: &str, token: Option<&str>, body: Value| {
            let request = http.post(site.http(path)).header("origin", ORIGIN).json(&body);
            let request = token.into_iter().fold(request, reqwest::RequestBuilder::bearer_auth);
            async move { request.send().await.unwrap() }
        };
        let welcome: Value = post("session", None, json!({"v": 1})).await.json().await.unwrap();
        let token = welcome["token"].as_str().unwrap();
        let ack: Value = post("messages", Some(token), json!({"client_id": client_id(1), "text": "Hi"})).await.json().await.unwrap();
        assert_eq!((&ack["type"], &ack["seq"]), (&json!("ack"), &json!(1)));
        let conversation = site.conversation().await;
        let ticket: Value = post("ticket", Some(token), json!({})).await.json().await.unwrap();
        let events = site.http(&format!("events?last_seq=0&ticket={}", ticket["ticket"].as_str().unwrap()));
        let mut stream = http.get(&events).header("origin", ORIGIN).send().await.unwrap();
        assert_eq!(stream.headers()["content-type"], "text/event-stream");
        site.writes(&conversation, json!({"text": "Hello"})).await;
        let mut text = String::new();
        while !text.contains("\"Hello\"") {
            text.push_str(std::str::from_utf8(&stream.chunk().await.unwrap().expect("more")).unwrap());
        }
        assert!(text.contains("retry: 3000") && text.contains("event: welcome") && text.contains("id: 1\n"), "{text}");
        assert!(text.contains("id: 2\n") && !text.contains("vt_"), "{text}");
        // A ticket is good once.
        assert_eq!(http.get(&events).header("origin", ORIGIN).send().await.unwrap().status(), 401);
        // A ticket is no token, and a token no ticket.
        let ticket: Value = post("ticket", Some(token), json!({})).await.json().await.unwrap();
        assert_eq!(post("ticket", ticket["ticket"].as_str(), json!({})).await.status(), 401);

        let fresh: Value = post("logout", Some(token), json!({})).await.json().await.unwrap();
        assert_ne!(fresh["visitor_id"], welcome["visitor_id"]);
        assert_eq!(post("messages", Some(token), json!({"client_id": client_id(2), "text": "x"})).await.status(), 401);
        drop(stream);
        site.close().await;
    }

    async fn files_go_both_ways(db: TestDatabase) {
        let site = Site::open(&db).await;
        let (mut socket, welcome) = site.visit(json!({})).await;
        let (_, other) = site.visit(json!({})).await;
        let http = browser();
        let upload = |name: &str, bytes: &[u8], token: &Value| {
            let request = http.post(site.http(&format!("uploads?name={name}"))).header("origin", ORIGIN);
            let request = request.bearer_auth(token.as_str().unwrap()).body(bytes.to_vec());
            async move { request.send().await.unwrap() }
        };
        let png = b"\x89PNG\r\n\x1A\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1F\x15\xC4\x89\0\0\0\0IEND\xAEB`\x82";
        let kept = upload("..%2Fphoto.png", png, &welcome["token"]).await;
        assert_eq!(kept.status(), 201);
        let kept: Value = kept.json().await.unwrap();
        assert_eq!((&kept["mime"], &kept["name"], &kept["kind"]), (&json!("image/png"), &json!("photo.png"), &json!("image")));
        for (name, bytes) in [("a.html", &b"<!DOCTYPE html><script>1</script>"[..]), ("a.png", b"PK\x03\x04zip")] {
            let refused = upload(name, bytes, &welcome["token"]).await;
            assert_eq!(refused.status(), 415, "{name}");
        }
        let damaged = upload("a.png", &png[..30], &welcome["token"]).await;
        assert_eq!((damaged.status().as_u16(), damaged.json::<Value>().await.unwrap()["code"].take()), (400, json!("bad_request")));
        let theirs: Value = upload("b.png", png, &other["token"]).await.json().await.unwrap();
        let message = |file: &Value| json!({"type": "message", "client_id": client_id(1), "attachments": [file]});
        socket.say(message(&theirs["upload_id"])).await;
        assert_eq!(socket.next_of("error").await["code"], "bad_request");
        socket.say(message(&kept["upload_id"])).await;
        socket.next_of("ack").await;
        let conversation = site.conversation().await;
        let heard = site.heard(&conversation, 1).await.remove(0);
        let file = &heard["content"]["attachments"][0];
        assert_eq!(file["file_name"], "photo.png", "{heard}");

        let form = reqwest::multipart::Part::bytes(b"%PDF-1.7 an invoice".to_vec()).file_name("invoice.pdf");
        let form = reqwest::multipart::Form::new().part("file", form);
        let stored = site.api.upload("/attachments", form).await.unwrap().expect(201).unwrap();
        let attachment = json!({"kind": "document", "id": stored.body["id"]});
        site.writes(&conversation, json!({"text": "Here:", "attachments": [attachment]})).await;
        let answer = socket.next_of("message").await;
        let file = &answer["message"]["attachments"][0];
        assert_eq!(file["name"], "invoice.pdf", "{answer}");
        let bytes = http.get(file["url"].as_str().unwrap()).send().await.unwrap();
        assert_eq!(bytes.headers()["x-content-type-options"], "nosniff");
        assert_eq!(&bytes.bytes().await.unwrap()[..], b"%PDF-1.7 an invoice");
        site.close().await;
    }

    /// A photo carries its place: what an agent downloads does not.
    async fn a_photo_tells_nobody_where_it_was_taken(db: TestDatabase) {
        const PHOTO: &[u8] = include_bytes!("../../../../crates/channels/webchat/tests/fixtures/photo.jpg");
        let holds = |bytes: &[u8], words: &[u8]| bytes.windows(words.len()).any(|found| found == words);
        // 52 degrees and 31 minutes, as GPS in EXIF has them; and in words.
        let told: [&[u8]; 4] = [&[52, 0, 0, 0, 1, 0, 0, 0, 31, 0, 0, 0], b"GPSLatitude", b"Berlin", b"Ada at home"];
        assert!(told.iter().all(|words| holds(PHOTO, words)));
        let site = Site::open(&db).await;
        let (mut socket, welcome) = site.visit(json!({})).await;
        let form = reqwest::multipart::Form::new().part("file", reqwest::multipart::Part::bytes(PHOTO).file_name("me.jpg"));
        let upload = browser().post(site.http("uploads")).header("origin", ORIGIN).multipart(form);
        let upload = upload.bearer_auth(welcome["token"].as_str().unwrap()).send().await.unwrap();
        let upload: Value = upload.error_for_status().unwrap().json().await.unwrap();
        socket.say(json!({"type": "message", "client_id": client_id(1), "attachments": [upload["upload_id"]]})).await;
        socket.next_of("ack").await;
        let conversation = site.conversation().await;
        let file = site.heard(&conversation, 1).await[0]["content"]["attachments"][0].clone();
        let path = format!("/attachments/{}", file["id"].as_str().unwrap());
        let shown = site.api.get(&path).await.unwrap().expect(200).unwrap();
        let kept = browser().get(shown.text("/content_url").unwrap()).send().await.unwrap().bytes().await.unwrap();
        assert!(told.iter().all(|words| !holds(&kept, words)));
        // A photo still, upright and as long as was said.
        assert!(kept.starts_with(b"\xff\xd8\xff") && holds(&kept, &[0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, 6]), "{file}");
        assert_eq!((&upload["size"], &shown.body["size"]), (&json!(kept.len()), &json!(kept.len())));
        site.close().await;
    }
}

both_databases! {
    async fn whoever_ends_the_chat_wants_no_invitations(db: TestDatabase) {
        let site = Site::open(&db).await;
        let (mut socket, welcome) = site.visit(json!({})).await;
        socket.say(json!({"type": "message", "client_id": client_id(1), "text": "Bye"})).await;
        socket.next_of("ack").await;
        let conversation = site.conversation().await;
        socket.say(json!({"type": "email", "address": "ann@example.test"})).await;
        let id = format!("c_{}", welcome["visitor_id"].as_str().unwrap());
        socket.say(json!({"type": "end", "conversation_id": id})).await;
        assert_eq!(socket.next_of("conversation").await["status"], "closed");
        let path = format!("/conversations/{conversation}");
        site.until(&path, |found| (found["status"] == "closed").then_some(())).await;
        let window = format!("/conversations/{conversation}/window");
        site.until(&window, |window| window.to_string().contains("opted_out").then_some(())).await;
        // The chat itself goes on, as soon as somebody writes.
        site.writes(&conversation, json!({"text": "Goodbye"})).await;
        assert_eq!(socket.next_of("message").await["message"]["text"], "Goodbye");
        assert_eq!(site.until(&path, |found| found["status"].as_str().map(str::to_owned)).await, "open");
        let contact = site.until(&format!("/conversations/{conversation}"), |found| found["contact"].as_str().map(str::to_owned)).await;
        let email = |found: &Value| (found["profile"]["email"] == "ann@example.test").then_some(());
        site.until(&format!("/contacts/{contact}"), email).await;
        site.close().await;
    }

    async fn where_closing_needs_a_note_the_chat_stays_open_and_says_that_it_was_ended(db: TestDatabase) {
        let site = Site::open(&db).await;
        site.api.patch("/settings", json!({"close_note_required": true})).await.unwrap().expect(200).unwrap();
        let (mut socket, welcome) = site.visit(json!({})).await;
        socket.say(json!({"type": "message", "client_id": client_id(1), "text": "Bye"})).await;
        socket.next_of("ack").await;
        let conversation = site.conversation().await;
        let id = format!("c_{}", welcome["visitor_id"].as_str().unwrap());
        socket.say(json!({"type": "end", "conversation_id": id})).await;
        let path = format!("/conversations/{conversation}/messages");
        let ended = |list: &Value| {
            let lines = list["items"].as_array()?.iter();
            lines.filter(|line| line["activity"] == "conversation.ended").count().checked_sub(1)
        };
        assert_eq!(site.until(&path, ended).await, 0, "once");
        let stands = site.until(&format!("/conversations/{conversation}"), |found| found["status"].as_str().map(str::to_owned)).await;
        assert_eq!(stands, "open");
        site.close().await;
    }

    async fn who_answers_has_seen_what_stood_there(db: TestDatabase) {
        let site = Site::open(&db).await;
        let (mut socket, welcome) = site.visit(json!({})).await;
        let mut ids = Vec::new();
        for n in 1..=2 {
            socket.say(json!({"type": "message", "client_id": client_id(n), "text": "Hi"})).await;
            ids.push(socket.next_of("ack").await["message_id"].clone());
        }
        let conversation = site.conversation().await;
        site.heard(&conversation, 2).await;
        site.writes(&conversation, json!({"text": "Hello"})).await;
        let receipt = socket.next_of("receipt").await;
        assert_eq!((&receipt["up_to"], &receipt["state"]), (&ids[1], &json!("read")));
        assert_eq!(receipt.get("seq"), None, "it is none of the events");
        assert_eq!(socket.next_of("message").await["seq"], 3);
        // Once: there is nothing new that could have been seen.
        site.writes(&conversation, json!({"text": "And again"})).await;
        assert_eq!(socket.next().await["message"]["text"], "And again");
        drop(socket);

        // Who was away meanwhile hears of it with the answer.
        let token = welcome["token"].clone();
        let (mut socket, _) = site.visit(json!({"token": token, "last_seq": 4})).await;
        socket.say(json!({"type": "message", "client_id": client_id(3), "text": "One more"})).await;
        let third = socket.next_of("ack").await["message_id"].clone();
        site.heard(&conversation, 3).await;
        drop(socket);
        let answer = site.writes(&conversation, json!({"text": "Yes?"})).await;
        site.becomes(&answer, "sent").await;
        let (mut socket, _) = site.visit(json!({"token": token, "last_seq": 5})).await;
        assert_eq!(socket.next_of("receipt").await["up_to"], third);
        site.close().await;
    }

    async fn a_stranger_whose_token_is_over_is_gone(db: TestDatabase) {
        let site = Site::open(&db).await;
        let (mut socket, welcome) = site.visit(json!({})).await;
        socket.say(json!({"type": "message", "client_id": client_id(1), "text": "Hi"})).await;
        socket.next_of("ack").await;
        let conversation = site.conversation().await;
        let logout = browser().post(site.http("logout")).header("origin", ORIGIN);
        let answer = logout.bearer_auth(welcome["token"].as_str().unwrap()).send().await.unwrap();
        assert_eq!(answer.status(), 201);
        let message = site.writes(&conversation, json!({"text": "Are you there?"})).await;
        let path = format!("/messages/{message}");
        let failed = site.until(&path, |found| (found["state"] == "failed").then(|| found.clone())).await;
        assert!(failed.to_string().contains("visitor_gone"), "{failed}");
        // From then on it is known before anything is written.
        let refused = site.api.post(&format!("/conversations/{conversation}/messages"), json!({"text": "Hello?"})).await.unwrap();
        assert_eq!(refused.status, 409, "{refused:?}");
        assert!(refused.body.to_string().contains("unreachable"), "{refused:?}");
        site.close().await;
    }

    async fn a_visitor_who_only_looks_can_be_invited(db: TestDatabase) {
        let site = Site::with(&db, &[("visits", "yes")]).await;
        let (mut socket, _) = site.visit(json!({"profile": {"name": "Ann\u{202e}"}})).await;
        let first = |list: &Value| Some(list["items"].as_array()?.first()?["id"].as_str()?.to_owned());
        let contact = site.until("/contacts", first).await;
        let path = format!("/contacts/{contact}/messages");
        let invitation = json!({"channel": site.channel, "message": {"text": "May I help?"}});
        site.api.post(&path, invitation.clone()).await.unwrap().expect(202).unwrap();
        let invited = socket.next_of("message").await;
        assert_eq!((&invited["message"]["invitation"], &invited["seq"]), (&json!(true), &json!(1)));
        // One a day.
        let refused = site.api.post(&path, invitation).await.unwrap();
        assert_eq!(refused.status, 409, "{refused:?}");
        site.close().await;
    }

    /// Seven days without another invitation (webchat.md 1); here it is until the visitor writes, which is longer
    /// (docs/decisions/012).
    async fn whoever_refuses_an_invitation_is_not_invited_again_until_they_write(db: TestDatabase) {
        let site = Site::with(&db, &[("visits", "yes")]).await;
        let (mut socket, welcome) = site.visit(json!({})).await;
        let first = |list: &Value| Some(list["items"].as_array()?.first()?["id"].as_str()?.to_owned());
        let contact = site.until("/contacts", first).await;
        let path = format!("/contacts/{contact}/messages");
        let invitation = json!({"channel": site.channel, "message": {"text": "May I help?"}});
        let invited = site.api.post(&path, invitation.clone()).await.unwrap().expect(202).unwrap();
        site.becomes(invited.text("/id").unwrap(), "sent").await;
        assert_eq!(socket.next_of("message").await["message"]["invitation"], true);
        let conversation = invited.text("/conversation").unwrap();
        // Dismissed, as the widget does it.
        let id = format!("c_{}", welcome["visitor_id"].as_str().unwrap());
        socket.say(json!({"type": "end", "conversation_id": id})).await;
        let opted_out = |window: &Value| window.to_string().contains("opted_out").then_some(());
        site.until(&format!("/conversations/{conversation}/window"), opted_out).await;

        // Day by day: the visitor is there again, and the refusal is all that stands against it.
        for day in 1..=8 {
            site.everything_is_applied().await;
            site.clock.advance(time::Duration::hours(24) + time::Duration::minutes(1));
            let reasons = again(&site, &mut socket, &path, &invitation).await;
            assert_eq!(reasons, ["opted_out"], "day {day}");
        }
        // Who writes is answered.
        socket.say(json!({"type": "message", "client_id": client_id(1), "text": "You may, now"})).await;
        socket.next_of("ack").await;
        site.heard(conversation, 1).await;
        site.api.post(&path, invitation).await.unwrap().expect(202).unwrap();
        let answer = socket.next_of("message").await;
        assert_eq!(answer["message"].get("invitation"), None, "{answer}");
        site.close().await;
    }
}

/// Why a visitor can't be invited who has their page open, once the desk has noticed that they do.
async fn again(site: &Site, socket: &mut Socket, path: &str, invitation: &Value) -> Vec<String> {
    let begun = std::time::Instant::now();
    loop {
        socket.say(json!({"type": "ping", "t": 1})).await;
        socket.next_of("pong").await;
        site.everything_is_applied().await;
        let refused = site.api.post(path, invitation.clone()).await.unwrap();
        assert_eq!(refused.status, 409, "{refused:?}");
        let refusals = refused.body["decision"]["refusals"].as_array().unwrap();
        let of_invitation = refusals.iter().find(|refusal| refusal["grant"] == "invitation").unwrap();
        let because = of_invitation["because"].as_array().unwrap().iter();
        let reasons: Vec<String> = because.map(|because| because["reason"].as_str().unwrap().to_owned()).collect();
        if !reasons.contains(&"window_over".to_owned()) {
            return reasons;
        }
        assert!(begun.elapsed().as_secs() < 20, "the desk does not notice the visitor: {refused:?}");
    }
}
