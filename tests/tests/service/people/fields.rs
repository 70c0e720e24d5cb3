//! Custom fields, labels and tags.

use futures_util::future::join_all;
use serde_json::json;
use transom_storage::both_databases;

use super::{Desk, names, refused, values};

both_databases! {
    /// Made by itself or while it is set; offered again; typed; renamed, put away and brought back.
    async fn fields_are_made_offered_filled_and_put_away(db: TestDatabase) {
        let desk = Desk::open(db).await;
        let size = desk.post("/custom-fields", json!({ "name": "Size", "type": "choice", "options": ["S", "M"] }), 201).await;
        let contact = desk.add(json!({ "display_name": "Nora", "fields": [{ "name": "Order  num", "value": "A-1" }] })).await;
        let path = format!("/contacts/{contact}");
        let patch = json!({ "fields": [
            { "name": "ORDER NUM", "value": "A-2" },
            { "name": "size", "value": "m" },
            { "name": "score", "type": "number", "value": -2.5 },
            { "name": "since", "type": "date", "value": "2026-02-28" },
            { "name": "member", "type": "boolean", "value": true },
        ]});
        let changed = desk.patch(&path, patch).await;
        let all = json!({ "Order num": "A-2", "Size": "M", "score": -2.5, "since": "2026-02-28", "member": true });
        assert_eq!(values(&changed), all);
        assert_eq!(values(&desk.get(&path).await), all);
        assert_eq!(names(&desk.get("/custom-fields").await), json!(["member", "Order num", "score", "since", "Size"]));
        assert_eq!(names(&desk.get("/custom-fields?q=S").await), json!(["score", "since", "Size"]));

        // What does not fit changes nothing, whatever stands beside it.
        for (name, value) in [("size", json!("XL")), ("score", json!("7")), ("since", json!("28.2.2026")), ("member", json!("yes"))] {
            let body = json!({ "display_name": "Somebody else", "fields": [{ "name": name, "value": value }] });
            let problem = refused(desk.api().patch(&path, body).await.unwrap(), 422, "field_value_invalid");
            assert!(problem["detail"].as_str().unwrap().to_lowercase().contains(name), "{problem}");
        }
        let body = json!({ "fields": [{ "name": "score", "type": "text", "value": "7" }] });
        refused(desk.api().patch(&path, body).await.unwrap(), 422, "field_value_invalid");
        let body = json!({ "fields": [{ "name": "Email", "value": "x" }] });
        refused(desk.api().patch(&path, body).await.unwrap(), 422, "field_reserved");
        assert_eq!(desk.get(&path).await["display_name"], "Nora");
        refused(desk.api().post("/custom-fields", json!({ "name": " SIZE " })).await.unwrap(), 409, "duplicate");

        // The name and the options change; a value that is an option no more stays.
        let field = format!("/custom-fields/{}", size["id"].as_str().unwrap());
        desk.patch(&field, json!({ "name": "T-shirt size", "options": ["S", "L"] })).await;
        assert_eq!(values(&desk.get(&path).await)["T-shirt size"], "M");
        desk.patch(&field, json!({ "archived": true })).await;
        assert_eq!(names(&desk.get("/custom-fields?q=t").await), json!([]));
        assert_eq!(names(&desk.get("/custom-fields?q=t&archived=true").await), json!(["T-shirt size"]));
        let body = json!({ "fields": [{ "name": "t-shirt size", "value": "L" }] });
        refused(desk.api().patch(&path, body.clone()).await.unwrap(), 409, "field_archived");
        desk.patch(&field, json!({ "archived": false })).await;
        assert_eq!(values(&desk.patch(&path, body).await)["T-shirt size"], "L");

        let emptied = desk.patch(&path, json!({ "fields": [{ "name": "score" }, { "name": "since", "value": " " }] })).await;
        assert_eq!(values(&emptied), json!({ "Order num": "A-2", "T-shirt size": "L", "member": true }));
        desk.stage.strike().await;
    }
}

both_databases! {
    /// Ten at once who each make the field while they set it make one field.
    async fn many_at_once_make_one_field_and_one_label(db: TestDatabase) {
        let desk = Desk::open(db).await;
        let contacts = join_all((0..10).map(|n| desk.add(json!({ "display_name": format!("Nora {n}") })))).await;
        let set = contacts.iter().map(async |contact| {
            let body = json!({ "fields": [{ "name": "tier", "value": "1" }] });
            // Who was slower finds the field that the other one has just made.
            desk.patch(&format!("/contacts/{contact}"), body).await;
            desk.put(&format!("/contacts/{contact}/labels/VIP")).await;
        });
        join_all(set).await;
        assert_eq!(names(&desk.get("/custom-fields").await), json!(["tier"]));
        assert_eq!(desk.get("/labels?counts=true").await["items"], json!([{ "name": "VIP", "contacts": 10, "more": false }]));
        desk.stage.strike().await;
    }
}

