//! docs/ tells what the code does. `UPDATE_DOCS=1 cargo test -p transom-server` writes it anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;
use transom_desk::event_kinds::KINDS;
use transom_domain::{Role, Settings};
use transom_server::api::{self, roles};
use transom_server::config::KEYS;
use transom_server::http::codes::{self, CODES};
use transom_server::http::schema::Document;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[track_caller]
fn is_up_to_date(name: &str, text: &str) {
    let path = root().join("docs").join(name);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, text).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == text, "docs/{name} is not what the code says: run `UPDATE_DOCS=1 cargo test -p transom-server`");
}

#[test]
fn the_api_document_is_kept() {
    is_up_to_date("openapi.json", &api::document_text());
}

#[test]
fn the_page_of_errors_lists_every_code() {
    let mut page = String::from(
        "# Errors\n\nErrors are `application/problem+json` (RFC 9457): `type`, `title`, `status`, `detail`, `code`, `retryable`, and \
         where they apply `field`, `retry_after`, `decision`, `house`. `code` is stable: write programs against it, and show \
         `detail` to people. `retryable` says whether the same request may work later. A 5xx means that nothing was stored, or \
         that the same request can be repeated with its `Idempotency-Key`.\n\nThis page is generated from the code.\n",
    );
    let mut status = 0;
    for code in CODES {
        if code.status != status {
            status = code.status;
            write!(page, "\n## {status}\n\n| Code | What | What to do |\n|---|---|---|\n").unwrap();
        }
        writeln!(page, "| <a id=\"{0}\"></a>`{0}` | {1} | {2} |", code.code, code.title, code.remedy).unwrap();
    }
    is_up_to_date("errors.md", &page);
}

