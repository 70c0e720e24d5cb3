//! Files that customers sent: fetched from the platform behind the message, which waits for none of them.
//!
//! What is to be fetched stands in the database with its next time, so a restart loses nothing. An attempt is a claim that
//! ends by itself; its result counts only while no later one has begun.

use std::time::Duration as StdDuration;

use serde_json::json;
use time::{Duration, OffsetDateTime};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use transom_channel::{MediaBytes, MediaError};
use transom_storage::{Fetched, ToFetch, WorkspaceScope};

use super::{Files, plain_name, sniff};
use crate::{Desk, DeskError, changes};

/// How many files are in hand at once: each may be as large as the largest.
const AT_ONCE: usize = 4;
/// How often to look for what became due.
const LOOK_EVERY: StdDuration = StdDuration::from_millis(500);
/// How long an attempt may take.
const ATTEMPT: StdDuration = StdDuration::from_secs(150);
/// How long an attempt is one process's own, by the database's clock.
const LEASE: Duration = Duration::seconds(180);
/// How long to wait after each attempt that may work later; when they are used up, the file is given up. Platforms keep
/// what customers send for days at least.
const WAITS: [Duration; 9] = [
    Duration::seconds(1),
    Duration::seconds(5),
    Duration::seconds(30),
    Duration::minutes(2),
    Duration::minutes(10),
    Duration::hours(1),
    Duration::hours(4),
    Duration::hours(12),
    Duration::hours(24),
];