both_databases! {
    /// Labels are made by putting them on somebody; renamed and deleted for everybody.
    async fn labels_are_put_on_renamed_and_deleted(db: TestDatabase) {
        let desk = Desk::open(db).await;
        let (nora, kim) = (desk.add(json!({ "display_name": "Nora" })).await, desk.add(json!({ "display_name": "Kim" })).await);
        let path = |contact: &str, label: &str| format!("/contacts/{contact}/labels/{label}");
        assert_eq!(desk.put(&path(&nora, "big%20spender")).await["labels"], json!(["big spender"]));
        assert_eq!(desk.put(&path(&nora, "Big%20Spender")).await["labels"], json!(["big spender"]), "one label whatever its case");
        desk.put(&path(&nora, "b2b")).await;
        desk.put(&path(&kim, "big%20spender")).await;
        assert_eq!(names(&desk.get("/labels?q=BIG").await), json!(["big spender"]));
        let first = desk.get("/labels?limit=1").await;
        assert_eq!(names(&first), json!(["b2b"]));
        let next = format!("/labels?limit=1&cursor={}", first["next_cursor"].as_str().unwrap());
        assert_eq!(names(&desk.get(&next).await), json!(["big spender"]));

        refused(desk.api().patch("/labels/b2b", json!({ "name": "Big spender" })).await.unwrap(), 409, "duplicate");
        refused(desk.api().patch("/labels/nobody", json!({ "name": "x" })).await.unwrap(), 404, "not_found");
        desk.patch("/labels/big%20spender", json!({ "name": "VIP" })).await;
        assert_eq!(desk.get(&format!("/contacts/{nora}")).await["labels"], json!(["VIP", "b2b"]));
        let found = desk.get("/contacts?label=VIP").await;
        assert_eq!(found["items"].as_array().unwrap().len(), 2);

        assert_eq!(desk.delete(&path(&kim, "vip"), 200).await["labels"], json!([]));
        desk.delete(&path(&kim, "vip"), 200).await;
        desk.delete("/labels/VIP", 204).await;
        assert_eq!(desk.get(&format!("/contacts/{nora}")).await["labels"], json!(["b2b"]));
        assert_eq!(names(&desk.get("/labels").await), json!(["b2b"]));
        refused(desk.api().put(&path(&nora, &"x".repeat(101)), None).await.unwrap(), 422, "name_missing");
        desk.stage.strike().await;
    }
}

both_databases! {
    /// the workspace's tags, on and off a conversation, and deleted for all.
    async fn tags_are_put_on_conversations_and_deleted(db: TestDatabase) {
        let desk = Desk::open(db).await;
        let (_, conversation) = desk.hears("whatsapp", "hello").await;
        let path = |tag: &str| format!("/conversations/{conversation}/tags/{tag}");
        desk.post("/tags", json!({ "name": "refund" }), 201).await;
        desk.post("/tags", json!({ "name": "press" }), 201).await;
        refused(desk.api().put(&path("unheard-of"), None).await.unwrap(), 422, "tag_unknown");
        assert_eq!(desk.put(&path("refund")).await["tags"], json!(["refund"]));
        let tagged = desk.put(&path("refund")).await;
        assert_eq!(desk.put(&path("press")).await["tags"], json!(["press", "refund"]));
        assert!(desk.get(&format!("/conversations/{conversation}")).await["version"].as_u64() > tagged["version"].as_u64());
        assert_eq!(desk.delete(&path("press"), 200).await["tags"], json!(["refund"]));
        desk.delete("/tags/refund", 204).await;
        assert_eq!(desk.get(&format!("/conversations/{conversation}")).await["tags"], json!([]));
        assert_eq!(desk.get("/tags").await["items"], json!(["press"]));
        refused(desk.api().delete("/tags/refund").await.unwrap(), 404, "not_found");
        desk.stage.strike().await;
    }
}

both_databases! {
    /// who wrote each default field; an agent's name for somebody stays whatever the platform says.
    async fn each_default_field_says_who_wrote_it(db: TestDatabase) {
        let desk = Desk::open(db).await;
        let (contact, _) = desk.hears("telegram", "hello").await;
        let path = format!("/contacts/{contact}");
        let told = desk.get(&path).await;
        assert_eq!(told["profile"]["sources"]["name"], "platform", "{told}");
        let written = desk.patch(&path, json!({ "display_name": "Mara from the fair", "email": "mara@shop.example", "phone": "+4915550100009" })).await;
        assert_eq!((&written["profile"]["sources"]["email"], &written["profile"]["sources"]["phone"]), (&json!("manual"), &json!("manual")));
        let refreshed = desk.post(&format!("{path}/refresh"), json!({}), 200).await;
        assert_eq!((&refreshed["name"], &refreshed["profile"]["sources"]["name"]), (&json!("Mara from the fair"), &json!("platform")));
        assert_eq!(refreshed["profile"]["email"], "mara@shop.example");
        desk.stage.strike().await;
    }
}
