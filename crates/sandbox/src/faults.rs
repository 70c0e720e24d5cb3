//! The moods of a platform.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Something that goes wrong with the next calls of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What goes wrong.
    #[serde(flatten)]
    pub kind: FaultKind,
    /// With how many calls; `None`: until the faults are cleared.
    #[serde(default = "once")]
    pub count: Option<u32>,
    /// With which calls.
    #[serde(default)]
    pub on: On,
}

#[expect(clippy::unnecessary_wraps, reason = "the shape that serde's default wants")]
fn once() -> Option<u32> {
    Some(1)
}

impl Fault {
    /// Strikes the next send, once.
    pub fn once(kind: FaultKind) -> Self {
        Self { kind, count: Some(1), on: On::Send }
    }

    /// Strikes the next `count` sends.
    pub fn times(kind: FaultKind, count: u32) -> Self {
        Self { kind, count: Some(count), on: On::Send }
    }

    /// Strikes each send until the faults are cleared.
    pub fn always(kind: FaultKind) -> Self {
        Self { kind, count: None, on: On::Send }
    }
}

/// Which calls a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum On {
    /// Only those that send a message.
    #[default]
    Send,
    /// All calls of the account: media, templates, profile, …
    Any,
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FaultKind {
    /// The call is carried out, then the connection closes without an answer.
    LoseAnswer,
    /// The call is read and not carried out; the connection closes without an answer.
    Drop,
    /// Not carried out: too fast, in the platform's own words.
    RateLimited {
        /// Seconds to wait, where the platform tells.
        #[serde(default)]
        retry_after: Option<u32>,
    },
    /// Not carried out: a bare status without a structured body, as a gateway answers.
    Status {
        /// 500, 502, 503, …
        status: u16,
    },
    /// Not carried out: the platform's own error with this code.
    Error {
        /// The platform's code.
        code: i64,
        /// The words that go with it.
        #[serde(default)]
        detail: Option<String>,
        /// Where the platform can: answered by success, failed by a later status.
        #[serde(default)]
        asynchronous: bool,
    },
    /// Carried out; 200 with a body that is no JSON.
    Garbage,
    /// Carried out; 200 with a body that breaks off, connection closed.
    Truncated,
    /// Waits, then goes on as usual, even if the caller has left.
    Delay {
        /// Milliseconds of real time.
        ms: u64,
    },
    /// Carried out at once, answered late.
    SlowAnswer {
        /// Milliseconds of real time.
        ms: u64,
    },
}

impl FaultKind {
    /// Its name in the control API.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::LoseAnswer => "lose_answer",
            Self::Drop => "drop",
            Self::RateLimited { .. } => "rate_limited",
            Self::Status { .. } => "status",
            Self::Error { .. } => "error",
            Self::Garbage => "garbage",
            Self::Truncated => "truncated",
            Self::Delay { .. } => "delay",
            Self::SlowAnswer { .. } => "slow_answer",
        }
    }

    pub(crate) fn pause(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }
}

/// The faults in store for an account, first come first played.
#[derive(Debug, Default)]
pub(crate) struct Faults(VecDeque<Fault>);

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.0.push_back(fault);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn list(&self) -> Vec<Fault> {
        self.0.iter().cloned().collect()
    }

    /// The fault that strikes the present call.
    pub(crate) fn take(&mut self, sends: bool) -> Option<FaultKind> {
        let at = self.0.iter().position(|fault| (sends || fault.on == On::Any) && fault.count != Some(0))?;
        let fault = self.0.get_mut(at)?;
        let kind = fault.kind.clone();
        fault.count = fault.count.map(|left| left.saturating_sub(1));
        if fault.count == Some(0) {
            self.0.remove(at);
        }
        Some(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_played_in_order_and_used_up() {
        let mut faults = Faults::default();
        faults.add(Fault::times(FaultKind::Drop, 2));
        faults.add(Fault { kind: FaultKind::Garbage, count: None, on: On::Any });
        assert_eq!(faults.take(false), Some(FaultKind::Garbage));
        assert_eq!(
            [faults.take(true), faults.take(true), faults.take(true)],
            [Some(FaultKind::Drop), Some(FaultKind::Drop), Some(FaultKind::Garbage)]
        );
        faults.clear();
        assert_eq!(faults.take(true), None);
    }

    #[test]
    fn a_fault_reads_like_the_control_api_says() {
        let fault: Fault = serde_json::from_str(r#"{"kind":"rate_limited","retry_after":14}"#).unwrap();
        assert_eq!(fault, Fault::once(FaultKind::RateLimited { retry_after: Some(14) }));
        let fault: Fault = serde_json::from_str(r#"{"kind":"drop","count":null,"on":"any"}"#).unwrap();
        assert_eq!(fault, Fault { kind: FaultKind::Drop, count: None, on: On::Any });
    }
}
