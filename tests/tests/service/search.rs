//! Searches, inboxes and the closing-soon queue, over real HTTP, on both databases.

use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};
use transom_desk::search;
use transom_domain::{Role, SettableClock};
use transom_sandbox::NewCustomer;
use transom_storage::both_databases;
use transom_tests::{Api, Stage};

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |encoded, byte| encoded + &format!("%{byte:02X}"))
}

/// The names on a list, in its order.
async fn names(api: &Api, path: &str, q: &str, more: &str) -> Vec<String> {
    let page = api.get(&format!("{path}?q={}{more}", encoded(q))).await.unwrap().expect(200).unwrap().body;
    let name = |item: &Value| item["contact_name"].as_str().or(item["name"].as_str()).unwrap_or_default().to_owned();
    page["items"].as_array().unwrap().iter().map(name).collect()
}

async fn found(api: &Api, path: &str, q: &str) -> String {
    let mut found = names(api, path, q, "").await;
    found.sort();
    found.join(", ")
}

async fn refused(api: &Api, path: &str, q: &str) -> String {
    let reply = api.get(&format!("{path}?q={}", encoded(q))).await.unwrap().expect(400).unwrap();
    assert_eq!((reply.text("/code"), reply.text("/field")), (Some("search_invalid"), Some("q")));
    reply.text("/detail").unwrap().to_owned()
}

async fn hears(stage: &Stage, platform: &str, customer: NewCustomer) {
    let account = stage.world.account(platform).unwrap().at_sandbox.clone();
    let (id, name) = (customer.id.clone().unwrap(), customer.name.clone().unwrap());
    stage.world.control().create_customer(customer).unwrap();
    stage.world.control().writes(&account, &id, "hello").unwrap();
    stage.world.conversation_with(platform, &name).await.unwrap();
}

both_databases! {
    /// oldest and newest by the last message, longest waiting by who waits for an answer.
    async fn lists_are_sorted_by_age_and_by_who_waits(db: TestDatabase) {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        let api = &stage.api;
        for (id, name, number) in [("ann", "Ann", 1), ("ben", "Ben", 2), ("cleo", "Cleo", 3)] {
            hears(&stage, "telegram", NewCustomer::named(id, name, &format!("+491555010000{number}"))).await;
            stage.world.clock.advance(Duration::MINUTE);
        }
        let sorted = async |sort: &str| names(api, "/conversations", "", &format!("&sort={sort}")).await;
        assert_eq!(sorted("newest").await, ["Cleo", "Ben", "Ann"]);
        assert_eq!(sorted("oldest").await, ["Ann", "Ben", "Cleo"]);
        assert_eq!(sorted("longest_waiting").await, ["Ann", "Ben", "Cleo"]);

        // Ann writes again: the newest, and still who has waited longest. Ben is answered: the newest now, and waits no more.
        let account = stage.world.account("telegram").unwrap().at_sandbox.clone();
        stage.world.control().writes(&account, "ann", "anybody?").unwrap();
        let first = || async { Ok((sorted("newest").await[0] == "Ann").then_some(())) };
        stage.world.until("Ann is the newest", first).await.unwrap();
        assert_eq!(sorted("oldest").await, ["Ben", "Cleo", "Ann"]);
        assert_eq!(sorted("longest_waiting").await, ["Ann", "Ben", "Cleo"]);
        stage.world.clock.advance(Duration::MINUTE);
        let (_, ben) = stage.world.conversation_with("telegram", "Ben").await.unwrap();
        let answer = json!({ "text": "Here I am" });
        api.post(&format!("/conversations/{ben}/messages"), answer).await.unwrap().expect(202).unwrap();
        assert_eq!(sorted("oldest").await, ["Cleo", "Ann", "Ben"]);
        assert_eq!(sorted("longest_waiting").await, ["Ann", "Cleo"]);
        stage.strike().await;
    }
}

