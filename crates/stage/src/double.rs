//! What the conformance suite sees of the sandbox.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use transom_channel::conformance::{Accepted, Double, Fault, PATIENCE};
use transom_sandbox::{Fault as Mood, FaultKind, Send};

use crate::Stage;

/// How long an answer takes that comes too late.
const LATE: Duration = PATIENCE.saturating_add(Duration::from_millis(500));

/// How many requests could have reached the customer so far.
pub(crate) type Requests = Box<dyn Fn(&Stage) -> usize + std::marker::Send + Sync>;

/// The sandbox behind a stage.
pub(crate) struct Behind {
    stage: Stage,
    requests: Requests,
    refusing: AtomicBool,
}

impl Behind {
    pub(crate) fn new(stage: Stage, requests: Requests) -> Self {
        Self { stage, requests, refusing: AtomicBool::new(false) }
    }
}

#[async_trait]
impl Double for Behind {
    async fn requests(&self) -> usize {
        (self.requests)(&self.stage)
    }

    async fn accepted(&self) -> Vec<Accepted> {
        let accepted = |send: Send| Accepted {
            provider_id: send.provider_ids.first().cloned(),
            text: Some(send.text).filter(|text| !text.is_empty()),
        };
        self.stage.control.ledger().into_iter().map(accepted).collect()
    }

    async fn fail_next(&self, fault: Fault) {
        let refused = fault == Fault::Refused;
        // Telling it what it does already would close the connections that are open.
        if self.refusing.swap(refused, Ordering::SeqCst) != refused {
            self.stage.control.refuse_connections(refused).await;
        }
        let mood = match fault {
            Fault::LoseAnswer => FaultKind::LoseAnswer,
            Fault::Garbage => FaultKind::Garbage,
            Fault::Truncated => FaultKind::Truncated,
            Fault::Silence => FaultKind::SlowAnswer { ms: u64::try_from(LATE.as_millis()).unwrap() },
            Fault::Gateway => FaultKind::Status { status: 502 },
            Fault::RateLimited { retry_after } => FaultKind::RateLimited { retry_after: Some(retry_after) },
            Fault::Refused => return,
        };
        self.stage.control.fault(&self.stage.account, Mood::once(mood)).unwrap();
    }
}
