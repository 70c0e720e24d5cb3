//! Policies rehearsed and replaced: by the real program and over the API, on both databases.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use transom_domain::{Clock as _, SettableClock, SystemClock};
use transom_sandbox::NewCustomer;
use transom_server::demo::api::Api;
use transom_server::demo::world::{World, WorldConfig};
use transom_server::{Server, ServerConfig};
use transom_storage::both_databases;
use transom_storage::test_support::TestDatabase;

fn rehearse(folder: &Path, database: &str, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_transom"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TRANSOM_")) {
        command.env_remove(name);
    }
    command.args(["policy", "rehearse"]).args(args);
    command.env("TRANSOM_DATA_DIR", folder).env("TRANSOM_DATABASE_URL", database).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn instant(value: &Value) -> OffsetDateTime {
    OffsetDateTime::parse(value.as_str().unwrap(), &time::format_description::well_known::Rfc3339).unwrap()
}

both_databases! {
    /// Ten hours ago one customer wrote, and just now another; a third wrote on a channel that the policy is not for.
    async fn another_policy_is_tried_before_it_is_in_force(db: TestDatabase) {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("data");
        let clock = SettableClock::frozen(SystemClock.now() - Duration::hours(10));
        let database_url = Some(db.url().to_owned());
        let world = World::start(WorldConfig { data_dir: data_dir.clone(), database_url, public_url: None, port: 0, clock }).await.unwrap();
        let control = world.control();
        let writes = async |platform: &'static str, id: &str, name: &str, phone: &str| {
            control.create_customer(NewCustomer::named(id, name, phone)).unwrap();
            control.writes(&world.account(platform).unwrap().at_sandbox, id, "hello").unwrap();
            world.conversation_with(platform, name).await.unwrap().1.to_string()
        };
        let mara = writes("whatsapp", "mara", "Mara Klein", "+4915550100001").await;
        writes("telegram", "tom", "Tom Silva", "+4915550100003").await;
        world.clock.advance(Duration::hours(10));
        let nora = writes("whatsapp", "nora", "Nora Groß", "+4915550100002").await;

        let in_force = world.desk().policies().get("whatsapp").unwrap().text().to_owned();
        let api = world.api().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let renamed = file("renamed.toml", &in_force.replace("customer_service", "care_window"));
        let shorter_text = in_force.replace("within       = \"24h\"", "within       = \"8h\"");
        assert_ne!(shorter_text, in_force);
        let shorter = file("shorter.toml", &shorter_text);
        let broken = file("broken.toml", &in_force.replace("margin       = \"60s\"", "margin       = \"soon\""));

        // Over the API: counts and examples, nothing changed.
        let asked = api.post("/policies/rehearse", json!({ "policy": shorter_text })).await.unwrap();
        let answer = asked.expect(200).unwrap().body;
        assert_eq!((&answer["looked"], &answer["changed"], &answer["complete"]), (&json!(2), &json!(2), &json!(true)), "{answer}");
        let example = answer["examples"].as_array().unwrap().iter().find(|one| one["conversation"] == mara).unwrap();
        assert_eq!(example["human"]["now"]["window"], "open");
        assert_eq!(example["human"]["then"]["window"], "closed");
        let few = json!({ "policy": shorter_text, "examples": 1 });
        let few = api.post("/policies/rehearse", few).await.unwrap().expect(200).unwrap().body;
        assert_eq!((few["examples"].as_array().unwrap().len(), &few["changed"]), (1, &json!(2)));
        let same = json!({ "policy": in_force.replace("customer_service", "care_window") });
        let same = api.post("/policies/rehearse", same).await.unwrap().expect(200).unwrap().body;
        assert_eq!((&same["looked"], &same["changed"]), (&json!(2), &json!(0)));
        let wrong = json!({ "policy": std::fs::read_to_string(&broken).unwrap() });
        let wrong = api.post("/policies/rehearse", wrong).await.unwrap();
        assert_eq!((wrong.status, wrong.text("/code")), (422, Some("policy_invalid")));
        assert!(wrong.text("/detail").unwrap().starts_with("policy:"), "{}", wrong.body);
        let unknown = json!({ "policy": in_force, "instead_of": "nope" });
        let unknown = api.post("/policies/rehearse", unknown).await.unwrap();
        assert_eq!((unknown.status, unknown.text("/code")), (422, Some("policy_unknown")));
        let other = json!({ "policy": in_force, "instead_of": "telegram" });
        assert_eq!(api.post("/policies/rehearse", other).await.unwrap().text("/code"), Some("policy_invalid"));

        // By the program, which only looks: the service may run, or not.
        world.stop().await;
        let bytes = || db.url().strip_prefix("sqlite:").map(|path| std::fs::read(path).unwrap());
        let before = bytes();
        let run = |args: &[&str]| rehearse(&data_dir, db.url(), args);
        let nothing = run(&[&renamed]);
        assert_eq!((nothing.status.code(), text(&nothing.stdout)), (Some(0), String::new()), "{}", text(&nothing.stderr));
        assert!(text(&nothing.stderr).contains("0 of 2 conversations"), "{}", text(&nothing.stderr));

        let json = run(&[&shorter, "--json"]);
        assert_eq!(json.status.code(), Some(1), "{}", text(&json.stderr));
        let lines: Vec<Value> = text(&json.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2, "{lines:?}");
        let of = |conversation: &str| lines.iter().find(|line| line["conversation"] == conversation).unwrap();
        let (first, second) = (&of(&mara)["human"], &of(&nora)["human"]);
        assert_eq!(first["now"]["permits"][0]["basis"], "free_form", "{first}");
        assert!(!first["then"]["permits"].to_string().contains("free_form"), "{first}");
        assert_eq!((&first["now"]["window"], &first["then"]["window"]), (&json!("open"), &json!("closed")));
        let ends = |turn: &str| instant(&second[turn]["permits"][0]["lapses_at"]);
        assert_eq!(ends("now") - ends("then"), Duration::hours(16), "{second}");

        let table = text(&run(&[&shorter]).stdout);
        assert!(table.contains(&mara) && table.contains(&nora) && table.contains("free text until"), "{table}");
        assert!(!table.contains('\u{1b}'), "no colours in a pipe");
        let stderr = |args: &[&str], code: i32| {
            let output = run(args);
            assert_eq!(output.status.code(), Some(code), "{}", text(&output.stderr));
            text(&output.stderr)
        };
        let line = 1 + std::fs::read_to_string(&broken).unwrap().lines().position(|line| line.contains("soon")).unwrap();
        assert!(stderr(&[&broken], 2).contains(&format!("{broken}:{line}: ")), "file, line and reason");
        assert!(stderr(&[&shorter, "--instead-of", "nope"], 2).contains("no policy `nope` is in force"));
        assert!(stderr(&["missing.toml"], 2).contains("missing.toml"));
        assert!(stderr(&[&shorter, "--workspace", "Nobody"], 2).contains("Nobody"));
        assert_eq!(before, bytes(), "the database is as it was");
    }
}

