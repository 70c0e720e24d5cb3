//! Saved replies, and one history over all channels.

use serde_json::json;
use transom_storage::both_databases;

use super::{Desk, refused};

/// What the customer was shown.
fn shown(desk: &Desk) -> Vec<String> {
    desk.stage.world.control().ledger().into_iter().map(|send| send.text).collect()
}

both_databases! {
    /// Kept, found, changed, worded by language and platform, and filled.
    async fn a_saved_reply_is_kept_found_and_worded(db: TestDatabase) {
        let desk = Desk::open(db).await;
        for name in ["Order num", "city", "Zip code"] {
            desk.post("/custom-fields", json!({ "name": name }), 201).await;
        }
        let body = json!({
            "title": "Öffnungszeiten",
            "content": "Hello {{ First_Name }}, order {{order num}}: from nine. {{agent_name}}",
            "variants": [
                { "language": "de", "content": "Hallo {{first_name}}, ab neun." },
                { "language": "de-AT", "content": "Servus {{first_name}}, ab neun." },
                { "platform": "sms", "content": "From 9." },
            ],
        });
        let reply = desk.post("/saved-replies", body, 201).await;
        desk.post("/saved-replies", json!({ "title": "Refund", "content": "x" }), 201).await;
        let path = format!("/saved-replies/{}", reply["id"].as_str().unwrap());
        let found = desk.get("/saved-replies?q=offnung").await;
        assert_eq!(found["items"][0], reply);
        assert_eq!(found["items"].as_array().unwrap().len(), 1);
        let first = desk.get("/saved-replies?limit=1").await;
        let next = desk.get(&format!("/saved-replies?limit=1&cursor={}", first["next_cursor"].as_str().unwrap())).await;
        assert_eq!((&first["items"][0]["title"], &next["items"][0]["title"]), (&json!("Öffnungszeiten"), &json!("Refund")));

        let nora = desk.add(json!({ "first_name": "Nora", "fields": [{ "name": "Order num", "value": "A-{{1}}" }] })).await;
        let render = |more: &str| format!("{path}/render?contact={nora}{more}");
        let me = desk.get("/me").await["agent"]["name"].as_str().unwrap().to_owned();
        let text = format!("Hello Nora, order A-{{{{1}}}}: from nine. {me}");
        assert_eq!(desk.get(&render("")).await, json!({ "text": text }));
        let over_sms = format!("&channel={}", desk.channel("sms"));
        assert_eq!(desk.get(&render(&over_sms)).await, json!({ "text": "From 9.", "platform": "sms" }));
        desk.patch(&format!("/contacts/{nora}"), json!({ "language": "de-CH" })).await;
        assert_eq!(desk.get(&render(&over_sms)).await, json!({ "text": "Hallo Nora, ab neun.", "language": "de" }));
        desk.patch(&format!("/contacts/{nora}"), json!({ "language": "de-AT" })).await;
        assert_eq!(desk.get(&render("")).await["text"], "Servus Nora, ab neun.");

        let patch = json!({ "variants": [], "content": "Your {{city}} and {{zip code}}" });
        let changed = desk.patch(&path, patch).await;
        assert_eq!((&changed["variants"], &changed["title"]), (&json!([]), &json!("Öffnungszeiten")));
        let problem = refused(desk.api().get(&render("")).await.unwrap(), 422, "saved_reply_fields_missing");
        assert!(problem["detail"].as_str().unwrap().ends_with("city, zip code"), "{problem}");
        for wrong in [
            json!({ "title": " ", "content": "x" }),
            json!({ "title": "x", "content": "x", "variants": [{ "content": "y" }] }),
            json!({ "title": "x", "content": "x", "variants": [{ "language": "de", "content": "y" }, { "language": "DE", "content": "z" }] }),
        ] {
            assert_eq!(desk.api().post("/saved-replies", wrong).await.unwrap().status, 422);
        }
        desk.delete(&path, 204).await;
        refused(desk.api().get(&path).await.unwrap(), 404, "not_found");
        desk.stage.strike().await;
    }
}

