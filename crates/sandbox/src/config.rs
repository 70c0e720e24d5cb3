//! What a sandbox is started with.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use transom_domain::SettableClock;

/// What a sandbox is started with. Everything but the clock has a default.
#[derive(Debug, Clone)]
pub struct SandboxConfig {
    /// Where the platforms listen; port 0 takes a free one. An address outside the loopback is refused.
    pub listen: SocketAddr,
    /// The time of this little world. Share it with the service under test, so that both see the same windows.
    pub clock: SettableClock,
    /// Where made-up ids start. `None` takes it from the clock, so that a restarted sandbox repeats no message id.
    pub seed: Option<u64>,
    /// How a webhook that was not answered by a 2xx is tried again.
    pub redelivery: Redelivery,
}

impl SandboxConfig {
    /// Listens on a free port of 127.0.0.1, with quick redelivery.
    pub fn new(clock: SettableClock) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            clock,
            seed: None,
            redelivery: Redelivery::default(),
        }
    }
}

/// How often a webhook is tried. The platforms go on for a day (Telegram) or a week (Meta); a sandbox hurries.
///
/// The pauses pass in real time, whatever the sandbox's clock does.
#[derive(Debug, Clone, Copy)]
pub struct Redelivery {
    /// The pause after the first failure; it doubles with each further one.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// Tries after which an event is given up.
    pub tries: u32,
    /// How long one try waits for its answer.
    pub timeout: Duration,
}

impl Default for Redelivery {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(100),
            longest: Duration::from_secs(3),
            tries: 200,
            timeout: Duration::from_secs(10),
        }
    }
}
