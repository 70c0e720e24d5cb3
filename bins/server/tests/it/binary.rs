//! The real program: started, ready, stopped; and its commands.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use super::support::Client;

fn transom() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_transom"));
    // What this test process was told is none of its business.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TRANSOM_")) {
        command.env_remove(name);
    }
    command.env("NO_COLOR", "1");
    command
}

#[track_caller]
fn run(command: &mut Command, stdin: &str) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[track_caller]
fn succeeds(command: &mut Command) -> Output {
    let output = run(command, "");
    assert!(output.status.success(), "{:?}: {}", command, String::from_utf8_lossy(&output.stderr));
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A service as a process; killed if a test ends early.
struct Running {
    child: Child,
    base: String,
}

impl Running {
    fn start(folder: &Path, more: &[&str]) -> Self {
        let mut child = transom()
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(folder)
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let base = lines
            .by_ref()
            .map(|line| line.unwrap())
            .find_map(|line| line.strip_prefix("transom listens on ").map(str::to_owned));
        let Some(base) = base else {
            let _ = child.kill();
            panic!("the service did not start");
        };
        Self { child, base }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    fn exit_code(&mut self, within: Duration) -> Option<i32> {
        let began = Instant::now();
        while began.elapsed() < within {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("still running after {within:?}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already gone where the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn it_starts_is_ready_keeps_what_it_has_and_stops_with_0() {
    let folder = tempfile::tempdir().unwrap();
    let made = succeeds(transom().args(["workspace", "create", "Acme", "--json", "--data-dir"]).arg(folder.path()));
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    let token = made["token"].as_str().unwrap();

    let mut first = Running::start(folder.path(), &[]);
    let client = Client::new(&first.base, token);
    let ready = client.raw(Method::GET, &format!("{}/health/ready", first.base), Vec::new(), &[]).await;
    ready.expect(200);
    let contact = client.post("/contacts", json!({ "display_name": "Mara" })).await.expect(201);
    let began = Instant::now();
    first.signal("-TERM");
    assert_eq!(first.exit_code(Duration::from_secs(35)), Some(0));
    assert!(began.elapsed() < Duration::from_secs(5), "an idle service stops at once");

    let mut second = Running::start(folder.path(), &[]);
    let client = Client::new(&second.base, token);
    let kept = client.get(&format!("/contacts/{}", contact["id"].as_str().unwrap())).await.expect(200);
    assert_eq!(kept["name"], "Mara");
    second.signal("-INT");
    assert_eq!(second.exit_code(Duration::from_secs(35)), Some(0));

    // What was answered survives a kill.
    let mut third = Running::start(folder.path(), &[]);
    let client = Client::new(&third.base, token);
    let contact = client.post("/contacts", json!({ "display_name": "Ann" })).await.expect(201);
    third.signal("-KILL");
    third.child.wait().unwrap();
    let fourth = Running::start(folder.path(), &[]);
    let client = Client::new(&fourth.base, token);
    client.get(&format!("/contacts/{}", contact["id"].as_str().unwrap())).await.expect(200);
}

#[tokio::test]
async fn an_open_stream_and_a_second_signal_do_not_hold_it_up() {
    let folder = tempfile::tempdir().unwrap();
    let made = succeeds(transom().args(["workspace", "create", "Acme", "--json", "--data-dir"]).arg(folder.path()));
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    let mut running = Running::start(folder.path(), &[]);
    let client = Client::new(&running.base, made["token"].as_str().unwrap());
    let stream = client.request(Method::GET, "/events").send().await.unwrap();
    assert_eq!(stream.status().as_u16(), 200);
    running.signal("-TERM");
    assert_eq!(running.exit_code(Duration::from_secs(12)), Some(0));
    drop(stream);

    // Half a request would hold it for ten seconds: the second signal does not wait.
    let mut running = Running::start(folder.path(), &[]);
    let address = running.base.trim_start_matches("http://").to_owned();
    let mut half = std::net::TcpStream::connect(address).unwrap();
    half.write_all(b"POST /v1/contacts HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{").unwrap();
    std::thread::sleep(Duration::from_millis(300));
    running.signal("-TERM");
    std::thread::sleep(Duration::from_millis(500));
    running.signal("-TERM");
    let began = Instant::now();
    assert_eq!(running.exit_code(Duration::from_secs(5)), Some(1));
    assert!(began.elapsed() < Duration::from_secs(3));
}

#[test]
fn a_wrong_policy_file_stops_the_start_with_file_line_and_reason() {
    let (folder, policies) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = policies.path().join("mine.toml");
    std::fs::write(&file, "name = \"mine\"\nplatform = 5\n").unwrap();
    let output =
        run(transom().args(["serve", "--data-dir"]).arg(folder.path()).arg("--policy-dir").arg(policies.path()), "");
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains(&format!("{}:2: ", file.display())), "{said}");
    assert!(said.contains("platform"), "{said}");
}

#[test]
fn wrong_configuration_is_told_with_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("transom.toml");
    std::fs::write(&file, "[limits]\napi_bdy = 1\n").unwrap();
    let output = run(transom().args(["serve", "--config"]).arg(&file), "");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("api_bdy"), "{}", text(&output.stderr));

    let mut exposed = transom();
    exposed.args(["migrate", "--data-dir"]).arg(folder.path()).env("TRANSOM_MASTER_KEY__VALUE", "0".repeat(64));
    let output = run(&mut exposed, "");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("all zero"), "{}", text(&output.stderr));

    let mut elsewhere = transom();
    elsewhere.args(["migrate", "--database-url", "mysql://a/b", "--data-dir"]).arg(folder.path());
    assert_eq!(run(&mut elsewhere, "").status.code(), Some(2));
}

#[test]
fn questions_are_answered_from_stdin_and_files() {
    let question = r#"{"platform":"whatsapp","now":"2026-11-20T10:00:00Z","openings":[{"kind":"message","at":"2026-11-20T09:00:00Z"}]}"#;
    let output = run(transom().arg("decide"), question);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let decision: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(decision["window"]["state"], "open");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("question.json");
    std::fs::write(&file, question).unwrap();
    let again = succeeds(transom().args(["decide", "--file"]).arg(&file));
    assert_eq!(serde_json::from_slice::<Value>(&again.stdout).unwrap(), decision);
    let pretty = text(&succeeds(transom().args(["decide", "--pretty", "--file"]).arg(&file)).stdout);
    assert!(pretty.contains("yes customer_service") && !pretty.contains('\u{1b}'), "{pretty}");

    let wrong = run(transom().arg("decide"), r#"{"platform":"pigeon","now":"2026-11-20T10:00:00Z"}"#);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(text(&wrong.stderr).contains("pigeon") && wrong.stdout.is_empty());
}

#[test]
fn policy_files_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let policies = transom_windows::Policies::builtin().unwrap();
    let good = folder.path().join("good.toml");
    std::fs::write(&good, policies.get("telegram").unwrap().text()).unwrap();
    let listed = text(&succeeds(transom().args(["policy", "check"]).arg(&good)).stdout);
    assert!(listed.contains("telegram"), "{listed}");

    let bad = folder.path().join("bad.toml");
    std::fs::write(&bad, "name = \"bad\"\n\ncolour = \"red\"\n").unwrap();
    let output = run(transom().args(["policy", "check"]).args([&good, &bad]), "");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains(&format!("{}:3: ", bad.display())), "{}", text(&output.stderr));
    let output = run(transom().args(["policy", "check", "--json"]).arg(&bad), "");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(report["problems"].as_array().unwrap().iter().any(|problem| problem["line"] == 3), "{report}");
    let output = run(transom().args(["policy", "check", "/nowhere.toml"]), "");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn tokens_channels_and_keys_are_managed_from_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let with = |args: &[&str]| {
        let mut command = transom();
        command.args(args).arg("--data-dir").arg(folder.path());
        command
    };
    let json_of = |args: &[&str]| -> Value { serde_json::from_slice(&succeeds(&mut with(args)).stdout).unwrap() };
    succeeds(&mut with(&["workspace", "create", "Acme"]));
    let workspaces = json_of(&["workspace", "list", "--json"]);
    assert_eq!(workspaces[0]["name"], "Acme");

    let made = json_of(&["token", "create", "--workspace", "Acme", "--agent", "Bo", "--role", "bot", "--json"]);
    assert!(made["token"].as_str().unwrap().starts_with("trn_"));
    let second =
        json_of(&["token", "create", "--workspace", "Acme", "--agent", made["agent"].as_str().unwrap(), "--json"]);
    assert_ne!(second["token"], made["token"]);
    let tokens = json_of(&["token", "list", "--workspace", "Acme", "--json"]);
    assert_eq!(tokens.as_array().unwrap().len(), 3);
    succeeds(&mut with(&["token", "revoke", tokens[2]["id"].as_str().unwrap(), "--workspace", "Acme"]));
    let tokens = json_of(&["token", "list", "--workspace", "Acme", "--json"]);
    assert_eq!(tokens[2]["revoked"], true);
    assert!(text(&succeeds(&mut with(&["token", "list", "--workspace", "Acme"])).stdout).contains("Bo"));
    assert_eq!(run(&mut with(&["token", "list", "--workspace", "Nowhere"]), "").status.code(), Some(2));

    let secret = folder.path().join("bot-token");
    std::fs::write(&secret, "123456:AAinventedinventedinventedinvented0\n").unwrap();
    let set = format!("bot_token=@{}", secret.display());
    let channel = json_of(&[
        "channel",
        "add",
        "--workspace",
        "Acme",
        "--platform",
        "telegram",
        "--name",
        "Bot",
        "--no-check",
        "--json",
        "--set",
        &set,
        "--set",
        "webhook_secret=a-long-random-text",
    ]);
    assert!(channel["webhook_url"].as_str().unwrap().contains("/webhooks/"));
    let channels = json_of(&["channel", "list", "--workspace", "Acme", "--json"]);
    assert_eq!(channels[0]["id"], channel["id"]);
    assert!(text(&succeeds(&mut with(&["channel", "list", "--workspace", "Acme"])).stdout).contains("telegram"));

    succeeds(&mut with(&["channel", "remove", channel["id"].as_str().unwrap(), "--workspace", "Acme"]));
    assert_eq!(json_of(&["channel", "list", "--workspace", "Acme", "--json"]), json!([]));
    let platforms = text(&succeeds(transom().args(["channel", "platforms"])).stdout);
    assert!(platforms.contains("bot_token") && platforms.contains("phone_number_id"), "{platforms}");
    let known: Value =
        serde_json::from_slice(&succeeds(transom().args(["channel", "platforms", "--json"])).stdout).unwrap();
    let telegram = known.as_array().unwrap().iter().find(|platform| platform["name"] == "telegram").unwrap();
    assert_eq!(telegram["settings"][0]["secret"], true);

    // A name that two have names neither.
    succeeds(&mut with(&["workspace", "create", "Acme"]));
    let unclear = run(&mut with(&["token", "list", "--workspace", "Acme"]), "");
    assert_eq!(unclear.status.code(), Some(2));
    assert!(text(&unclear.stderr).contains("2 workspaces `Acme`"), "{}", text(&unclear.stderr));

    let status = json_of(&["keys", "status", "--json"]);
    assert_eq!(status["under_earlier_keys"], 0);
    // A new master key, with the old one beside it until everything is sealed anew.
    let old = std::fs::read_to_string(folder.path().join("master.key")).unwrap();
    let rotated = |args: &[&str]| {
        let mut command = with(args);
        command.env("TRANSOM_MASTER_KEY__VALUE", "ab".repeat(32)).env("TRANSOM_MASTER_KEY__PREVIOUS", old.trim());
        command
    };
    succeeds(&mut rotated(&["keys", "rotate"]));
    let status: Value = serde_json::from_slice(&succeeds(&mut rotated(&["keys", "status", "--json"])).stdout).unwrap();
    assert_eq!(status["under_earlier_keys"], 0);
    assert_ne!(
        run(&mut with(&["keys", "status"]), "").status.code(),
        Some(0),
        "the old key alone opens nothing any more"
    );
}