/// A service on what a world left behind, with other policies.
async fn start(data_dir: &Path, db: &TestDatabase, policy_dir: Option<PathBuf>) -> Result<Server, String> {
    let mut config = ServerConfig::in_folder(data_dir).on_loopback(0);
    config.database_url = Some(db.url().to_owned());
    config.policy_dir = policy_dir;
    Server::start(config, Arc::new(SystemClock)).await.map_err(|error| error.to_string())
}

/// The states of the two windows: of her who wrote ten hours ago, and of her who wrote just now.
async fn windows(server: &Server, token: &SecretString, conversations: [&str; 2]) -> [Value; 2] {
    let api = Api::new(server.base_url(), token.expose_secret()).unwrap();
    let state = async |conversation| {
        let window = api.get(&format!("/conversations/{conversation}/window")).await.unwrap().expect(200).unwrap();
        window.body["human"]["window"]["state"].clone()
    };
    [state(conversations[0]).await, state(conversations[1]).await]
}

both_databases! {
    /// a file in the folder replaces the policy of its name without a rebuild; a wrong one stops the start.
    async fn a_policy_is_replaced_without_a_rebuild(db: TestDatabase) {
        let folder = tempfile::tempdir().unwrap();
        let (data_dir, policies) = (folder.path().join("data"), folder.path().join("policies"));
        let clock = SettableClock::frozen(SystemClock.now() - Duration::hours(10));
        let database_url = Some(db.url().to_owned());
        let config = WorldConfig { data_dir: data_dir.clone(), database_url, public_url: None, port: 0, clock };
        let world = World::start(config).await.unwrap();
        let mut written = Vec::new();
        for (id, name, phone) in [("mara", "Mara Klein", "+4915550100001"), ("nora", "Nora Groß", "+4915550100002")] {
            world.control().create_customer(NewCustomer::named(id, name, phone)).unwrap();
            world.control().writes(&world.account("whatsapp").unwrap().at_sandbox, id, "hello").unwrap();
            written.push(world.conversation_with("whatsapp", name).await.unwrap().1.to_string());
            world.clock.advance(SystemClock.now() - world.now());
        }
        let (token, in_force) = (world.token.clone(), world.desk().policies().get("whatsapp").unwrap().text().to_owned());
        world.stop().await;

        std::fs::create_dir(&policies).unwrap();
        let file = policies.join("ours.toml");
        let shorter = in_force.replace("within       = \"24h\"", "within       = \"8h\"");
        assert_ne!(shorter, in_force);
        for (text, states) in [(Some(shorter), ["closed", "open"]), (None, ["open", "open"])] {
            let folder = text.map(|text| std::fs::write(&file, text).map(|()| policies.clone()).unwrap());
            let server = start(&data_dir, &db, folder).await.unwrap();
            assert_eq!(windows(&server, &token, [&written[0], &written[1]]).await, states);
            server.stop().await;
        }

        std::fs::write(&file, in_force.replace("margin       = \"60s\"", "margin       = \"soon\"")).unwrap();
        let line = 1 + std::fs::read_to_string(&file).unwrap().lines().position(|line| line.contains("soon")).unwrap();
        let refused = start(&data_dir, &db, Some(policies)).await.unwrap_err();
        assert!(refused.contains(&format!("{}:{line}: ", file.display())), "{refused}");
    }
}