/// Fetches until told to stop; what is in hand is finished first.
pub(crate) async fn run(desk: Desk, stop: CancellationToken) {
    let Some(files) = desk.files().cloned() else { return };
    let mut in_hand = JoinSet::new();
    while !stop.is_cancelled() {
        if let Err(error) = round(&desk, &files, &mut in_hand).await {
            tracing::warn!(%error, "files to fetch could not be read; trying again");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            Some(ended) = in_hand.join_next(), if !in_hand.is_empty() => noted(ended),
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
    while let Some(ended) = in_hand.join_next().await {
        noted(ended);
    }
}

fn noted(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        metrics::counter!("transom_panics_total", "where" => "fetch").increment(1);
        tracing::error!(%error, "fetching a file broke off; its claim ends by itself");
    }
}

/// Claims what is due, as long as there is room for it.
async fn round(desk: &Desk, files: &Files, in_hand: &mut JoinSet<()>) -> Result<(), DeskError> {
    let (scopes, now) = desk.storage().scopes_with_files_to_fetch().await?;
    for scope in scopes {
        let room = AT_ONCE.saturating_sub(in_hand.len());
        if room == 0 {
            break;
        }
        // One file of each workspace first: the next round has room again.
        for file in desk.reader(&scope).files_to_fetch(now, 1).await? {
            if claim(desk, &scope, &file, now).await? {
                let (desk, files, scope) = (desk.clone(), files.clone(), scope.clone());
                in_hand.spawn(async move {
                    let id = file.id;
                    if let Err(error) = fetch(&desk, &files, &scope, file).await {
                        tracing::warn!(attachment = %id, %error, "a file could not be settled; its claim ends by itself");
                    }
                });
            }
        }
    }
    Ok(())
}

async fn claim(desk: &Desk, scope: &WorkspaceScope, file: &ToFetch, now: OffsetDateTime) -> Result<bool, DeskError> {
    let (file, until) = (file.clone(), now.saturating_add(LEASE));
    let claim = desk.storage().transact(scope, move |tx| {
        let file = file.clone();
        Box::pin(async move { Ok::<_, DeskError>(tx.claim_fetch(&file, until).await?) })
    });
    claim.await
}

async fn fetch(desk: &Desk, files: &Files, scope: &WorkspaceScope, file: ToFetch) -> Result<(), DeskError> {
    let fetched = match WAITS.get(used_up(&file)) {
        // Claims that never came to an end: whatever it is, it takes the process with it.
        None => Fetched::Failed { reason: "poison" },
        Some(wait) => match tokio::time::timeout(ATTEMPT, attempt(desk, files, scope, &file)).await {
            Ok(Ok(fetched)) => fetched,
            Ok(Err(Miss::Final(reason))) => Fetched::Failed { reason },
            Ok(Err(Miss::Passing(reason))) => again(desk, &file, *wait, reason).await?,
            Ok(Err(Miss::Ours(error))) => return Err(error),
            Err(_) => again(desk, &file, *wait, "unavailable").await?,
        },
    };
    settle(desk, scope, file, fetched).await
}

fn used_up(file: &ToFetch) -> usize {
    usize::try_from(file.attempts).unwrap_or(usize::MAX)
}

/// After the last wait there is no next try.
async fn again(desk: &Desk, file: &ToFetch, wait: Duration, reason: &'static str) -> Result<Fetched, DeskError> {
    if used_up(file) + 1 >= WAITS.len() {
        return Ok(Fetched::Failed { reason });
    }
    let at = desk.storage().database_now().await?.saturating_add(wait);
    Ok(Fetched::Again { at, reason })
}

/// Why an attempt gave nothing.
enum Miss {
    /// It never will.
    Final(&'static str),
    /// It may later.
    Passing(&'static str),
    /// The fault is on our side: the claim brings it back.
    Ours(DeskError),
}

impl<E: Into<DeskError>> From<E> for Miss {
    fn from(error: E) -> Self {
        Miss::Ours(error.into())
    }
}

async fn attempt(desk: &Desk, files: &Files, scope: &WorkspaceScope, file: &ToFetch) -> Result<Fetched, Miss> {
    let (account, channel) = match desk.account(scope, file.account).await {
        Ok(found) => found,
        Err(DeskError::NotFound { .. }) => return Err(Miss::Final("channel_gone")),
        Err(error) => return Err(error.into()),
    };
    let source = channel.media().ok_or(Miss::Final("not_supported"))?;
    let got = source.download(&file.file, files.max_bytes).await.and_then(|got| match got.bytes.len() as u64 {
        0 => Err(MediaError::Corrupt),
        size if size > files.max_bytes => Err(MediaError::TooLarge { max: files.max_bytes }),
        _ => Ok(got),
    });
    let result = got.as_ref().map_or_else(word_of, |_| "stored");
    let platform = account.platform.clone();
    metrics::counter!("transom_files_fetched_total", "platform" => platform, "result" => result).increment(1);
    let MediaBytes { bytes, mime, file_name } = got.map_err(|error| {
        tracing::info!(attachment = %file.id, account = %file.account, %error, "a file could not be fetched");
        match error {
            MediaError::NotFound | MediaError::TooLarge { .. } => Miss::Final(word_of(&error)),
            // A file that broke off on its way may be whole the next time.
            MediaError::Corrupt | MediaError::Unavailable(_) => Miss::Passing(word_of(&error)),
        }
    })?;
    let mime = sniff::mime(&bytes, Some(&mime));
    let file_name = file_name.as_deref().and_then(plain_name);
    let blob = files.blobs.put(scope, bytes).await.map_err(transom_storage::StorageError::from)?;
    Ok(Fetched::Stored { blob, mime, file_name })
}

fn word_of(error: &MediaError) -> &'static str {
    match error {
        MediaError::NotFound => "not_found",
        MediaError::TooLarge { .. } => "too_large",
        MediaError::Corrupt => "corrupt",
        MediaError::Unavailable(_) => "unavailable",
    }
}

async fn settle(desk: &Desk, scope: &WorkspaceScope, file: ToFetch, fetched: Fetched) -> Result<(), DeskError> {
    let (desk_in, now) = (desk.clone(), desk.now());
    desk.storage()
        .transact(scope, move |tx| {
            let (desk, file, fetched) = (desk_in.clone(), file.clone(), fetched.clone());
            Box::pin(async move {
                if !tx.settle_fetch(&file, &fetched, now).await? {
                    return Ok(());
                }
                let data = json!({ "message": file.message, "attachment": file.id });
                let (kind, more) = match &fetched {
                    Fetched::Again { .. } => return Ok(()),
                    Fetched::Stored { blob, mime, .. } => {
                        ("attachment.stored", json!({ "mime": mime, "size": blob.size }))
                    }
                    Fetched::Failed { reason } => ("attachment.failed", json!({ "reason": reason })),
                };
                let Some(message) = tx.message(file.message).await? else { return Ok(()) };
                let Some(stored) = tx.conversation(message.message.conversation).await? else { return Ok(()) };
                changes::emit(tx, desk.ids(), &stored, kind, joined(data, more), now).await
            })
        })
        .await
}

fn joined(mut data: serde_json::Value, more: serde_json::Value) -> serde_json::Value {
    if let (Some(data), serde_json::Value::Object(more)) = (data.as_object_mut(), more) {
        data.extend(more);
    }
    data
}
