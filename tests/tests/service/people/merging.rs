//! Two contacts made one, and two again.

use futures_util::future::join_all;
use serde_json::{Value, json};
use transom_storage::both_databases;

use super::{Desk, refused, values};

/// A contact without what every change counts up.
fn lasting(contact: &Value) -> Value {
    let mut contact = contact.clone();
    for field in ["version", "updated_at"] {
        contact.as_object_mut().unwrap().remove(field);
    }
    contact
}

both_databases! {
    /// The same number over two channels is suggested; merged, both are one, and the conversations answer as they did.
    async fn duplicates_are_suggested_merged_and_parted_again(db: TestDatabase) {
        let desk = Desk::open(db).await;
        let (kept, chat) = desk.hears("whatsapp", "hello").await;
        let (gone, sms) = desk.hears("sms", "hello too").await;
        assert_ne!(kept, gone);
        desk.patch(&format!("/contacts/{kept}"), json!({ "display_name": "Mara", "email": "m@shop.example", "fields": [{ "name": "tier", "value": "gold" }] })).await;
        desk.patch(&format!("/contacts/{gone}"), json!({ "display_name": "M. Klein", "external_id": "c-7", "email": "mara@shop.example",
            "fields": [{ "name": "tier", "value": "silver" }, { "name": "score", "type": "number", "value": 7 }] })).await;
        desk.put(&format!("/contacts/{kept}/labels/vip")).await;
        for label in ["vip", "b2b"] {
            desk.put(&format!("/contacts/{gone}/labels/{label}")).await;
        }
        let suggested = desk.get(&format!("/contacts/{kept}/merge-suggestions")).await;
        assert_eq!(suggested["items"].as_array().unwrap().len(), 1);
        assert_eq!((&suggested["items"][0]["contact"]["id"], &suggested["items"][0]["because"][0]["kind"]), (&json!(gone), &json!("phone")));
        let (one, other) = (desk.get(&format!("/contacts/{kept}")).await, desk.get(&format!("/contacts/{gone}")).await);
        let answers = [&chat, &sms].map(|id| format!("/conversations/{id}"));
        let identity_of = async |path: &String| desk.get(path).await["identity"].clone();
        let before = join_all(answers.iter().map(identity_of)).await;

        let merge = desk.post(&format!("/contacts/{gone}/merge"), json!({ "into": kept }), 201).await;
        assert_eq!((&merge["kept"], &merge["gone"]), (&json!(kept), &json!(gone)));
        let lost: Vec<&str> = merge["conflicts"].as_array().unwrap().iter().map(|lost| lost["lost"].as_str().unwrap()).collect();
        for kept_in_the_record in ["M. Klein", "mara@shop.example", "silver"] {
            assert!(lost.contains(&kept_in_the_record), "{merge}");
        }
        let merged = desk.get(&format!("/contacts/{gone}")).await;
        assert_eq!((&merged["id"], &merged["name"], &merged["labels"]), (&json!(kept), &json!("Mara"), &json!(["b2b", "vip"])));
        assert_eq!((&merged["profile"]["email"], &merged["profile"]["external_id"]), (&json!("m@shop.example"), &json!("c-7")));
        assert_eq!(values(&merged), json!({ "tier": "gold", "score": 7 }));
        assert_eq!(merged["identities"].as_array().unwrap().len(), 2);
        for q in [format!("/conversations?contact={gone}"), format!("/conversations?q=contact:{gone}")] {
            assert_eq!(desk.get(&q).await["items"].as_array().unwrap().len(), 2, "{q}: the old id finds what both have");
        }
        assert_eq!(desk.get(&format!("/contacts?q=contact:{gone}")).await["items"][0]["id"], json!(kept));
        assert_eq!(desk.get("/contacts?q=Klein").await["items"].as_array().unwrap().len(), 1);
        assert_eq!(join_all(answers.iter().map(identity_of)).await, before, "each conversation answers to its own identity");
        for path in &answers {
            assert_eq!(desk.get(path).await["contact"], json!(kept));
        }
        refused(desk.api().post(&format!("/contacts/{kept}/merge"), json!({ "from": gone })).await.unwrap(), 409, "merge_same");
        refused(desk.api().post(&format!("/contacts/{kept}/merge"), json!({})).await.unwrap(), 422, "invalid_value");

        // A message over either channel, and a change by hand, in between.
        desk.hears("sms", "in between").await;
        desk.patch(&format!("/contacts/{kept}"), json!({ "first_name": "Mara", "fields": [{ "name": "score", "value": 8 }] })).await;
        let id = merge["id"].as_str().unwrap();
        assert_eq!(desk.get(&format!("/contacts/{kept}/merges")).await["items"][0]["id"], merge["id"]);
        desk.post(&format!("/merges/{id}/undo"), json!({}), 200).await;
        refused(desk.api().post(&format!("/merges/{id}/undo"), json!({})).await.unwrap(), 409, "merge_undone");
        assert_eq!(lasting(&desk.get(&format!("/contacts/{gone}")).await), lasting(&other));
        let back = desk.get(&format!("/contacts/{kept}")).await;
        assert_eq!((&back["profile"]["first_name"], &values(&back)["score"]), (&json!("Mara"), &json!(8)), "told since, it stays");
        assert_eq!((&back["labels"], &back["identities"], &back["profile"]["external_id"]), (&one["labels"], &one["identities"], &Value::Null));
        assert_eq!(desk.get(&answers[1]).await["contact"], json!(gone));
        let texts = async |contact: &str| desk.get(&format!("/contacts/{contact}/history")).await.to_string();
        let (his, hers) = (texts(&kept).await, texts(&gone).await);
        assert!(hers.contains("in between") && hers.contains("hello too") && !his.contains("in between"), "{his} {hers}");
        let (again, _) = desk.hears("sms", "afterwards").await;
        assert_eq!(again, gone);
        desk.stage.strike().await;
    }
}

