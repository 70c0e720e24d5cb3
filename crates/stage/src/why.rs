//! Why a message may go.

use time::Duration;
use transom_windows::Sender;

/// Why a message may go: what the customer did and when, and who writes. By default a person answers a message of a second ago.
#[derive(Debug, Clone)]
pub struct Why {
    /// The policy; the platform's own unless another is named.
    pub policy: Option<&'static str>,
    /// Who writes.
    pub sender: Sender,
    /// What the customer did: the openings' kinds, with what the answer must refer to.
    pub openings: Vec<(&'static str, Option<String>)>,
    /// How long ago.
    pub ago: Duration,
    /// The grant that must carry it; the first that fits unless one is named.
    pub grant: Option<&'static str>,
}

impl Default for Why {
    fn default() -> Self {
        Self {
            policy: None,
            sender: Sender::Human,
            openings: vec![("message", None)],
            ago: Duration::SECOND,
            grant: None,
        }
    }
}

impl Why {
    /// A person's answer to one act.
    pub fn after(kind: &'static str, reference: Option<&str>) -> Self {
        Self { openings: vec![(kind, reference.map(str::to_owned))], ..Self::default() }
    }

    /// The same under another policy.
    #[must_use]
    pub fn under(self, policy: &'static str) -> Self {
        Self { policy: Some(policy), ..self }
    }
}