/// Codes stand as words in the sources of those who make them.
#[test]
fn every_code_that_the_crates_make_is_in_the_table() {
    let mut found = BTreeSet::new();
    for folder in ["crates/desk/src", "bins/server/src"] {
        for text in sources(&root().join(folder)) {
            for maker in ["DeskError::invalid(", "DeskError::conflict(", "Problem::new("] {
                found.extend(text.split(maker).skip(1).filter_map(first_word));
            }
            found.extend(text.split("with_status(").skip(1).filter_map(|rest| first_word(rest.split_once(',')?.1)));
            found.extend(text.split("code: \"").skip(1).filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
        }
    }
    for file in [
        "crates/storage/src/error.rs",
        "crates/channel/src/error.rs",
        "crates/desk/src/error.rs",
        "crates/desk/src/house.rs",
        "crates/desk/src/may_send.rs",
    ] {
        let text = std::fs::read_to_string(root().join(file)).unwrap();
        for method in text.split("fn code(&self) -> &'static str").skip(1) {
            let body = method.split("\n    }\n").next().unwrap_or_default();
            found.extend(body.split("=> \"").skip(1).filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
        }
    }
    // A stored answer is given back, and never an error.
    found.remove("replayed");
    assert!(found.len() > 60, "the sources are no longer read: {found:?}");
    let missing: Vec<&String> = found.iter().filter(|code| codes::find(code).is_none()).collect();
    assert!(missing.is_empty(), "these codes are not in http/codes.rs: {missing:?}");
}

fn sources(folder: &Path) -> Vec<String> {
    let mut texts = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // What receiving finds goes to quarantine, and to no caller.
        if path.ends_with("desk/src/receive") {
            continue;
        }
        if path.is_dir() {
            texts.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            texts.push(std::fs::read_to_string(path).unwrap());
        }
    }
    texts
}

/// The word in quotes that an argument list begins with.
fn first_word(rest: &str) -> Option<String> {
    let word = rest.trim_start().strip_prefix('"')?.split_once('"')?.0;
    word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_').then(|| word.to_owned())
}

/// A row's first cell names kinds, and `.changed` for another of the noun before.
#[test]
fn the_page_of_events_lists_every_kind() {
    let page = std::fs::read_to_string(root().join("docs/events.md")).unwrap();
    let mut listed = Vec::new();
    for row in page.lines().filter_map(|line| line.strip_prefix("| `")) {
        let mut noun = "";
        for word in row.split(" | ").next().unwrap().split('`').step_by(2) {
            let (before, verb) = word.split_once('.').unwrap();
            noun = if before.is_empty() { noun } else { before };
            listed.push(format!("{noun}.{verb}"));
        }
    }
    listed.sort();
    assert_eq!(listed, KINDS);
}

#[test]
fn the_page_of_the_api_lists_every_path_with_its_roles() {
    let mut page = String::from(
        "# The API\n\nAll paths stand under `/v1`. A bearer token (`Authorization: Bearer trn_…`) is one agent in one workspace. The \
         bodies, filters and sort orders are in [openapi.json](openapi.json), which a running service shows at `/docs`; the errors \
         in [errors.md](errors.md). Lists are paged: `limit` (1 to 100, 50 unless said) and `cursor`, which is the last answer's \
         `next_cursor`, with the same filters. What has a version answers with an `ETag`, which a change takes as `If-Match`. What \
         makes or sends something takes an `Idempotency-Key`.\n\nThis page is generated from the code.\n\n| Method | Path | What | Parameters | \
         Body | Roles |\n|---|---|---|---|---|---|\n",
    );
    let document = Document::new(api::document());
    for (path, method, operation) in document.operations() {
        let (_, action) = roles::row(operation["operationId"].as_str().unwrap()).unwrap();
        let may = |role: &&Role| action.is_none_or(|action| action.roles().contains(role));
        let roles: Vec<&str> = Role::ALL.iter().filter(may).map(|role| role.as_str()).collect();
        let parameters = operation["parameters"].as_array().into_iter().flatten().filter(|one| one["in"] != "path");
        let parameters: Vec<String> = parameters.map(|one| format!("`{}`", one["name"].as_str().unwrap())).collect();
        let body = document.body_of(operation).and_then(|schema| schema["$ref"].as_str());
        let body = body.map_or_else(String::new, |name| format!("`{}`", name.rsplit('/').next().unwrap()));
        let summary = operation["summary"].as_str().unwrap();
        let (method, parameters, roles) = (method.to_uppercase(), parameters.join(" "), roles.join(" "));
        writeln!(page, "| {method} | `{path}` | {summary} | {parameters} | {body} | {roles} |").unwrap();
    }
    page.push_str(
        "\nOutside `/v1`, without a token:\n\n| Method | Path | What |\n|---|---|---|\n\
         | GET, POST | `/webhooks/{public_id}` | Calls of the platforms; the address stands in each channel's `webhook_url` |\n\
         | GET | `/attachments/{file}?expires&signature` | A file, by the `content_url` that the API gives; 404 once it is over |\n\
         | GET | `/attachments/{file}/{name}?expires&signature` | The same for platforms, by the address that a message of ours names: for a year |\n\
         | GET | `/health/live` | 200 while the process turns |\n\
         | GET | `/health/ready` | 200 while requests should be sent here: a real write, current schema, clocks, disk |\n\
         | GET | `/metrics` | Prometheus text |\n\
         | GET | `/openapi.json`, `/docs` | The document, and a page that shows it |\n\
         \nPut the service behind a proxy that lets `/webhooks` and what your people need through, and keeps `/metrics` inside.\n",
    );
    is_up_to_date("api.md", &page);
}

#[test]
fn the_page_of_settings_lists_every_key() {
    let mut page = String::from(
        "# Settings\n\n## Of the service\n\nDefaults, then the file given by `--config` (TOML), then the environment, then flags: the \
         later goes before the earlier. A key that is not listed stops the start. Secrets can also be read from a file: the \
         variable with `_FILE` at its end names it.\n\n| Key | Variable | Default | What |\n|---|---|---|---|\n",
    );
    for key in KEYS {
        let file = if key.secret { ", `…_FILE`" } else { "" };
        writeln!(page, "| `{}` | `{}`{file} | {} | {} |", key.name, key.variable(), key.default, key.about).unwrap();
    }
    page.push_str(
        "\n## Of a workspace\n\nRead and changed with `GET` and `PATCH /v1/settings`.\n\n| Key | Type | Default | What |\n|---|---|---|---|\n",
    );
    let document = Document::new(api::document());
    let schema = &api::document()["components"]["schemas"]["Settings"];
    let defaults = serde_json::to_value(Settings::default()).unwrap();
    let properties = schema["properties"].as_object().unwrap();
    assert!(defaults.as_object().unwrap().keys().eq(properties.keys()), "the API shows other settings than there are");
    for (name, property) in properties {
        let one = document.resolve(property["allOf"].get(0).unwrap_or(property));
        let words: Vec<String> =
            one["enum"].as_array().into_iter().flatten().map(|word| format!("`{}`", word.as_str().unwrap())).collect();
        let kind = if words.is_empty() { one["type"].as_str().unwrap().to_owned() } else { words.join(", ") };
        let default = match &defaults[name] {
            Value::Null => "none".to_owned(),
            Value::String(word) => format!("`{word}`"),
            other => format!("`{other}`"),
        };
        writeln!(page, "| `{name}` | {kind} | {default} | {} |", property["description"].as_str().unwrap()).unwrap();
    }
    is_up_to_date("settings.md", &page);
}

/// A file of tests, or a folder of files; some folders keep theirs one deeper, in one program.
fn texts(folder: &str, file: &str) -> Option<Vec<String>> {
    let candidates = ["", "it", "service"].map(|inside| root().join(folder).join(inside).join(file));
    candidates.iter().find_map(|path| match std::fs::read_to_string(path.with_extension("rs")) {
        Ok(text) => Some(vec![text]),
        Err(_) => path.is_dir().then(|| sources(path)),
    })
}

/// The tests of a file that run on SQLite and on PostgreSQL.
fn on_both_databases(text: &str) -> Vec<&str> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in text.lines() {
        match line {
            "both_databases! {" => inside = true,
            "}" => inside = false,
            _ => {
                let name = line.strip_prefix("    async fn ").and_then(|rest| rest.split_once('('));
                found.extend(name.filter(|_| inside).map(|(name, _)| name));
            }
        }
    }
    found
}

