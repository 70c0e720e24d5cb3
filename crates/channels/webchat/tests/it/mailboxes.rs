//! Mailboxes in memory, whose answers can be lost.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt};
use serde_json::Value;
use time::macros::datetime;
use tokio::sync::broadcast::{Receiver, Sender};
use transom_channel::conformance::{Accepted, Double, Fault};
use transom_channel::{MailboxEntry, MailboxError, MailboxEvent, MailboxKey, MailboxPage, MailboxPort};

/// A widget whose connection is gone.
pub(crate) const GONE: &str = "wgt_gone";

#[derive(Debug)]
pub(crate) struct Mailboxes {
    kept: Mutex<Kept>,
    whispers: Sender<(String, Value)>,
}

impl Default for Mailboxes {
    fn default() -> Self {
        Self { kept: Mutex::default(), whispers: Sender::new(16) }
    }
}

#[derive(Debug, Default)]
struct Kept {
    boxes: HashMap<String, Vec<MailboxEntry>>,
    /// In the order in which they came.
    accepted: Vec<MailboxEvent>,
    requests: usize,
    fault: Option<Fault>,
}

impl Mailboxes {
    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap()
    }
}

#[async_trait]
impl MailboxPort for Mailboxes {
    async fn append(&self, name: &str, events: Vec<MailboxEvent>) -> Result<Vec<MailboxEntry>, MailboxError> {
        let mut kept = self.kept();
        if name.starts_with(GONE) {
            return Err(MailboxError::Closed);
        }
        let fault = match kept.fault {
            Some(Fault::Refused) => return Err(MailboxError::Unavailable("storage_unavailable".into())),
            _ => kept.fault.take(),
        };
        kept.requests += 1;
        match fault {
            Some(Fault::RateLimited { retry_after }) => {
                return Err(MailboxError::Busy { retry_after_ms: u64::from(retry_after) * 1_000 });
            }
            Some(Fault::Gateway) => return Err(MailboxError::Unknown("commit_unknown".into())),
            _ => {}
        }
        let mut stored = Vec::new();
        for event in events {
            let entries = kept.boxes.entry(name.to_owned()).or_default();
            let known = entries.iter().find(|entry| entry.key == event.key).cloned();
            stored.push(known.unwrap_or_else(|| {
                let (key, data) = (event.key.clone(), event.data.clone());
                let entry =
                    MailboxEntry { seq: entries.len() as u64 + 1, key, data, at: datetime!(2026-11-21 10:00 UTC) };
                entries.push(entry.clone());
                entry
            }));
            kept.accepted.push(event);
        }
        match fault {
            None => Ok(stored),
            Some(_) => Err(MailboxError::Unknown("commit_unknown".into())),
        }
    }

    async fn read_after(&self, name: &str, seq: u64, limit: u32) -> Result<MailboxPage, MailboxError> {
        if name.starts_with(GONE) {
            return Err(MailboxError::Closed);
        }
        let all = self.kept().boxes.get(name).cloned().unwrap_or_default();
        let last_seq = all.len() as u64;
        let entries = all.into_iter().filter(|entry| entry.seq > seq).take(limit as usize).collect();
        Ok(MailboxPage { entries, last_seq, ..MailboxPage::default() })
    }

    async fn event(&self, name: &str, key: &str) -> Result<Option<MailboxEntry>, MailboxError> {
        Ok(self.kept().boxes.get(name).and_then(|all| all.iter().find(|entry| entry.key == key).cloned()))
    }

    fn news(&self, _: &str) -> BoxStream<'static, ()> {
        stream::pending().boxed()
    }

    async fn whisper(&self, name: &str, data: Value) {
        let _ = self.whispers.send((name.to_owned(), data));
    }

    fn whispers(&self, name: &str) -> BoxStream<'static, Value> {
        let (name, told) = (name.to_owned(), self.whispers.subscribe());
        let next = |(name, mut told): (String, Receiver<(String, Value)>)| async move {
            loop {
                match told.recv().await {
                    Ok((of, data)) if of == name => return Some((data, (name, told))),
                    Ok(_) => {}
                    Err(_) => return None,
                }
            }
        };
        stream::unfold((name, told), next).boxed()
    }

    async fn ack(&self, _: &str, _: u64) -> Result<(), MailboxError> {
        Ok(())
    }

    async fn see(&self, _: &str) -> Result<(), MailboxError> {
        Ok(())
    }

    async fn lead(&self, _: &str, to: &str) -> Result<String, MailboxError> {
        Ok(to.to_owned())
    }

    async fn put_key(&self, _: [u8; 32], _: &MailboxKey) -> Result<(), MailboxError> {
        Ok(())
    }

    async fn opens(&self, _: &str) -> Result<bool, MailboxError> {
        Ok(true)
    }

    async fn key(&self, _: [u8; 32]) -> Result<Option<MailboxKey>, MailboxError> {
        Ok(None)
    }

    async fn take_key(&self, _: [u8; 32]) -> Result<Option<MailboxKey>, MailboxError> {
        Ok(None)
    }
}

/// The same, as the suite looks behind it.
pub(crate) struct Behind(pub(crate) Arc<Mailboxes>);

#[async_trait]
impl Double for Behind {
    async fn requests(&self) -> usize {
        self.0.kept().requests
    }

    async fn accepted(&self) -> Vec<Accepted> {
        let accepted = |event: &MailboxEvent| Accepted {
            provider_id: Some(event.key.clone()),
            text: event.data["message"]["text"].as_str().filter(|text| !text.is_empty()).map(str::to_owned),
        };
        self.0.kept().accepted.iter().map(accepted).collect()
    }

    async fn fail_next(&self, fault: Fault) {
        self.0.kept().fault = Some(fault);
    }
}
