//! The program itself: it starts, says where it is, and stops when told to.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

fn program(arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_transom-sandbox"))
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Everything up to the last line that the program prints at its start.
fn greeting(child: &mut Child) -> String {
    let mut text = String::new();
    for line in BufReader::new(child.stdout.as_mut().unwrap()).lines() {
        let line = line.unwrap();
        text.push_str(&line);
        text.push('\n');
        if line.starts_with("Ctrl-C") {
            break;
        }
    }
    text
}

fn get(base: &str, path: &str) -> String {
    let host = base.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn stop(child: &mut Child, signal: &str) -> Option<i32> {
    let kill = Command::new("sh").args(["-c", &format!("kill -{signal} {}", child.id())]).status().unwrap();
    assert!(kill.success());
    child.wait().unwrap().code()
}

#[test]
fn it_starts_with_the_usual_accounts_and_stops_on_ctrl_c() {
    let mut child = program(&["--listen", "127.0.0.1:0", "--clock", "2026-03-01T09:00:00Z"]);
    let greeting = greeting(&mut child);
    let base = greeting.split_whitespace().find(|word| word.starts_with("http://")).unwrap().to_owned();
    assert!(
        greeting.contains("whatsapp") && greeting.contains("telegram") && greeting.contains("(nowhere yet)"),
        "{greeting}"
    );
    assert!(get(&base, "/control/clock").contains(r#"{"now":"2026-03-01T09:00:00Z"}"#));
    assert!(get(&base, "/control/customers").contains("Mara Klein"));
    assert!(get(&base, "/").contains("Transom sandbox"));
    assert_eq!(stop(&mut child, "INT"), Some(0));
    assert!(TcpStream::connect(base.trim_start_matches("http://")).is_err());
}

#[test]
fn a_setup_replaces_the_usual_and_term_stops_too() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let setup = r#"{"accounts": [{"platform": "telegram", "settings": {"token": "5550001:abc"}}], "customers": [{"id": "ann"}]}"#;
    std::fs::write(file.path(), setup).unwrap();
    let path = file.path().to_str().unwrap();
    let mut child = program(&["--listen", "127.0.0.1:0", "--setup", path, "--webhook", "http://127.0.0.1:9/hook"]);
    let greeting = greeting(&mut child);
    assert!(
        greeting.contains("5550001:abc") && greeting.contains("/hook") && !greeting.contains("whatsapp"),
        "{greeting}"
    );
    assert_eq!(stop(&mut child, "TERM"), Some(0));
}

#[test]
fn what_is_wrong_is_said_and_nothing_starts() {
    let fails = |arguments: &[&str], expected: &str| {
        let output = program(arguments).wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(expected), "{arguments:?}: {said}");
    };
    fails(&["--listen", "0.0.0.0:0"], "loopback");
    fails(&["--setup", "/nonexistent/setup.json"], "cannot read the setup");
    fails(&["--clock", "yesterday"], "2026-03-01T09:00:00Z");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), r#"{"accounts": [{"platform": "pigeon"}]}"#).unwrap();
    fails(&["--listen", "127.0.0.1:0", "--setup", file.path().to_str().unwrap()], "must be one of");
    std::fs::write(file.path(), r#"{"acounts": []}"#).unwrap();
    fails(&["--listen", "127.0.0.1:0", "--setup", file.path().to_str().unwrap()], "unknown field");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    fails(&["--listen", &address], "cannot listen");
}
