//! The truth about sends: what a platform accepted, whatever its caller was told.

use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;

use crate::chats::Progress;
use crate::ring::Ring;

/// A send that a platform accepted.
#[derive(Debug, Clone, Serialize)]
pub struct Send {
    /// Counts upwards over all accounts.
    pub seq: u64,
    /// When it was accepted.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The platform's name.
    pub platform: String,
    /// The account that sent.
    pub account: String,
    /// The customer; empty for a group.
    pub customer: String,
    /// The recipient as written in the request.
    pub recipient: String,
    /// The business connection or group.
    pub via: Option<String>,
    /// The ids given to it, as a caller would store them (`chat:message` on Telegram, several for an album).
    pub provider_ids: Vec<String>,
    /// The platform's method (`messages`, `sendPhoto`).
    pub method: String,
    /// The platform's word for what it is.
    pub kind: String,
    /// The template's category.
    pub category: Option<String>,
    /// The words the customer sees.
    pub text: String,
    /// The request's body; of a multipart one its fields, with size and SHA-256 in a file's place.
    pub body: Value,
    /// The window at that instant, from the raw history.
    pub window: Window,
    /// Counted against a quota.
    pub counted: bool,
    /// False if the answer was lost or broken on purpose.
    pub answered: bool,
    /// How far it came.
    pub receipt: Progress,
    /// Why it failed later.
    pub failed: Option<i64>,
}

/// Where an instant lies in a conversation's window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Window {
    /// Open, closed, never opened, or none on this platform.
    pub state: WindowState,
    /// The event that opened it.
    #[serde(with = "time::serde::rfc3339::option")]
    pub opened_at: Option<OffsetDateTime>,
    /// The first instant outside.
    #[serde(with = "time::serde::rfc3339::option")]
    pub closes_at: Option<OffsetDateTime>,
}

/// See [`Window`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WindowState {
    /// This platform has no window here.
    None,
    /// The customer never opened it.
    NeverOpened,
    /// Open.
    Open,
    /// It was open once.
    Closed,
}

impl Window {
    /// The window of length `span` that `opened_at` opened, at `now`. Half-open: the closing instant is outside.
    pub(crate) fn rolling(opened_at: Option<OffsetDateTime>, span: time::Duration, now: OffsetDateTime) -> Self {
        let closes_at = opened_at.map(|at| at + span);
        let state = match closes_at {
            None => WindowState::NeverOpened,
            Some(closes_at) if now < closes_at => WindowState::Open,
            Some(_) => WindowState::Closed,
        };
        Self { state, opened_at, closes_at }
    }

    /// No window on this platform; `since` is when the customer first wrote, if ever.
    pub(crate) fn unlimited(since: Option<OffsetDateTime>) -> Self {
        let state = if since.is_some() { WindowState::None } else { WindowState::NeverOpened };
        Self { state, opened_at: since, closes_at: None }
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self.state, WindowState::Open | WindowState::None)
    }
}

/// One call that reached a platform's endpoint, accepted or not.
#[derive(Debug, Clone, Serialize)]
pub struct CallRecord {
    /// Counts upwards over all platforms.
    pub seq: u64,
    /// When it arrived.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The account, where the call named one.
    pub account: Option<String>,
    /// The HTTP method.
    pub method: String,
    /// The path; a token in it is masked.
    pub path: String,
    /// How far it is.
    pub state: CallState,
    /// The status answered; none while there is no answer, or if the connection was dropped.
    pub status: Option<u16>,
    /// The platform's error code.
    pub code: Option<i64>,
    /// The fault that was played, if any.
    pub fault: Option<&'static str>,
}

/// How far a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CallState {
    /// It arrived and has no answer yet.
    Arrived,
    /// It was answered.
    Answered,
    /// Its connection was dropped without an answer.
    Dropped,
}

/// The calls, in the order of their arrival.
#[derive(Debug)]
pub(crate) struct Calls {
    pub(crate) records: Ring<CallRecord>,
    next: u64,
}

impl Default for Calls {
    fn default() -> Self {
        Self { records: Ring::new(20_000), next: 1 }
    }
}

impl Calls {
    /// Lists a call, and gives it its number.
    pub(crate) fn arrived(&mut self, record: CallRecord) -> u64 {
        let seq = self.next;
        self.next += 1;
        self.records.push(CallRecord { seq, ..record });
        seq
    }

    /// Completes a call: by its status, or by none if the connection was dropped.
    pub(crate) fn ended(&mut self, seq: u64, status: Option<u16>, code: Option<i64>) {
        if let Some(record) = self.records.iter_mut().rev().find(|record| record.seq == seq) {
            record.state = if status.is_some() { CallState::Answered } else { CallState::Dropped };
            (record.status, record.code) = (status, code);
        }
    }
}

/// The sends, newest last.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) sends: Ring<Send>,
    next: u64,
}

impl Default for Ledger {
    fn default() -> Self {
        Self { sends: Ring::new(200_000), next: 1 }
    }
}

impl Ledger {
    /// Books a send and gives it its number.
    pub(crate) fn book(&mut self, mut send: Send) -> u64 {
        send.seq = self.next;
        self.next += 1;
        let seq = send.seq;
        self.sends.push(send);
        seq
    }

    pub(crate) fn by_provider_id(&mut self, account: &str, id: &str) -> Option<&mut Send> {
        self.sends
            .iter_mut()
            .rev()
            .find(|send| send.account == account && send.provider_ids.iter().any(|known| known == id))
    }

    /// The number that the next send will get.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// Marks the sends from `from` on as unanswered: their caller never learnt of them.
    pub(crate) fn unanswered(&mut self, account: &str, from: u64) {
        for send in self.sends.iter_mut().rev().take_while(|send| send.seq >= from) {
            if send.account == account {
                send.answered = false;
            }
        }
    }
}
