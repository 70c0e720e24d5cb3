//! Is it alive, and can it do its work? (reliability.md 19)

use std::path::Path;
use std::time::Duration;

use poem::Response;
use poem::http::StatusCode;
use serde_json::{Map, Value, json};
use transom_domain::SystemClock;

use crate::state::State;

/// Each check's time limit.
const PATIENCE: Duration = Duration::from_secs(1);
/// How far the machine's clock may be from the database's: leases are measured with the latter.
const MAX_CLOCK_OFFSET: time::Duration = time::Duration::seconds(2);
/// Below this the disk counts as full, in bytes.
const MIN_DISK: u64 = 256 * 1024 * 1024;

/// The loop turns: that is all.
pub(super) fn live() -> Response {
    answer(StatusCode::OK, &json!({ "status": "live" }))
}

/// Whether requests should be sent here. Platforms being down never makes this service unready.
pub(super) async fn ready(state: &State) -> Response {
    let storage = state.desk.storage();
    let write = async { storage.probe_write().await.map_err(|error| error.code().to_owned()) };
    let schema = async {
        match storage.schema_current().await {
            Ok(true) => Ok(()),
            Ok(false) => Err("migrations are waiting: run `transom migrate`".to_owned()),
            Err(error) => Err(error.code().to_owned()),
        }
    };
    let clock = async {
        match storage.clock_offset(&SystemClock).await {
            Ok(offset) if offset.abs() <= MAX_CLOCK_OFFSET => Ok(()),
            Ok(offset) => Err(format!("the database's clock is {} ms ahead", offset.whole_milliseconds())),
            Err(error) => Err(error.code().to_owned()),
        }
    };
    let (write, schema, clock, disk) =
        tokio::join!(within(write), within(schema), within(clock), within(disk(&state.config.data_dir)));
    let stopping = if state.stopping.is_cancelled() { Err("the service is stopping".to_owned()) } else { Ok(()) };
    let checks =
        [("database_write", write), ("schema", schema), ("clock", clock), ("disk", disk), ("running", stopping)];
    let ready = checks.iter().all(|(_, check)| check.is_ok());
    let told: Map<String, Value> = checks
        .into_iter()
        .map(|(name, check)| (name.to_owned(), check.map_or_else(Value::String, |()| Value::String("ok".to_owned()))))
        .collect();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    answer(status, &json!({ "status": if ready { "ready" } else { "not_ready" }, "checks": told }))
}

async fn within(check: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    tokio::time::timeout(PATIENCE, check).await.unwrap_or_else(|_| Err("no answer within a second".to_owned()))
}

async fn disk(folder: &Path) -> Result<(), String> {
    let folder = folder.to_owned();
    let free = tokio::task::spawn_blocking(move || free_bytes(&folder)).await;
    match free {
        Ok(Some(free)) if free < MIN_DISK => Err(format!("{} MiB are free, 256 are needed", free / (1024 * 1024))),
        // A folder that is not there belongs to a service whose database is elsewhere.
        Ok(Some(_) | None) | Err(_) => Ok(()),
    }
}

#[cfg(unix)]
fn free_bytes(folder: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(not(unix))]
fn free_bytes(_: &Path) -> Option<u64> {
    None
}

fn answer(status: StatusCode, body: &Value) -> Response {
    Response::builder().status(status).content_type("application/json").body(body.to_string())
}