#[test]
fn wrong_arguments_say_what_is_expected() {
    let folder = tempfile::tempdir().unwrap();
    for (args, expected) in [
        (&["serve", "--listen", "nonsense"][..], "such as 127.0.0.1:8080"),
        (&["migrate", "--log-level", "loud"], "`loud` is no level: error, warn, info"),
        (&["migrate", "--log-level", "a=b=c"], "is no filter"),
        (&["serv"], "a similar subcommand exists: 'serve'"),
        (
            &["token", "create", "--workspace", "A", "--agent", "B", "--role", "chief"],
            "admin, supervisor, agent or bot",
        ),
        (&["policy", "check", "nowhere.toml"], "nowhere.toml: No such file"),
        (&["decide", "--file", "nowhere.json"], "nowhere.json: No such file"),
    ] {
        let output = run(transom().args(args).current_dir(folder.path()), "");
        let said = text(&output.stderr);
        assert!(matches!(output.status.code(), Some(1 | 2)) && said.contains(expected), "{args:?}: {said}");
    }
    for question in ["", "x", r#"{"platform":"telegram"}"#] {
        let said = text(&run(transom().arg("decide"), question).stderr);
        assert!(
            said.starts_with("transom: stdin: the question: ") && said.contains(r#"at least {"platform":"#),
            "{said}"
        );
    }
    let closed = r#"{"platform":"whatsapp","now":"2026-11-20T10:00:00Z","openings":[{"kind":"message","at":"2026-11-18T00:00:00Z"}]}"#;
    let pretty = text(&run(transom().args(["decide", "--pretty"]), closed).stdout);
    assert!(pretty.contains("window closed since 2026-11-19 00:00:00 UTC"), "{pretty}");
}

#[test]
fn the_document_is_printed_and_help_is_given() {
    let printed = succeeds(transom().arg("openapi"));
    assert_eq!(text(&printed.stdout), transom_server::api::document_text());
    let help = text(&succeeds(transom().arg("--help")).stdout);
    for command in ["serve", "demo", "openapi", "migrate", "policy", "decide", "token", "workspace", "channel", "keys"]
    {
        assert!(help.contains(command), "{command} is missing in {help}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn an_idle_service_is_small() {
    let folder = tempfile::tempdir().unwrap();
    succeeds(transom().args(["migrate", "--data-dir"]).arg(folder.path()));
    let running = Running::start(folder.path(), &[]);
    let mut status = String::new();
    std::fs::File::open(format!("/proc/{}/status", running.child.id())).unwrap().read_to_string(&mut status).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    // An unoptimised build gets more room than the release figure of docs/benchmarks.md.
    assert!(kib < 80 * 1024, "{kib} KiB");
}