both_databases! {
    /// Who belongs to an agent still does as a part of another contact, and again on their own.
    async fn the_agent_of_their_own_comes_along(db: TestDatabase) {
        let desk = Desk::open(db).await;
        let [a, b] = [1, 2].map(|n| json!({ "display_name": format!("Nora {n}"), "external_id": format!("x{n}") }));
        let (a, b) = (desk.add(a).await, desk.add(b).await);
        let me = desk.get("/me").await["agent"]["id"].clone();
        let agent_of = async |id: &str| desk.get(&format!("/contacts/{id}/agent")).await["agent"].clone();
        let given = desk.api().put(&format!("/contacts/{b}/agent"), Some(json!({ "agent": me }))).await.unwrap();
        given.expect(200).unwrap();
        let merge = desk.post(&format!("/contacts/{a}/merge"), json!({ "from": b }), 201).await;
        assert_eq!(agent_of(&a).await, me);
        desk.post(&format!("/merges/{}/undo", merge["id"].as_str().unwrap()), json!({}), 200).await;
        assert_eq!((agent_of(&a).await, agent_of(&b).await), (Value::Null, me));
        desk.stage.strike().await;
    }
}

both_databases! {
    /// Changes at once: none of them writes back what another one changed.
    async fn changes_of_one_contact_lose_nothing(db: TestDatabase) {
        const FIELDS: [&str; 6] = ["display_name", "first_name", "last_name", "external_id", "email", "language"];
        let desk = Desk::open(db).await;
        let (contact, _) = desk.hears("whatsapp", "hello").await;
        let path = format!("/contacts/{contact}");
        for round in 0..8 {
            let value = |field: &str| if field == "email" { format!("e{round}@shop.example") } else { format!("{field} {round}") };
            let changes = join_all(FIELDS.iter().map(async |field| {
                desk.patch(&path, Value::Object([((*field).to_owned(), json!(value(field)))].into_iter().collect())).await;
            }));
            let turn = if round % 2 == 0 { "block" } else { "unblock" };
            let turn = format!("{path}/{turn}");
            futures_util::future::join(changes, desk.post(&turn, json!({}), 200)).await;
            let now = desk.get(&path).await;
            for field in FIELDS {
                let told = if field == "display_name" { &now["name"] } else { &now["profile"][field] };
                assert_eq!(told, &json!(value(field)), "round {round}: {now}");
            }
            assert_eq!(now["blocked"], json!(round % 2 == 0), "round {round}: {now}");
        }
        desk.stage.strike().await;
    }
}