/// Whoever copies an example gets what it shows.
#[test]
fn the_examples_of_the_docs_are_what_the_document_allows() {
    let document = Document::new(api::document());
    let folders = ["docs", "docs/channels"].map(|folder| root().join(folder));
    let pages = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap()).map(|entry| entry.unwrap().path());
    let mut seen = 0;
    for page in pages.filter(|path| path.extension().is_some_and(|kind| kind == "md")) {
        let text = std::fs::read_to_string(&page).unwrap();
        for example in text.split("curl ").skip(1) {
            let example = example.split("```").next().unwrap();
            let Some((before, body)) = example.split_once(" -d '") else { continue };
            let Some((_, path)) = before.split_once("/v1/") else { continue };
            let path = path.split([' ', '"']).next().unwrap();
            let method = before.split_once("-X ").map_or("POST", |(_, method)| method.split(' ').next().unwrap());
            let operation = document.operation_at(method, &format!("/{path}"));
            let operation = operation.unwrap_or_else(|| panic!("{}: no {method} /{path}", page.display()));
            assert!(before.contains("Content-Type: application/json"), "{}: {example}", page.display());
            // A quote inside of the shell's quotes is written so.
            let body = body.replace("'\"'\"'", "’");
            let body = body.split('\'').next().unwrap().replace('…', "0192e4a0-7b5a-7c3e-8f00-000000000001");
            let body = body.replace("the connection of the bot’s channel", "0192e4a0-7b5a-7c3e-8f00-000000000001");
            let body: Value = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"));
            let schema = document.body_of(operation).unwrap();
            assert_eq!(document.mismatch(schema, &body), None, "{}: {example}", page.display());
            seen += 1;
        }
    }
    assert!(seen > 8, "the examples are no longer found: {seen}");
}

