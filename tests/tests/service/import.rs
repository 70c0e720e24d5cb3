//! Contacts from a file, over real HTTP, on both databases.

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use transom_domain::SettableClock;
use transom_storage::both_databases;
use transom_tests::Stage;

/// The job of an import, once it has ended, and what came of each line.
async fn imported(stage: &Stage, key: &str, body: Value) -> (Value, Vec<Value>) {
    let job = stage.api.post_once("/contacts/import", key, body).await.unwrap().expect(202).unwrap().body;
    let path = format!("/jobs/{}", job["id"].as_str().unwrap());
    let ended = || async {
        let job = stage.api.get(&path).await?.expect(200)?.body;
        Ok(Some(job).filter(|job| job["finished_at"].is_string()))
    };
    let job = stage.world.until("the import has ended", ended).await.unwrap();
    let page = stage.api.get(&format!("{path}/results?limit=100")).await.unwrap().expect(200).unwrap().body;
    (job, page["items"].as_array().unwrap().clone())
}

fn verdicts(lines: &[Value]) -> Vec<(&str, &str)> {
    lines.iter().map(|line| (line["result"].as_str().unwrap(), line["code"].as_str().unwrap_or_default())).collect()
}

async fn contacts(stage: &Stage, query: &str) -> Vec<Value> {
    let page = stage.api.get(&format!("/contacts?{query}")).await.unwrap().expect(200).unwrap().body;
    page["items"].as_array().unwrap().clone()
}

both_databases! {
    /// tried, done, done again: each line says what came of it, and the second time nothing changes.
    async fn a_file_is_tried_taken_and_taken_again(db: TestDatabase) {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        stage.api.patch("/settings", json!({ "default_country": "DE" })).await.unwrap().expect(200).unwrap();
        let known = json!({ "display_name": "Mara", "email": "mara@example.com" });
        let known = stage.api.post("/contacts", known).await.unwrap().expect(201).unwrap();
        let csv = "Name,Phone,E-Mail,external id,Labels\r\n\
                   Mara Klein,,MARA@example.com,,\"vip, old\"\r\n\
                   Ole Hansen,030 901820,,A-7,\r\n\
                   =cmd(),not a number,,,\r\n\
                   ,,,,\r\n\
                   Lena,,,B-8,\r\n";
        let (tried, lines) = imported(&stage, "dry", json!({ "csv": csv, "dry_run": true })).await;
        let expected = [("changed", ""), ("created", ""), ("failed", "phone_invalid"), ("failed", "contact_empty"), ("created", "")];
        assert_eq!(verdicts(&lines), expected, "{tried}");
        let detail = "`not a number` is no phone number of DE: write it with + and the country code, such as +4915550100001";
        assert_eq!(lines[2]["detail"], detail);
        // In the words of the single call.
        let nobody = stage.api.post("/contacts", json!({ "language": "de" })).await.unwrap();
        assert_eq!((lines[3]["code"].as_str(), lines[3]["detail"].as_str()), (nobody.text("/code"), nobody.text("/detail")));
        assert!(lines[0].get("detail").is_none(), "{lines:?}");
        assert_eq!(contacts(&stage, "").await.len(), 1, "a dry run stores nothing");

        let (done, lines) = imported(&stage, "real", json!({ "csv": csv, "labels": ["2026"] })).await;
        assert_eq!(verdicts(&lines), expected, "{done}");
        assert_eq!((&done["state"], &done["changed"], &done["failed"]), (&json!("done"), &json!(3), &json!(2)));
        assert_eq!(lines[0]["contact"], known.body["id"], "found by the email address, whatever its case");
        let mara = &contacts(&stage, "label=vip").await[0];
        assert_eq!((&mara["display_name"], &mara["labels"]), (&json!("Mara Klein"), &json!(["2026", "old", "vip"])), "{mara}");
        let ole = &contacts(&stage, "q=ole").await[0];
        assert_eq!(ole["profile"]["phone"], "+4930901820", "{ole}");

        let (again, lines) = imported(&stage, "again", json!({ "csv": csv, "labels": ["2026"] })).await;
        assert_eq!(again["changed"], 0, "{again}");
        assert_eq!(verdicts(&lines)[4], ("unchanged", ""), "found by the external id");
        assert_eq!(contacts(&stage, "").await.len(), 3);
        stage.strike().await;
    }
}

