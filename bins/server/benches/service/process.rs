//! The program itself: how much memory it holds when idle, and how soon it is ready.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::wire::Wire;
use super::{Figure, Goal, median};

const READY: &[u8] = b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\n\r\n";

pub async fn measure(rounds: usize) -> Vec<Figure> {
    let folder = tempfile::tempdir().unwrap();
    let (mut starts, mut sizes) = (Vec::new(), Vec::new());
    for round in 0..=rounds {
        let (service, took) = start(folder.path()).await;
        // The first start makes the database.
        if round > 0 {
            tokio::time::sleep(Duration::from_secs(3)).await;
            starts.push(took.as_secs_f64() * 1_000.0);
            sizes.push(resident(service.0.id()));
        }
    }
    let figure = |what: &str, ours, unit, most| Figure {
        what: what.to_owned(),
        database: "SQLite",
        ours,
        unit,
        raw: None,
        goal: Goal::Below(most),
    };
    vec![
        figure("start to ready, database exists", median(starts), "ms", 300.0),
        figure("resident memory, idle", median(sizes), "MiB", 40.0),
    ]
}

/// Killed when it goes out of scope.
struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn start(folder: &Path) -> (Service, Duration) {
    let address = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let began = Instant::now();
    let child = Command::new(env!("CARGO_BIN_EXE_transom"))
        .arg("serve")
        .env("TRANSOM_DATA_DIR", folder)
        .env("TRANSOM_LISTEN", address.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let service = Service(child);
    while began.elapsed() < Duration::from_secs(20) {
        if tokio::net::TcpStream::connect(address).await.is_ok() && Wire::to(address).await.ask(READY).await.0 == 200 {
            return (service, began.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("the service did not become ready");
}

/// In MiB, as Linux counts it (proc_pid_status(5)).
fn resident(process: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1_024.0
}