/// Every requirement has its tests, and every test that is named exists.
#[test]
fn the_page_of_coverage_names_tests_that_exist() {
    let page = std::fs::read_to_string(root().join("docs/coverage.md")).unwrap();
    let places: BTreeMap<&str, &str> = [
        ("e2e", "tests/tests"),
        ("it", "bins/server/tests/it"),
        ("server", "bins/server/tests"),
        ("desk", "crates/desk/src"),
        ("storage", "crates/storage/tests"),
        ("windows", "crates/windows/tests"),
        ("channel", "crates/channel/tests/it"),
        ("email", "crates/channels/email/tests/it"),
        ("instagram", "crates/channels/instagram/tests/it"),
        ("line", "crates/channels/line/tests/it"),
        ("messenger", "crates/channels/messenger/tests/it"),
        ("sms", "crates/channels/sms/tests/it"),
        ("telegram", "crates/channels/telegram/tests/it"),
        ("tiktok", "crates/channels/tiktok/tests/it"),
        ("wechat", "crates/channels/wechat/tests/it"),
        ("whatsapp", "crates/channels/whatsapp/tests"),
        ("viber", "crates/channels/viber/tests/it"),
        ("http", "crates/channels/http/tests/it"),
        ("webchat", "crates/channels/webchat/tests/it"),
        ("sandbox", "crates/sandbox/tests"),
    ]
    .into();
    let mut named = 0;
    for word in page.split('`').skip(1).step_by(2) {
        let Some((place, rest)) = word.split_once('/') else { continue };
        let Some(folder) = places.get(place) else { continue };
        let (file, test) = rest.split_once("::").map_or((rest, None), |(file, test)| (file, Some(test)));
        let texts = texts(folder, file).unwrap_or_else(|| panic!("`{word}` names no file"));
        if let Some(test) = test {
            assert!(texts.iter().any(|text| text.contains(&format!("fn {test}("))), "`{word}`: there is no such test");
        }
        named += 1;
    }
    assert!(named > 80, "the page is no longer read: {named}");

    let numbers = [101..=105, 111..=117, 201..=210, 301..=313, 401..=408, 501..=528];
    for number in numbers.into_iter().flatten() {
        assert!(page.contains(&format!("R-{number}")), "R-{number} is left out");
    }
}

/// What a team does through the API is shown through the API, and on both databases.
#[test]
fn what_the_desk_must_do_is_shown_over_http_on_both_databases() {
    // These go in behind the API: they show steps that nobody can hold up from outside.
    const BEHIND_THE_API: [&str; 3] = ["mail", "poison", "receive"];
    // Shown otherwise, for a reason: a policy is a file that the program reads when it starts, before it opens a database, so that
    // `server/rehearse` and `it/binary` start programs.
    const OTHERWISE: [u16; 1] = [501];
    let page = std::fs::read_to_string(root().join("docs/coverage.md")).unwrap();
    let mut shown: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    for line in page.lines() {
        let Some((about, by)) = line.strip_prefix("| ").and_then(|row| row.split_once(" | ")) else { continue };
        let numbers = about.split("R-").skip(1).filter_map(|rest| rest.get(..3)?.parse().ok());
        let tests: Vec<&str> =
            by.split('`').skip(1).step_by(2).filter(|word| word.starts_with("e2e/") && word.contains("::")).collect();
        for number in numbers {
            shown.entry(number).or_default().extend(&tests);
        }
    }
    let is_over_http_on_both = |word: &&str| {
        let (file, test) = word.trim_start_matches("e2e/").split_once("::").unwrap();
        let texts = texts("tests/tests", file).unwrap_or_default();
        !BEHIND_THE_API.contains(&file) && texts.iter().any(|text| on_both_databases(text).contains(&test))
    };
    let numbers = [101..=105, 111..=117, 209..=210, 301..=313, 401..=408, 501..=509, 512..=523, 525..=528];
    for number in numbers.into_iter().flatten() {
        let is_shown = shown.get(&number).is_some_and(|tests| tests.iter().any(is_over_http_on_both));
        assert_eq!(is_shown, !OTHERWISE.contains(&number), "R-{number} is shown by {:?}", shown.get(&number));
    }
    // The check itself would notice.
    let wanting =
        ["e2e/email::a_letter_arrives_by_tls", "e2e/mail::a_new_letter_begins_a_thread", "e2e/search::nothing_at_all"];
    assert!(!wanting.iter().any(is_over_http_on_both));
}