both_databases! {
    /// each field by its own rule, words in all of them.
    async fn each_field_is_found_by_its_rule(db: TestDatabase) {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        let api = &stage.api;
        for person in [
            json!({ "display_name": "José Ángel Müller-Weiß", "phone": "+4915550100001", "email": "jose.angel@example.org" }),
            json!({ "display_name": "王小明", "phone": "+8613800138000", "email": "ming@example.cn" }),
            json!({ "display_name": "김민준", "email": "minjun@example.kr" }),
            json!({ "display_name": "สมชาย", "email": "somchai@example.th" }),
            json!({ "display_name": "Мария Иванова", "phone": "+79161234567" }),
            json!({ "display_name": "Γιώργος", "email": "JORGOS@Example.GR" }),
        ] {
            api.post("/contacts", person).await.unwrap().expect(201).unwrap();
        }
        let ann = NewCustomer { username: Some("Ann_Able".into()), ..NewCustomer::named("ann", "Ann", "+4915550100002") };
        hears(&stage, "telegram", ann).await;
        let cases = [
            // Names: the beginning of each word, in any order, whatever the case and the accents.
            ("jose", "José Ángel Müller-Weiß"),
            ("name:\"ANGEL jos\"", "José Ángel Müller-Weiß"),
            ("weiss mull", "José Ángel Müller-Weiß"),
            ("ngel", ""),
            ("name:jose.angel@example.org", ""),
            ("小明", "王小明"),
            ("name:明", "王小明"),
            ("王明", ""),
            ("민준", "김민준"),
            ("ชาย", "สมชาย"),
            ("мари", "Мария Иванова"),
            ("γιωρ", "Γιώργος"),
            // Email: the whole or its beginning.
            ("email:jose.angel@example.org", "José Ángel Müller-Weiß"),
            ("email:JORGOS@", "Γιώργος"),
            ("email:example", ""),
            ("ming@ex", "王小明"),
            ("name:ming", ""),
            // Numbers: any form, 4 digits of the end at least.
            ("+49 (1555) 010-0001", "José Ángel Müller-Weiß"),
            ("phone:\"0049 1555 0100001\"", "José Ángel Müller-Weiß"),
            ("01555 010.0001", "José Ángel Müller-Weiß"),
            ("phone:8000", "王小明"),
            ("phone:1555", ""),
            // User names: the beginning, with or without @. Ids: the whole.
            ("@ann_", "Ann"),
            ("username:Ann_Able", "Ann"),
            ("username:able", ""),
            // Nothing but text between quotes.
            ("\"status:open\"", ""),
        ];
        for (q, expected) in cases {
            assert_eq!(found(api, "/contacts", q).await, expected, "{q}");
        }
        for (q, expected) in [("@ann", "Ann"), ("username:ann_able", "Ann"), ("jose", "")] {
            assert_eq!(found(api, "/conversations", q).await, expected, "{q}");
        }
        let contact = &api.get("/contacts?q=%40ann").await.unwrap().body["items"][0];
        let id = contact["identities"][0]["addresses"][0]["value"].as_str().unwrap();
        assert_eq!(found(api, "/contacts", &format!("id:\"{id}\"")).await, "Ann");
        assert_eq!(found(api, "/contacts", id).await, "Ann");
        assert_eq!(found(api, "/contacts", &format!("id:\"{}\"", &id[1..])).await, "", "never a part of an id");

        // As people dial at home, once the workspace says where that is.
        assert_eq!(found(api, "/contacts", "8 (916) 123-45-67").await, "");
        api.patch("/settings", json!({ "default_country": "RU" })).await.unwrap().expect(200).unwrap();
        assert_eq!(found(api, "/contacts", "8 (916) 123-45-67").await, "Мария Иванова");
        assert_eq!(found(api, "/contacts", "phone:810491555010000").await, "", "no valid number");
        assert_eq!(found(api, "/contacts", "8 10 49 1555 0100001").await, "José Ángel Müller-Weiß");
        stage.strike().await;
    }

    /// custom fields exactly, numbers and days also by their order; in both lists.
    async fn custom_fields_are_found_by_what_they_hold(db: TestDatabase) {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        let api = &stage.api;
        let colour = json!({ "name": "Colour", "type": "choice", "options": ["Light blue", "Red"] });
        api.post("/custom-fields", colour).await.unwrap().expect(201).unwrap();
        let fields = |order: &str, score: f64, since: &str, member: bool, colour: &str| {
            json!([
                { "name": "Order num", "value": order },
                { "name": "größe", "type": "number", "value": score },
                { "name": "since", "type": "date", "value": since },
                { "name": "member", "type": "boolean", "value": member },
                { "name": "colour", "value": colour },
            ])
        };
        for (name, fields) in [
            ("Mara", fields("A-1", 7.0, "2026-01-31", true, "red")),
            ("Ole", fields("a-1", -2.5, "2026-02-28", false, "light blue")),
            ("Lena", fields(">A-1, \"x\"", 12.0, "2026-11-20", true, "red")),
        ] {
            let person = json!({ "display_name": name, "fields": fields });
            api.post("/contacts", person).await.unwrap().expect(201).unwrap();
        }
        api.post("/contacts", json!({ "display_name": "Nobody" })).await.unwrap().expect(201).unwrap();
        for (q, expected) in [
            ("custom.\"order num\":A-1", "Mara"),
            ("custom.\"ORDER  num\":A-1,a-1", "Mara, Ole"),
            ("custom.\"order num\":A", ""),
            ("custom.\"order num\":\">A-1, \\\"x\\\"\"", "Lena"),
            ("custom.größe:7", "Mara"),
            ("custom.größe:7.0,12", "Lena, Mara"),
            ("custom.größe:>7", "Lena"),
            ("custom.größe:>=7", "Lena, Mara"),
            ("custom.größe:<0", "Ole"),
            ("custom.größe:<=7 custom.größe:>-3", "Mara, Ole"),
            ("-custom.größe:7", "Lena, Nobody, Ole"),
            ("custom.since:2026-02-28", "Ole"),
            ("CUSTOM.Since:<2026-02-28", "Mara"),
            ("custom.since:>=2026-02-28 custom.member:yes", "Lena"),
            ("custom.member:false", "Ole"),
            ("custom.colour:\"light BLUE\"", "Ole"),
            ("custom.colour:red len", "Lena"),
        ] {
            assert_eq!(found(api, "/contacts", q).await, expected, "{q}");
        }
        for (q, why) in [
            ("custom.size:7", "at character 8: there is no custom field `size`: use one of Colour, größe, member, Order num, since"),
            ("custom.größe:big", "`big` is no value of `custom.größe`: `größe` takes a number"),
            ("custom.größe:1,>2", "a comparison stands alone"),
            ("custom.since:>soon", "takes a day such as"),
            ("custom.colour:green", "takes one of Light blue, Red"),
        ] {
            let detail = refused(api, "/contacts", q).await;
            assert!(detail.contains(why), "{q}: {detail}");
        }

        hears(&stage, "telegram", NewCustomer::named("ann", "Ann", "+4915550100002")).await;
        hears(&stage, "viber", NewCustomer::named("ole", "Ole", "+4915550100003")).await;
        let list = api.get("/conversations?platform=telegram").await.unwrap().expect(200).unwrap().body;
        let contact = list["items"][0]["contact"].as_str().unwrap();
        let body = json!({ "fields": [{ "name": "größe", "value": 7 }] });
        api.patch(&format!("/contacts/{contact}"), body).await.unwrap().expect(200).unwrap();
        for (q, expected) in [("custom.größe:>=7", "Ann"), ("-custom.größe:7", "Ole"), ("custom.größe:8", "")] {
            assert_eq!(found(api, "/conversations", q).await, expected, "{q}");
        }
        stage.strike().await;
    }

    /// fields combine, exclude, and say what they do not know; what is found can be reopened.
    async fn fields_narrow_a_list(db: TestDatabase) {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        let api = &stage.api;
        hears(&stage, "whatsapp", NewCustomer::named("mara", "Mara Klein", "+4915550100001")).await;
        hears(&stage, "telegram", NewCustomer::named("ann", "Ann Klein", "+4915550100002")).await;
        hears(&stage, "viber", NewCustomer::named("ole", "Ole Hansen", "+4915550100003")).await;
        let list = api.get("/conversations").await.unwrap().expect(200).unwrap().body;
        let of = |name: &str| list["items"].as_array().unwrap().iter().find(|item| item["contact_name"] == name).unwrap().clone();
        let (mara, ole) = (of("Mara Klein"), of("Ole Hansen"));
        assert_eq!((&mara["platform"], &ole["platform"]), (&json!("whatsapp"), &json!("viber")));
        let contact: transom_domain::ContactId = serde_json::from_value(mara["contact"].clone()).unwrap();
        let caller = &stage.world.caller;
        let desk = stage.world.desk();
        let labelled: Result<_, transom_storage::StorageError> = desk
            .storage()
            .transact(&caller.scope, move |tx| Box::pin(async move { tx.label_contact(contact, "vip").await }))
            .await;
        assert!(labelled.unwrap());
        api.post("/tags", json!({ "name": "refund" })).await.unwrap().expect(201).unwrap();
        let ole_path = format!("/conversations/{}", ole["id"].as_str().unwrap());
        let tagged = json!({ "type": "reply", "text": "yes?", "conversation_tags": ["refund"] });
        api.post(&format!("{ole_path}/messages"), tagged).await.unwrap().expect(202).unwrap();
        let mara_path = format!("/conversations/{}", mara["id"].as_str().unwrap());
        api.post(&format!("{mara_path}/status"), json!({ "status": "closed" })).await.unwrap().expect(200).unwrap();

        let me = &caller.agent.name;
        let path = "/conversations";
        for (q, expected) in [
            ("", "Ann Klein, Mara Klein, Ole Hansen"),
            ("klein", "Ann Klein, Mara Klein"),
            ("klein status:closed", "Mara Klein"),
            ("status:closed,open klein", "Ann Klein, Mara Klein"),
            ("-status:closed", "Ann Klein, Ole Hansen"),
            ("tab:assigned", "Ole Hansen"),
            ("-tab:assigned,closed", "Ann Klein"),
            ("inbox:mine", "Ole Hansen"),
            ("assignee:me", "Ole Hansen"),
            (&format!("assignee:\"{me}\""), "Ole Hansen"),
            ("-assignee:me", "Ann Klein, Mara Klein"),
            ("assignee:none tab:open", "Ann Klein"),
            ("inbox:unassigned", "Ann Klein, Mara Klein"),
            ("platform:viber,telegram", "Ann Klein, Ole Hansen"),
            ("-platform:viber", "Ann Klein, Mara Klein"),
            ("label:vip", "Mara Klein"),
            ("-label:vip,other", "Ann Klein, Ole Hansen"),
            ("tag:refund", "Ole Hansen"),
            ("-tag:refund klein", "Ann Klein, Mara Klein"),
            (&format!("contact:{}", mara["contact"].as_str().unwrap()), "Mara Klein"),
            (&format!("channel:{}", mara["channel"].as_str().unwrap()), "Mara Klein"),
            ("window:open platform:whatsapp", "Mara Klein"),
            ("window:closed platform:whatsapp", ""),
            ("closing_within:25h platform:whatsapp", "Mara Klein"),
            ("closing_within:1h platform:whatsapp", ""),
            ("inbound_after:1h", "Ann Klein, Mara Klein, Ole Hansen"),
            ("inbound_before:1h", ""),
            ("blocked:yes", ""),
            ("blocked:no label:vip", "Mara Klein"),
            ("status:closed status:open", ""),
        ] {
            assert_eq!(found(api, path, q).await, expected, "{q}");
        }
        for (q, expected) in [("label:vip", "Mara Klein"), ("platform:viber", "Ole Hansen"), ("-platform:viber klein", "Ann Klein, Mara Klein")] {
            assert_eq!(found(api, "/contacts", q).await, expected, "{q}");
        }
        // Parameters say the same and combine with it.
        let soon = (stage.world.now() + Duration::HOUR).format(&Rfc3339).unwrap();
        assert_eq!(names(api, path, "klein", "&label=vip&label=press").await, ["Mara Klein"]);
        assert_eq!(names(api, path, "", &format!("&tab=assigned&inbound_before={}", encoded(&soon))).await, ["Ole Hansen"]);
        assert_eq!(names(api, path, "", &format!("&inbound_after={}", encoded(&soon))).await, Vec::<String>::new());
        let counted = api.get("/conversations?counts=true&q=klein+tab%3Aopen").await.unwrap().expect(200).unwrap().body;
        assert_eq!(counted["counts"], json!({ "open": 1, "assigned": 0, "snoozed": 0, "closed": 1, "all": 2 }));
        // The same text elsewhere: a bulk change, an export, an audience.
        let query = search::conversation_query(desk, caller, "klein -status:closed", stage.world.now()).await.unwrap();
        assert_eq!(desk.storage().reader(&caller.scope).conversations(&query).await.unwrap().len(), 1);

        assert_eq!(
            refused(api, path, "klein tab:opne").await,
            "at character 11: `opne` is no value of `tab`: use one of open, assigned, snoozed, closed, all"
        );
        assert!(refused(api, path, "stauts:open").await.contains("there is no field `stauts`: use one of inbox, tab, status"));
        assert!(refused(api, path, "tag:nothing").await.ends_with("use one of refund"));
        assert!(refused(api, path, &"tab:all ".repeat(21)).await.contains("20 clauses"));
        assert!(refused(api, "/contacts", "tab:open").await.contains("contacts have no field `tab`"));

        // Found as closed, reopened from there.
        let reply = json!({ "type": "reply", "text": "one more thing" });
        api.post(&format!("{mara_path}/messages"), reply).await.unwrap().expect(202).unwrap();
        assert_eq!(found(api, path, "klein status:open inbox:mine").await, "Mara Klein");
        stage.strike().await;
    }

    /// what closes soon comes soonest first, and lists know when an account's features change what may be sent.
    async fn lists_follow_what_an_account_may(db: TestDatabase) {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        let api = &stage.api;
        let whatsapp = NewCustomer::named("mara", "Mara", "+4915550100001");
        hears(&stage, "whatsapp", whatsapp).await;
        stage.world.clock.advance(Duration::HOUR);
        hears(&stage, "viber", NewCustomer::named("ann", "Ann", "+4915550100002")).await;
        let soonest = "&sort=closing_soonest";
        assert_eq!(names(api, "/conversations", "closing_within:25h", soonest).await, ["Mara", "Ann"]);
        assert_eq!(names(api, "/conversations", "closing_within:1410m", soonest).await, ["Mara"]);
        stage.strike().await;
    }
}