both_databases! {
    /// What an export gives, an import takes back without a change; an uploaded file does as well as text.
    async fn an_export_comes_back_unchanged_and_files_are_read(db: TestDatabase) {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        let fields = json!([
            { "name": "Order num", "value": "=A-1" },
            { "name": "score", "type": "number", "value": -2.5 },
            { "name": "since", "type": "date", "value": "2026-02-28" },
            { "name": "member", "type": "boolean", "value": true },
        ]);
        let contact = json!({ "display_name": "-Dash, \"D\"", "phone": "+4915550100001", "language": "de",
            "time_zone": "Europe/Berlin", "fields": fields });
        let added = stage.api.post("/contacts", contact).await.unwrap().expect(201).unwrap();
        let labelled = format!("/contacts/{}/labels/vip", added.text("/id").unwrap());
        stage.api.put(&labelled, None).await.unwrap().expect(200).unwrap();
        let request = transom_tests::http().get(format!("{}/v1/contacts/export?bom=true", stage.world.server.base_url()));
        let reply = request.bearer_auth(stage.world.token.expose_secret()).send().await.unwrap();
        let exported = reply.bytes().await.unwrap().to_vec();
        let text = String::from_utf8(exported.clone()).unwrap();
        assert!(text.contains(",de,Europe/Berlin,"), "{text}");
        assert!(text.contains(",custom.member,custom.Order num,custom.score,custom.since\r\n"), "{text}");
        assert!(text.ends_with(",true,'=A-1,-2.5,2026-02-28\r\n"), "{text}");
        let part = reqwest::multipart::Part::bytes(exported).file_name("contacts.csv").mime_str("text/csv").unwrap();
        let form = reqwest::multipart::Form::new().part("file", part);
        let file = stage.api.upload("/attachments", form).await.unwrap().expect(201).unwrap();
        let (job, lines) = imported(&stage, "file", json!({ "attachment": file.body["id"] })).await;
        assert_eq!(verdicts(&lines), [("unchanged", "")], "{job}");

        let changed = "phone,time_zone,custom.order num,custom.score,custom.member\r\n+4915550100001,America/Lima,B-2,,no\r\n,,C-3,nine,\r\n";
        let (_, lines) = imported(&stage, "changed", json!({ "csv": changed })).await;
        assert_eq!(verdicts(&lines), [("changed", ""), ("failed", "field_value_invalid")]);
        assert_eq!(lines[1]["detail"], "`score` takes a number");
        let kept = &contacts(&stage, "q=custom.%22Order%20num%22:B-2").await[0];
        let values: Vec<_> = kept["fields"].as_array().unwrap().iter().map(|field| &field["value"]).collect();
        assert_eq!(kept["profile"]["time_zone"], "America/Lima", "{kept}");
        assert_eq!(values, [&json!(false), &json!("B-2"), &json!(-2.5), &json!("2026-02-28")], "{kept}");

        for (csv, code) in [("custom.size\nL\n", "import_invalid"), ("colour\nred\n", "import_invalid"), ("", "import_invalid")] {
            let refused = stage.api.post_once("/contacts/import", "wrong", json!({ "csv": csv })).await.unwrap();
            assert_eq!((refused.status, refused.text("/code")), (422, Some(code)), "{}", refused.body);
        }
        let both = json!({ "csv": "email\n", "attachment": file.body["id"] });
        let refused = stage.api.post_once("/contacts/import", "both", both).await.unwrap();
        assert_eq!(refused.text("/code"), Some("selection_ambiguous"));
        stage.strike().await;
    }
}