both_databases! {
    /// Merges are taken back in their order, the last one first; a block must be the same on both.
    async fn merges_build_on_each_other(db: TestDatabase) {
        let desk = Desk::open(db).await;
        let [a, b, c] = [1, 2, 3].map(|n| json!({ "display_name": format!("Nora {n}"), "phone": format!("+4670000000{n}"), "external_id": format!("x{n}") }));
        let (a, b, c) = (desk.add(a).await, desk.add(b).await, desk.add(c).await);
        desk.post(&format!("/contacts/{c}/block"), json!({}), 200).await;
        refused(desk.api().post(&format!("/contacts/{a}/merge"), json!({ "from": c })).await.unwrap(), 409, "merge_blocked");
        assert_eq!(desk.get(&format!("/contacts/{c}")).await["id"], json!(c), "nothing half done");
        desk.post(&format!("/contacts/{c}/unblock"), json!({}), 200).await;

        let before = [desk.get(&format!("/contacts/{a}")).await, desk.get(&format!("/contacts/{b}")).await];
        let first = desk.post(&format!("/contacts/{a}/merge"), json!({ "from": b }), 201).await["id"].as_str().unwrap().to_owned();
        let second = desk.post(&format!("/contacts/{a}/merge"), json!({ "into": c }), 201).await["id"].as_str().unwrap().to_owned();
        assert_eq!(desk.get(&format!("/contacts/{b}")).await["id"], json!(c), "an id of an id");
        let problem = refused(desk.api().post(&format!("/merges/{first}/undo"), json!({})).await.unwrap(), 409, "merge_not_last");
        assert!(problem["detail"].as_str().unwrap().contains(&second), "{problem}");
        desk.post(&format!("/merges/{second}/undo"), json!({}), 200).await;
        assert_eq!(desk.get(&format!("/contacts/{b}")).await["id"], json!(a));
        desk.post(&format!("/merges/{first}/undo"), json!({}), 200).await;
        let after = [desk.get(&format!("/contacts/{a}")).await, desk.get(&format!("/contacts/{b}")).await];
        assert_eq!(after.each_ref().map(lasting), before.each_ref().map(lasting));
        desk.stage.strike().await;
    }
}

both_databases! {
    /// Ten people merge the same two, in either direction, while the customer writes: one contact, and every message.
    async fn many_merge_at_once_while_the_customer_writes(db: TestDatabase) {
        let desk = Desk::open(db).await;
        let (one, _) = desk.hears("whatsapp", "hello").await;
        let (other, _) = desk.hears("sms", "hello too").await;
        let account = desk.stage.world.account("sms").unwrap().at_sandbox.clone();
        let merges = (0..10).map(async |n| {
            desk.stage.world.control().writes(&account, "mara", &format!("word {n}")).unwrap();
            let (this, that) = if n % 2 == 0 { (&one, &other) } else { (&other, &one) };
            let answer = desk.api().post(&format!("/contacts/{this}/merge"), json!({ "from": that })).await.unwrap();
            assert!(answer.status == 201 || answer.status == 409, "{}", answer.body);
            answer.status
        });
        let done = join_all(merges).await.into_iter().filter(|status| *status == 201).count();
        assert_eq!(done, 1, "the others find one contact");
        desk.stage.quiet().await.unwrap();
        let list = desk.get("/contacts").await;
        assert_eq!(list["items"].as_array().unwrap().len(), 1);
        let history = desk.get(&format!("/contacts/{one}/history?limit=100")).await.to_string();
        assert!((0..10).all(|n| history.contains(&format!("word {n}"))), "{history}");
        desk.stage.strike().await;
    }
}