both_databases! {
    /// each inbox combines with each status, a search spans several, and each hit says in which one it is.
    async fn what_is_snoozed_is_found_and_says_so(db: TestDatabase) {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        let (bea, bea_api) = stage.agent("Bea", Role::Agent).await.unwrap();
        let team = json!({ "name": "North", "members": [bea] });
        let team = stage.api.post("/teams", team).await.unwrap().expect(201).unwrap().body["id"].clone();
        let until = (stage.world.now() + Duration::DAY).format(&Rfc3339).unwrap();
        let (closed, snoozed) = (json!({ "status": "closed" }), json!({ "status": "snoozed", "until": until }));
        for (id, name, phone, to, status) in [
            ("ann", "Ann Klein", "+4915550100001", json!({ "agent": bea }), None),
            ("ben", "Ben Klein", "+4915550100002", json!({ "team": team }), Some(&closed)),
            ("cleo", "Cleo Klein", "+4915550100003", json!({ "agent": bea, "team": team }), Some(&snoozed)),
            ("dora", "Dora Klein", "+4915550100004", json!({}), Some(&snoozed)),
            ("emil", "Emil Roth", "+4915550100005", json!({ "team": team }), None),
        ] {
            hears(&stage, "telegram", NewCustomer::named(id, name, phone)).await;
            let (_, conversation) = stage.world.conversation_with("telegram", name).await.unwrap();
            let path = format!("/conversations/{conversation}");
            if to != json!({}) {
                stage.api.post(&format!("{path}/assignee"), to).await.unwrap().expect(200).unwrap();
            }
            if let Some(status) = status {
                stage.api.post(&format!("{path}/status"), status.clone()).await.unwrap().expect(200).unwrap();
            }
        }
        let hits = async |query: String| {
            let page = bea_api.get(&format!("/conversations?{query}")).await.unwrap().expect(200).unwrap().body;
            let word = |item: &Value, field: &str| item[field].as_str().unwrap().to_owned();
            let mut hits: Vec<(String, String)> =
                page["items"].as_array().unwrap().iter().map(|item| (word(item, "contact_name"), word(item, "status"))).collect();
            hits.sort();
            hits
        };
        let (ann, ben, cleo) = (("Ann Klein", "open"), ("Ben Klein", "closed"), ("Cleo Klein", "snoozed"));
        let (dora, emil) = (("Dora Klein", "snoozed"), ("Emil Roth", "open"));
        for (parameters, q, expected) in [
            ("status=snoozed", "", &[cleo, dora][..]),
            ("", "status:snoozed", &[cleo, dora]),
            ("tab=snoozed", "", &[cleo, dora]),
            ("", "tab:snoozed", &[cleo, dora]),
            ("", "-status:snoozed", &[ann, ben, emil]),
            ("", "status:closed,snoozed klein", &[ben, cleo, dora]),
            ("", "status:closed,snoozed roth", &[]),
            ("", "klein", &[ann, ben, cleo, dora]),
            ("", "inbox:team", &[ben, cleo, emil]),
            ("inbox=team", "status:snoozed", &[cleo]),
            ("inbox=team&status=closed", "", &[ben]),
            ("inbox=team&status=open", "", &[emil]),
            ("inbox=mine", "", &[ann, cleo]),
            ("inbox=mine&status=snoozed", "", &[cleo]),
            ("inbox=unassigned&status=snoozed", "", &[dora]),
            ("inbox=all&status=snoozed", "cleo", &[cleo]),
        ] {
            let found = hits(format!("{parameters}&q={}", encoded(q))).await;
            let found: Vec<(&str, &str)> = found.iter().map(|(name, status)| (name.as_str(), status.as_str())).collect();
            assert_eq!(found, expected, "{parameters} {q}");
        }
        let counted = bea_api.get("/conversations?counts=true").await.unwrap().expect(200).unwrap().body;
        assert_eq!(counted["counts"], json!({ "open": 0, "assigned": 2, "snoozed": 2, "closed": 1, "all": 5 }));
        stage.strike().await;
    }
}

