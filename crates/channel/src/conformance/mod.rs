//! The contract of [`Channel`](crate::Channel), executable: every law once, for every channel alike.
//!
//! A channel crate writes one async function that gives a [`Harness`]: its platform connected to a stand-in over real HTTP,
//! and samples of its webhooks. One line then makes a test of each law:
//!
//! ```
//! use transom_channel::conformance::Harness;
//!
//! async fn harness() -> Harness {
//!     // Starts the stand-in, and says how to reach it.
//!     # std::future::pending().await
//! }
//!
//! transom_channel::conformance!(harness);
//! ```
//!
//! What a channel offers is read from its [`Capabilities`](crate::Capabilities): what it offers must work, and what it leaves
//! out must be refused before a byte goes out; nothing is skipped. The suite is tested in turn, in this crate's `tests/`, by
//! channels that break one law each.

pub mod chance;
mod faults;
mod files;
mod harness;
mod plan;
mod samples;
mod send;
mod setup;
mod spoil;
mod tokens;
mod trial;
pub mod vectors;
mod webhook;

use std::fmt;
use std::time::Duration;

pub use faults::*;
pub use files::SampleFiles;
pub use harness::{Accepted, Double, Fault, Harness, Proof, Sample, Sign, SignedCall, Webhooks};
pub use plan::*;
pub use send::*;
pub use setup::*;
pub use tokens::Tokens;
pub use webhook::*;

/// How long the channel under test waits for an answer: short, since some laws wait for what never comes, and more than a
/// busy machine needs for what does.
pub const PATIENCE: Duration = Duration::from_secs(4);

/// A law that a channel breaks, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation(String);

impl Violation {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Violation {}

/// Whether a law is kept.
pub type Verdict = Result<(), Violation>;

/// Ends a law with what was seen, unless the condition holds.
macro_rules! must {
    ($holds:expr, $($seen:tt)+) => {
        if !$holds {
            return Err($crate::conformance::Violation::new(format!($($seen)+)));
        }
    };
}
pub(crate) use must;

/// One test for each law of the [`Channel`](crate::Channel) contract. `$harness` is an async function that gives a fresh
/// [`Harness`].
#[macro_export]
macro_rules! conformance {
    ($harness:path) => { $crate::conformance! { @laws tests $harness } };

    // The laws, listed once; `@tests` and `@judge` make of them what they need.
    (@laws $make:ident $with:tt) => { $crate::conformance! { @$make $with
        // Settings and capabilities.
        capabilities_are_sane,
        a_missing_setting_is_named,
        the_account_can_be_checked,
        debug_holds_no_secret,
        // What is planned.
        text_at_the_limit_leaves,
        text_over_the_limit_never_leaves,
        an_empty_message_never_leaves,
        files_are_carried_or_refused,
        files_of_other_types_never_leave,
        files_over_the_limit_never_leave,
        choices_are_carried_or_refused,
        choices_over_the_limit_never_leave,
        places_are_carried_or_refused,
        contact_cards_are_carried_or_refused,
        reactions_are_carried_or_refused,
        quotes_are_carried_or_refused,
        templates_are_carried_or_refused,
        unreadable_content_never_leaves,
        plans_lose_nothing,
        plans_keep_to_the_limits,
        plans_are_the_same_every_time,
        // What is sent.
        a_send_makes_exactly_one_message,
        every_part_is_one_message,
        a_name_of_any_length_is_shown_or_left_out,
        an_address_of_no_known_kind_never_leaves,
        revoked_credentials_ask_for_a_reconnect,
        // What goes wrong on the way.
        a_lost_answer_is_unknown,
        an_unreadable_answer_is_unknown,
        a_truncated_answer_is_unknown,
        silence_is_unknown,
        a_gateway_error_is_unknown,
        a_refused_connection_is_not_connected,
        too_fast_is_rate_limited,
        no_failure_is_tried_again,
        errors_hold_no_secret_address_or_text,
        // What comes in.
        a_genuine_call_is_accepted,
        a_tampered_call_is_refused,
        without_a_secret_nothing_is_accepted,
        every_genuine_call_gets_the_same_answer,
        parse_never_verifies,
        parse_is_repeatable,
        event_keys_survive_redelivery,
        event_keys_tell_events_apart,
        items_name_the_account,
        times_are_the_platforms,
        names_are_the_policys,
        unknown_events_are_kept,
        garbage_is_a_parse_error,
        parse_errors_quote_nothing,
        nothing_from_outside_panics,
    } };

    (@tests $harness:tt $($law:ident,)*) => { $(
        #[tokio::test]
        async fn $law() {
            if let Err(violation) = $crate::conformance::$law(&$harness().await).await {
                panic!("{violation}");
            }
        }
    )* };

    (@judge ($name:expr, $harness:expr) $($law:ident,)*) => {
        match $name {
            $(stringify!($law) => $crate::conformance::$law($harness).await,)*
            other => Err($crate::conformance::Violation::new(format!("there is no law `{other}`"))),
        }
    };

    (@names () $($law:ident,)*) => { &[$(stringify!($law),)*] };
}

/// The names of all laws.
pub const LAWS: &[&str] = conformance! { @laws names () };

/// Judges by one law, for programs that do not use the macro.
///
/// # Errors
/// [`Violation`] says what was seen; also when there is no law of that name.
pub async fn judge(law: &str, harness: &Harness) -> Verdict {
    conformance! { @laws judge (law, harness) }
}
