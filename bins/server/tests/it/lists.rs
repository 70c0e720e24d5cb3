//! Pages, cursors, filters, versions.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use transom_desk::queries;
use transom_sandbox::NewCustomer;
use transom_storage::test_support::statements;
use transom_storage::{ContactQuery, ConversationQuery};

use super::support::{Bench, Client};

async fn pages(client: &Client, path: &str) -> Vec<Value> {
    let mut items = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let more = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let page = client.get(&format!("{path}{more}")).await.expect(200);
        items.extend(page["items"].as_array().unwrap().clone());
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            return items;
        }
    }
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_repeat() {
    let bench = Bench::start().await;
    for index in 0..7 {
        bench.admin.post("/contacts", json!({ "display_name": format!("Contact {index}") })).await.expect(201);
    }
    let all: Vec<Value> = bench.admin.get("/contacts").await.expect(200)["items"].as_array().unwrap().clone();
    assert_eq!(all.len(), 7);
    for limit in [1, 3, 7, 100] {
        assert_eq!(pages(&bench.admin, &format!("/contacts?limit={limit}")).await, all, "limit {limit}");
    }
    assert_eq!(pages(&bench.admin, "/contacts?limit=1&q=contact+3").await.len(), 1);
    bench.stop().await;
}

#[tokio::test]
async fn a_forged_or_foreign_cursor_is_400() {
    let bench = Bench::start().await;
    let neighbour = bench.neighbour().await;
    for client in [&bench.admin, &neighbour] {
        for index in 0..3 {
            client.post("/contacts", json!({ "display_name": format!("Contact {index}") })).await.expect(201);
        }
    }
    let page = bench.admin.get("/contacts?limit=1").await.expect(200);
    let cursor = page["next_cursor"].as_str().unwrap();
    bench.admin.get(&format!("/contacts?limit=2&cursor={cursor}")).await.expect(200);

    let foreign = neighbour.get(&format!("/contacts?limit=1&cursor={cursor}")).await;
    assert_eq!(foreign.refused(400, "cursor_invalid")["field"], "cursor");
    // Another filter is another list.
    bench.admin.get(&format!("/contacts?q=contact&cursor={cursor}")).await.refused(400, "cursor_invalid");
    bench.admin.get(&format!("/quarantine?cursor={cursor}")).await.refused(400, "cursor_invalid");
    bench.admin.get(&format!("/conversations?cursor={cursor}")).await.refused(400, "cursor_invalid");
    let flipped = cursor.chars().map(|c| if c == 'A' { 'B' } else { 'A' }).collect::<String>();
    for forged in ["x", "", "%00", &flipped, &cursor[1..], &format!("{cursor}A")] {
        bench.admin.get(&format!("/contacts?cursor={forged}")).await.refused(400, "cursor_invalid");
    }
    bench.stop().await;
}

#[tokio::test]
async fn changes_ask_for_the_version_that_was_seen() {
    let bench = Bench::start().await;
    let made = bench.admin.post("/contacts", json!({ "display_name": "Mara" })).await.expect(201);
    let path = format!("/contacts/{}", made["id"].as_str().unwrap());
    let seen = bench.admin.get(&path).await;
    let tag = seen.header("etag").unwrap().to_owned();
    assert_eq!(tag, format!("\"{}\"", seen.body["version"]));

    let change = |name: &str| json!({ "display_name": name }).to_string().into_bytes();
    let patch = reqwest::Method::PATCH;
    let changed = bench.admin.call(patch.clone(), &path, Some(change("Mara K.")), &[("if-match", &tag)]).await;
    assert_ne!(changed.header("etag"), Some(tag.as_str()));
    assert_eq!(changed.expect(200)["name"], "Mara K.");
    let stale = bench.admin.call(patch.clone(), &path, Some(change("Late")), &[("if-match", &tag)]).await;
    stale.refused(412, "version_mismatch");
    let malformed = bench.admin.call(patch.clone(), &path, Some(change("x")), &[("if-match", "7")]).await;
    malformed.refused(400, "parameter_invalid");
    let any = bench.admin.call(patch, &path, Some(change("Mara")), &[("if-match", "*")]).await;
    assert_eq!(any.expect(200)["name"], "Mara");

    let settings = bench.admin.get("/settings").await;
    let tag = settings.header("etag").unwrap().to_owned();
    assert_eq!(settings.expect(200)["on_close"], "unassign");
    let changed = bench.admin.patch("/settings", json!({ "on_close": "keep" })).await.expect(200);
    assert_eq!((&changed["on_close"], &changed["answer_opens_days"]), (&json!("keep"), &json!(7)));
    let body = json!({ "tags_required": true }).to_string().into_bytes();
    let stale = bench.admin.call(reqwest::Method::PATCH, "/settings", Some(body), &[("if-match", &tag)]).await;
    stale.refused(412, "version_mismatch");
    bench.stop().await;
}