both_databases! {
    async fn features_and_limits_renew_the_windows(db: TestDatabase) {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        let api = &stage.api;
        hears(&stage, "messenger", NewCustomer::named("ann", "Ann", "+4915550100002")).await;
        // Messenger's calls bring no name.
        let list = api.get("/conversations").await.unwrap().expect(200).unwrap().body;
        let contact = list["items"][0]["contact"].as_str().unwrap();
        api.patch(&format!("/contacts/{contact}"), json!({ "display_name": "Ann" })).await.unwrap().expect(200).unwrap();
        let channel = stage.world.account("messenger").unwrap().ours.id;
        let features = async |features: Value| {
            api.patch(&format!("/channels/{channel}"), json!({ "features": features })).await.unwrap().expect(200).unwrap();
        };
        let becomes = async |q: &str, expected: &str| {
            let look = || async { Ok((found(api, "/conversations", q).await == expected).then_some(())) };
            stage.world.until(&format!("{q} finds `{expected}`"), look).await.unwrap();
        };
        features(json!([])).await;
        stage.world.clock.advance(Duration::days(2));
        becomes("window:open", "").await;
        becomes("window:closed", "Ann").await;
        // A person may answer for seven days from now on (Messenger's HUMAN_AGENT).
        features(json!(["human_agent"])).await;
        becomes("window:open", "Ann").await;
        assert_eq!(names(api, "/conversations", "closing_within:6d", "&sort=closing_soonest").await, ["Ann"]);
        let ends: OffsetDateTime = stage.world.now() + Duration::days(5) + Duration::HOUR;
        let row = &api.get("/conversations").await.unwrap().body["items"][0];
        let closes_at = transom_tests::instant(&row["window"]["human"]["closes_at"]).unwrap();
        assert!(closes_at < ends, "{row}");
        features(json!([])).await;
        becomes("window:open", "").await;
        stage.strike().await;
    }
}