both_databases! {
    /// A place that nothing fills is found when the reply is written, not when a customer waits for it.
    async fn a_saved_reply_names_only_fields_that_there_are(db: TestDatabase) {
        let desk = Desk::open(db).await;
        let size = desk.post("/custom-fields", json!({ "name": "Size" }), 201).await;
        let body = json!({ "title": "Size", "content": "{{ NAME }}, {{size}}? {{agent_name}} {{" });
        let made = desk.api().post_once("/saved-replies", "size", body.clone()).await.and_then(|made| made.expect(201));
        let reply = made.unwrap().body;
        let path = format!("/saved-replies/{}", reply["id"].as_str().unwrap());
        for (change, field, place) in [
            (json!({ "content": "Dear {{firstname}}" }), "content", "{{firstname}}"),
            (json!({ "content": "{{}}" }), "content", "{{}}"),
            (json!({ "variants": [{ "language": "de", "content": "{{ Größe }}" }] }), "variants", "{{Größe}}"),
        ] {
            let mut new = json!({ "title": "New", "content": "Hello" });
            new.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            for refusal in [desk.api().post("/saved-replies", new).await, desk.api().patch(&path, change).await] {
                let problem = refused(refusal.unwrap(), 422, "placeholder_unknown");
                let detail = format!("nothing fills `{place}`: there is `{{{{name}}}}`, `{{{{first_name}}}}`, ");
                assert!(problem["detail"].as_str().unwrap().starts_with(&detail), "{problem}");
                assert!(problem["detail"].as_str().unwrap().contains("`{{Size}}`"), "{problem}");
                assert_eq!(problem["field"], field, "{problem}");
            }
        }
        assert_eq!(desk.get("/saved-replies").await["items"], json!([reply]), "nothing was stored");

        // What stands there stays when its field goes, and is refused where it is used.
        let field = format!("/custom-fields/{}", size["id"].as_str().unwrap());
        desk.patch(&field, json!({ "archived": true })).await;
        desk.patch(&path, json!({ "title": "Sizes", "content": reply["content"] })).await;
        let again = desk.api().post_once("/saved-replies", "size", body).await.and_then(|reply| reply.expect(201)).unwrap();
        assert_eq!(again.body["id"], reply["id"], "the same key, the same answer");
        let fresh = json!({ "title": "New", "content": "Still {{size}}?" });
        let problem = refused(desk.api().post("/saved-replies", fresh).await.unwrap(), 409, "field_archived");
        assert!(problem["detail"].as_str().unwrap().starts_with("`Size` is in the archive"), "{problem}");
        let nora = desk.add(json!({ "display_name": "Nora" })).await;
        let render = desk.api().get(&format!("{path}/render?contact={nora}")).await.unwrap();
        let problem = refused(render, 422, "saved_reply_fields_missing");
        assert!(problem["detail"].as_str().unwrap().ends_with("size"), "{problem}");
        desk.stage.strike().await;
    }
}

