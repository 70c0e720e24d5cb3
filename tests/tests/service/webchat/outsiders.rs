//! Those who should stay outside.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use transom_storage::both_databases;

use crate::webchat::site::{ORIGIN, Site, browser, client_id, jwt, now, user_hash};

both_databases! {
    async fn a_forged_origin_is_not_shaken_hands_with(db: TestDatabase) {
        let site = Site::with(&db, &[("app_keys", "the-key-of-our-own-app")]).await;
        for origin in [Some("https://evil.example"), Some("null"), Some("https://shop.example.evil.example"), None] {
            match site.handshake(origin).await {
                Err(WsError::Http(answer)) => assert_eq!(answer.status(), 403, "{origin:?}"),
                other => panic!("{origin:?}: {:?}", other.map(|_| "let in")),
            }
        }
        let http = browser();
        let asked = http.get(site.http("config")).header("origin", "https://evil.example").send().await.unwrap();
        assert_eq!((asked.status().as_u16(), asked.headers().get("access-control-allow-origin")), (403, None));
        let asked = http.get(site.http("config")).header("origin", ORIGIN).send().await.unwrap();
        assert_eq!((asked.status().as_u16(), &asked.headers()["access-control-allow-origin"]), (200, &ORIGIN.parse().unwrap()));
        assert!(asked.headers()["vary"].to_str().unwrap().contains("Origin"));
        let config: Value = asked.json().await.unwrap();
        assert!(!config.to_string().contains("secret"), "{config}");
        let preflight = http.request(reqwest::Method::OPTIONS, site.http("session")).header("origin", ORIGIN).send().await.unwrap();
        assert_eq!(preflight.status(), 204);
        assert!(preflight.headers()["access-control-allow-headers"].to_str().unwrap().contains("authorization"));
        // An app has a key, and no origin.
        let app = http.get(site.http("config")).header("x-app-key", "the-key-of-our-own-app").send().await.unwrap();
        assert_eq!(app.status(), 200);
        let app = http.get(site.http("config")).header("x-app-key", "the-key-of-another-app").send().await.unwrap();
        assert_eq!(app.status(), 403);
        // An unknown widget sounds like one of somebody else.
        let unknown = http.get(site.http("config").replace(&site.key, &"A".repeat(43))).header("origin", ORIGIN).send().await.unwrap();
        assert_eq!(unknown.status(), 403);
        let page = http.get(site.http("frame")).send().await.unwrap();
        let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.contains("frame-ancestors 'self' https://shop.example") && !policy.contains("unsafe"), "{policy}");
        site.close().await;
    }

    async fn a_forged_identity_is_not_believed(db: TestDatabase) {
        let site = Site::open(&db).await;
        let claims = |seconds: i64| json!({"sub": "cust-42", "iat": now() - 10, "exp": now() + seconds, "aud": "wgt_1"});
        let header = json!({"alg": "HS256", "typ": "JWT"});
        let mut tampered = jwt(&header, &claims(600));
        tampered.truncate(tampered.len() - 4);
        let none = jwt(&json!({"alg": "none"}), &claims(600));
        let unsigned = format!("{}.", none.rsplit_once('.').unwrap().0);
        for (identity, code) in [
            (json!({"external_id": "cust-42", "user_hash": user_hash("cust-43")}), "identity_invalid"),
            (json!({"external_id": "cust-42"}), "identity_required"),
            (json!({"jwt": tampered}), "identity_invalid"),
            (json!({ "jwt": none }), "identity_invalid"),
            (json!({ "jwt": unsigned }), "identity_invalid"),
            (json!({"jwt": jwt(&header, &json!({"sub": "cust-42", "iat": now() - 1_000, "exp": now() - 61, "aud": "wgt_1"}))}), "identity_expired"),
            (json!({"jwt": jwt(&header, &json!({"sub": "cust-42", "exp": now() + 600, "aud": "wgt_2"}))}), "identity_invalid"),
        ] {
            let mut socket = site.handshake(Some(ORIGIN)).await.unwrap();
            socket.say(json!({"type": "hello", "v": 1, "identity": identity})).await;
            assert_eq!(socket.closed().await, (json!(code), 4401), "{identity}");
        }
        let (_, welcome) = site.visit(json!({"identity": {"jwt": jwt(&header, &claims(600))}})).await;
        assert_eq!(welcome["visitor_id"], "x:cust-42");
        let mut socket = site.handshake(Some(ORIGIN)).await.unwrap();
        socket.say(json!({"type": "hello", "v": 1, "token": "vt_guessed"})).await;
        assert_eq!(socket.closed().await, (json!("unauthorized"), 4401));
        let mut socket = site.handshake(Some(ORIGIN)).await.unwrap();
        socket.say(json!({"type": "message", "client_id": client_id(1), "text": "no hello"})).await;
        assert_eq!(socket.closed().await, (json!("unauthorized"), 4401));
        site.close().await;
    }

    async fn what_visitors_did_can_not_be_forged_over_the_webhook_address(db: TestDatabase) {
        let site = Site::open(&db).await;
        let url = format!("{}/webhooks/{}", site.server.base_url(), site.key);
        let event = json!({"event_id": "e-1", "widget": "wgt_1", "visitor_id": "x:cust-42", "verified": true,
            "kind": "message", "at": "2026-11-21T09:00:00Z", "message_id": "m_1", "text": "I am Ann"});
        let http = browser();
        for proof in [None, Some("v1=00"), Some("")] {
            let request = http.post(&url).header("x-chat-timestamp", now().to_string()).json(&event);
            let request = proof.into_iter().fold(request, |request, proof| request.header("x-chat-signature", proof));
            assert_eq!(request.send().await.unwrap().status(), 401, "{proof:?}");
        }
        site.close().await;
    }

    async fn nobody_reads_or_writes_in_anothers_conversation(db: TestDatabase) {
        let site = Site::open(&db).await;
        let (mut ann, welcome) = site.visit(json!({})).await;
        ann.say(json!({"type": "message", "client_id": client_id(1), "text": "my secret"})).await;
        ann.next_of("ack").await;
        site.conversation().await;
        let hers = format!("c_{}", welcome["visitor_id"].as_str().unwrap());
        let (mut eve, _) = site.visit(json!({})).await;
        for frame in [
            json!({"type": "fetch", "conversation_id": hers}),
            json!({"type": "read", "conversation_id": hers, "up_to": "m_1"}),
            json!({"type": "end", "conversation_id": hers}),
            json!({"type": "typing", "conversation_id": hers, "on": true}),
            json!({"type": "message", "client_id": client_id(2), "conversation_id": hers, "text": "I am Ann"}),
            json!({"type": "ack", "seq": 1}),
        ] {
            eve.say(frame.clone()).await;
            assert_eq!(eve.next_of("error").await["code"], "bad_request", "{frame}");
        }
        site.close().await;
    }

    async fn a_flood_is_slowed_and_an_oversized_frame_ends_the_talk(db: TestDatabase) {
        let site = Site::open(&db).await;
        let (mut socket, _) = site.visit(json!({})).await;
        for n in 0..100 {
            socket.say(json!({"type": "message", "client_id": client_id(n), "text": format!("{n}")})).await;
        }
        let (mut acks, mut refused) = (0, 0);
        while acks + refused < 100 {
            let frame = socket.next().await;
            match frame["type"].as_str().unwrap() {
                "ack" => acks += 1,
                "error" => {
                    assert_eq!(frame["code"], "rate_limited", "{frame}");
                    assert!(frame["retry_after"].as_u64().is_some_and(|seconds| seconds > 0), "{frame}");
                    refused += 1;
                }
                _ => {}
            }
        }
        // Ten at once, and one a second while it lasts.
        assert!((10..40).contains(&acks), "{acks} of 100 were taken");
        let conversation = site.conversation().await;
        site.heard(&conversation, acks).await;
        site.everything_is_applied().await;
        assert_eq!(site.heard(&conversation, acks).await.len(), acks, "what was acknowledged, and nothing else");

        let (mut socket, _) = site.visit(json!({})).await;
        socket.say(json!({"type": "message", "client_id": client_id(1), "text": "x".repeat(10_001)})).await;
        assert_eq!(socket.next_of("error").await["code"], "too_large");
        socket.say(json!({"type": "message", "client_id": client_id(1), "text": "x".repeat(70_000)})).await;
        assert_eq!(socket.closed().await, (json!("too_large"), 1009));
        let (mut socket, _) = site.visit(json!({})).await;
        socket.send(Message::text("no JSON")).await;
        assert_eq!(socket.closed().await, (json!("bad_request"), 4400));
        site.close().await;
    }

    async fn the_oldest_of_six_tabs_goes_and_who_is_blocked_too(db: TestDatabase) {
        let site = Site::open(&db).await;
        let (mut first, welcome) = site.visit(json!({})).await;
        let mut tabs = Vec::new();
        for _ in 0..5 {
            tabs.push(site.visit(json!({"token": welcome["token"]})).await.0);
        }
        assert_eq!(first.closed().await.1, 4409);
        tabs[4].say(json!({"type": "message", "client_id": client_id(1), "text": "Hi"})).await;
        tabs[4].next_of("ack").await;
        let conversation = site.conversation().await;
        let contact = site.until(&format!("/conversations/{conversation}"), |found| found["contact"].as_str().map(str::to_owned)).await;
        site.api.post(&format!("/contacts/{contact}/block"), json!({})).await.unwrap().expect(200).unwrap();
        tabs[4].say(json!({"type": "message", "client_id": client_id(2), "text": "Hello?"})).await;
        assert_eq!(tabs[4].closed().await, (json!("blocked"), 4403));
        let mut again = site.handshake(Some(ORIGIN)).await.unwrap();
        again.say(json!({"type": "hello", "v": 1, "token": welcome["token"]})).await;
        assert_eq!(again.closed().await, (json!("blocked"), 4403));
        // The other tabs are sent away too, without having said anything.
        assert_eq!(tabs[0].closed().await, (json!("blocked"), 4403));
        site.close().await;
    }
}