/// R-209 for every row, and no query for every row.
#[tokio::test]
async fn a_page_takes_as_many_statements_as_a_row() {
    let bench = Bench::start().await;
    let (whatsapp, telegram) = (bench.whatsapp().await, bench.telegram().await);
    let control = bench.sandbox.control();
    for index in 0..50 {
        let id = format!("customer-{index}");
        let account = if index % 2 == 0 { &whatsapp } else { &telegram };
        control.create_customer(NewCustomer::named(&id, &id, &format!("+49155501{index:05}"))).unwrap();
        control.writes(&account.twin.id, &id, "hello").unwrap();
    }
    let all = bench
        .until("everybody is there", || async {
            let page = bench.admin.get("/conversations?limit=100").await.expect(200);
            let items = page["items"].as_array().unwrap().clone();
            (items.len() == 50).then_some(items)
        })
        .await;
    // Somebody has used a quota: those rows are read as well.
    let path = format!("/conversations/{}/messages", all[0]["id"].as_str().unwrap());
    bench.admin.post(&path, json!({ "text": "hello" })).await.expect(202);

    let (desk, caller) = (bench.server.desk(), &bench.caller);
    let page = async |limit: u32| {
        let query = ConversationQuery { limit, ..ConversationQuery::new(bench.now()) };
        let (rows, count) = statements::counted(queries::conversations(desk, caller, &query)).await;
        let rows = rows.unwrap();
        let platforms: BTreeSet<_> = rows.iter().map(|row| row.stored.account).collect();
        assert!(platforms.len() == 2 && rows.iter().all(|row| !row.human.permits().is_empty()));
        (rows.len(), count)
    };
    // The first look reads the settings of the channels as well.
    page(10).await;
    let ((few, some), (many, more)) = (page(10).await, page(50).await);
    assert_eq!((few, many), (10, 50));
    assert!(more <= some + 2, "{some} statements for {few} rows, {more} for {many}");
    assert!(more <= 12, "{more} statements for {many} rows");

    let contacts = async |limit: u32| {
        let query = ContactQuery { limit, ..ContactQuery::default() };
        let (rows, count) = statements::counted(queries::contacts(desk, caller, &query)).await;
        (rows.unwrap().len(), count)
    };
    assert_eq!((contacts(10).await, contacts(50).await), ((10, 3), (50, 3)));
    bench.stop().await;
}

#[tokio::test]
async fn conversations_are_filtered_counted_and_decided() {
    let bench = Bench::start().await;
    let (whatsapp, telegram) = (bench.whatsapp().await, bench.telegram().await);
    let mara = bench.hears(&whatsapp, "Mara", "+4915550100001", "hello").await;
    let ann = bench.hears(&telegram, "Ann", "+4915550100002", "hi").await;
    let find = async |filter: &str| {
        let list = bench.admin.get(&format!("/conversations?{filter}")).await.expect(200);
        let mut names: Vec<String> =
            list["items"].as_array().unwrap().iter().map(|c| c["contact_name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names.join(" ")
    };
    assert_eq!(find("platform=whatsapp").await, "Mara");
    assert_eq!(find("platform=whatsapp&platform=telegram").await, "Ann Mara");
    assert_eq!(find("q=mara").await, "Mara");
    assert_eq!(find(&format!("contact={}", ann["contact"].as_str().unwrap())).await, "Ann");
    assert_eq!(find("inbox=mine").await, "");
    assert_eq!(find("inbox=unassigned&tab=open").await, "Ann Mara");
    assert_eq!(find("status=closed").await, "");
    assert_eq!(find("closing_within=90000&sort=closing_soonest").await, "Mara");

    let window = &mara["window"]["human"];
    assert_eq!(window["state"], "open");
    assert_eq!(ann["window"]["human"]["state"], "none");
    bench
        .admin
        .post(&format!("/conversations/{}/messages", mara["id"].as_str().unwrap()), json!({ "text": "yes?" }))
        .await
        .expect(202);
    assert_eq!(find("inbox=mine").await, "Mara", "who answers has it");
    let counted = bench.admin.get("/conversations?counts=true&limit=1").await.expect(200);
    assert_eq!(counted["counts"], json!({ "open": 1, "assigned": 1, "snoozed": 0, "closed": 0, "all": 2 }));
    bench.stop().await;
}