both_databases! {
    /// Sent as it is, or as the sender made it; an empty field stops it before it leaves; plain text keeps its braces.
    async fn a_saved_reply_is_filled_when_it_is_sent_or_not_sent(db: TestDatabase) {
        let desk = Desk::open(db).await;
        let (contact, conversation) = desk.hears("whatsapp", "hello").await;
        desk.post("/custom-fields", json!({ "name": "order num" }), 201).await;
        let body = json!({ "title": "Order", "content": "Your order {{order num}} to {{phone}} is on its way." });
        let reply = desk.post("/saved-replies", body, 201).await["id"].clone();
        let path = format!("/conversations/{conversation}/messages");
        for message in [json!({ "saved_reply": reply }), json!({ "saved_reply": reply, "text": "So: {{Order Num}}" })] {
            for place in [path.clone(), format!("{path}/preview")] {
                let problem = refused(desk.api().post(&place, message.clone()).await.unwrap(), 422, "saved_reply_fields_missing");
                assert!(problem["detail"].as_str().unwrap().to_lowercase().contains("order num"), "{problem}");
            }
        }
        assert_eq!(shown(&desk), Vec::<String>::new());

        desk.patch(&format!("/contacts/{contact}"), json!({ "fields": [{ "name": "order num", "value": "{{7}}" }] })).await;
        let preview = desk.post(&format!("{path}/preview"), json!({ "saved_reply": reply }), 200).await;
        let text = format!("Your order {{{{7}}}} to {} is on its way.", crate::people::MARA);
        assert_eq!(preview["parts"][0]["content"]["text"], text, "{preview}");
        let sent = desk.post(&path, json!({ "saved_reply": reply }), 202).await;
        desk.stage.settled(sent["id"].as_str().unwrap()).await.unwrap();
        for message in [
            json!({ "saved_reply": reply, "text": "So: {{Order Num}}" }),
            json!({ "text": "Plain {{order num}} {{1}}" }),
        ] {
            let sent = desk.post(&path, message, 202).await;
            desk.stage.settled(sent["id"].as_str().unwrap()).await.unwrap();
        }
        let to = json!({ "contact": contact });
        let body =
            json!({ "channel": desk.channel("whatsapp"), "to": to, "message": { "saved_reply": reply } });
        let reached = desk.api().post_once("/outbound", "k", body).await.and_then(|reply| reply.expect(202)).unwrap();
        desk.stage.settled(reached.text("/message/id").unwrap()).await.unwrap();
        assert_eq!(shown(&desk), [text.as_str(), "So: {{7}}", "Plain {{order num}} {{1}}", text.as_str()]);
        let stored = desk.get(&format!("/messages/{}", sent["id"].as_str().unwrap())).await;
        assert_eq!((&stored["saved_reply"], &stored["content"]["text"]), (&reply, &json!(text)));

        let both = json!({ "saved_reply": reply, "location": { "latitude": 1.0, "longitude": 2.0 } });
        refused(desk.api().post(&path, both).await.unwrap(), 422, "content_ambiguous");
        let note = json!({ "type": "note", "text": "x", "saved_reply": reply });
        refused(desk.api().post(&path, note).await.unwrap(), 422, "content_ambiguous");
        desk.stage.strike().await;
    }
}

both_databases! {
    /// both channels, notes, and what happened, in one list, page by page.
    async fn one_history_over_all_channels(db: TestDatabase) {
        let desk = Desk::open(db).await;
        let (contact, chat) = desk.hears("whatsapp", "hello").await;
        let (other, sms) = desk.hears("sms", "and hello").await;
        desk.post(&format!("/contacts/{contact}/merge"), json!({ "from": other }), 201).await;
        desk.post(&format!("/conversations/{chat}/messages"), json!({ "type": "note", "text": "a regular" }), 202).await;
        desk.post(&format!("/conversations/{sms}/messages"), json!({ "text": "Good morning" }), 202).await;
        desk.post(&format!("/conversations/{chat}/status"), json!({ "status": "closed" }), 200).await;
        desk.stage.quiet().await.unwrap();

        let all = desk.get(&format!("/contacts/{contact}/history?limit=100")).await;
        let items = all["items"].as_array().unwrap();
        let text = |item: &serde_json::Value| item["content"]["text"].as_str().or(item["activity"].as_str()).unwrap_or_default().to_owned();
        let texts: Vec<String> = items.iter().map(text).collect();
        for said in ["hello", "and hello", "a regular", "Good morning", "conversation.closed"] {
            assert_eq!(texts.iter().filter(|text| *text == said).count(), 1, "{said}: {texts:?}");
        }
        let at = |item: &serde_json::Value| transom_tests::instant(&item["at"]).unwrap();
        assert!(items.windows(2).all(|two| at(&two[0]) >= at(&two[1])), "newest first");
        let channels: std::collections::BTreeSet<&str> = items.iter().map(|item| item["channel"].as_str().unwrap()).collect();
        assert_eq!(channels.len(), 2);

        let (mut paged, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = desk.get(&format!("/contacts/{other}/history?limit=2{cursor}")).await;
            paged.extend(page["items"].as_array().unwrap().clone());
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        // Receipts may still come in between: it is the same messages in the same order.
        let ids = |items: &[serde_json::Value]| items.iter().map(|item| item["id"].clone()).collect::<Vec<_>>();
        assert_eq!(ids(&paged), ids(items), "the id of the contact that is gone finds the same");
        desk.stage.strike().await;
    }
}
