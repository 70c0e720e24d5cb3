//! Export of conversations and contacts, over real HTTP, on both databases.

use std::collections::{BTreeMap, BTreeSet};

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use transom_domain::SettableClock;
use transom_storage::both_databases;
use transom_tests::Stage;
use transom_tests::crowd::crowd;

async fn download(stage: &Stage, path: &str) -> (String, String) {
    let request = transom_tests::http().get(format!("{}/v1{path}", stage.world.server.base_url()));
    let reply = request.bearer_auth(stage.world.token.expose_secret()).send().await.unwrap();
    assert_eq!(reply.status(), 200, "{path}");
    let mime = reply.headers()["content-type"].to_str().unwrap().to_owned();
    assert!(reply.headers()["content-disposition"].to_str().unwrap().starts_with("attachment"), "{path}");
    // As bytes: a decoder would take the mark away.
    (mime, String::from_utf8(reply.bytes().await.unwrap().to_vec()).unwrap())
}

/// The lines of a CSV, by the names in its first line.
fn table(csv: &str) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    reader.deserialize().map(Result::unwrap).collect()
}

both_databases! {
    /// each conversation once, with each of its messages once, in order; as CSV and as JSON alike.
    async fn every_message_is_exported_once_and_in_order(db: TestDatabase) {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        let ids = crowd(&stage, "whatsapp", 40, 3).await.unwrap();
        let long = crowd(&stage, "telegram", 1, 450).await.unwrap();
        let (mime, text) = download(&stage, "/conversations/export?format=csv&include=messages&bom=true").await;
        assert_eq!(mime, "text/csv; charset=utf-8");
        let csv = table(text.strip_prefix('\u{feff}').unwrap());
        assert_eq!(csv.len(), 40 * 3 + 450);
        let (_, text) = download(&stage, "/conversations/export?format=jsonl&include=messages").await;
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let of_csv: Vec<_> = csv.iter().map(|line| line["message"].as_str()).collect();
        let of_json: Vec<_> = lines.iter().map(|line| line["message"].as_str().unwrap()).collect();
        assert_eq!(of_csv, of_json);
        assert_eq!(of_json.iter().collect::<BTreeSet<_>>().len(), lines.len(), "none twice");
        let of_long: Vec<&Value> = lines.iter().filter(|line| line["conversation"] == json!(long[0])).collect();
        assert_eq!(of_long.len(), 450);
        for (index, line) in of_long.iter().enumerate() {
            let text = format!("message {index} of person 0, \"quoted\", and on");
            assert_eq!((&line["text"], &line["platform"]), (&json!(text), &json!("telegram")));
        }

        let (_, text) = download(&stage, &format!("/conversations/export?ids={}&ids={}", ids[3], ids[7])).await;
        let named: Vec<_> = table(&text).into_iter().map(|line| line["conversation"].clone()).collect();
        assert_eq!(named, [ids[3].to_string(), ids[7].to_string()]);
        let (_, text) = download(&stage, "/conversations/export?filter=platform%3Atelegram&format=jsonl").await;
        assert_eq!(text.lines().count(), 1, "{text}");
        stage.strike().await;
    }
}

both_databases! {
    /// contacts as CSV; what a spreadsheet would take for a formula is text.
    async fn contacts_are_exported_and_no_cell_is_a_formula(db: TestDatabase) {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        for (name, phone) in [("=cmd|' /C calc'!A0", "+4915550100001"), ("Mara, \"M\" Klein", "+4915550100002")] {
            let contact = json!({ "display_name": name, "phone": phone });
            stage.api.post("/contacts", contact).await.unwrap().expect(201).unwrap();
        }
        let (_, text) = download(&stage, "/contacts/export").await;
        let lines = table(&text);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["display_name"], "Mara, \"M\" Klein");
        assert_eq!(lines[1]["display_name"], "'=cmd|' /C calc'!A0");
        assert_eq!(lines[0]["phone"], "'+4915550100002");
        let (mime, text) = download(&stage, "/contacts/export?format=jsonl&q=mara").await;
        assert_eq!(mime, "application/x-ndjson");
        let line: Value = serde_json::from_str(text.trim()).unwrap();
        assert_eq!((&line["phone"], &line["blocked"]), (&json!("+4915550100002"), &json!(false)));
        // The same language as in the list.
        let path = format!("/contacts/{}/labels/vip", line["contact"].as_str().unwrap());
        stage.api.put(&path, None).await.unwrap().expect(200).unwrap();
        for (q, found) in [("label%3Avip", 1), ("-label%3Avip", 1), ("vip", 0)] {
            let (_, text) = download(&stage, &format!("/contacts/export?format=jsonl&q={q}")).await;
            assert_eq!(text.lines().count(), found, "{q}: {text}");
        }
        stage.strike().await;
    }
}
