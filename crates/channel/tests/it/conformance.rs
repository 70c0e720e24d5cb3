//! The suite, judged: a channel that keeps every law passes, and one that breaks a law fails that one and no other.

use crate::parrot::{self, Flaw, Parrots};
use std::time::Duration;

use futures_util::{StreamExt, future, stream};
use transom_channel::conformance::{Harness, LAWS, PATIENCE, judge};
use transom_channel::http::HttpClient;

/// A channel with everything.
mod full {
    use super::*;

    async fn harness() -> Harness {
        parrot::harness(Parrots { flaw: Flaw::None, lean: false }, client(PATIENCE)).await
    }

    transom_channel::conformance!(harness);
}

/// A channel with nothing but text.
mod lean {
    use super::*;

    async fn harness() -> Harness {
        parrot::harness(Parrots { flaw: Flaw::None, lean: true }, client(PATIENCE)).await
    }

    transom_channel::conformance!(harness);
}

/// To make a client takes a while; the laws of one flaw share it.
fn client(patience: Duration) -> HttpClient {
    HttpClient::with_total_timeout(patience).unwrap()
}

/// The laws that wait for an answer that never comes.
const WAITING: [&str; 3] = ["silence_is_unknown", "no_failure_is_tried_again", "errors_hold_no_secret_address_or_text"];

/// The laws that a parrot breaks. A panic breaks the law under which it came.
async fn broken_by(parrots: Parrots) -> Vec<&'static str> {
    // However busy the machine is, an answer that comes is not to be missed: only those laws are in a hurry.
    let (hurried, patient) = (client(PATIENCE), client(Duration::from_mins(1)));
    let judged = LAWS.iter().map(|law| {
        let http = if WAITING.contains(law) { hurried.clone() } else { patient.clone() };
        async move {
            let verdict = tokio::spawn(async move { judge(law, &parrot::harness(parrots, http).await).await }).await;
            (*law, matches!(verdict, Ok(Ok(()))))
        }
    });
    let judged: Vec<_> = stream::iter(judged).buffered(4).collect().await;
    judged.into_iter().filter(|(_, kept)| !kept).map(|(law, _)| law).collect()
}

/// Each flaw with the law that it breaks.
const FLAWS: &[(Flaw, &str)] = &[
    (Flaw::WaitsForEver, "capabilities_are_sane"),
    (Flaw::NamesTheWrongSetting, "a_missing_setting_is_named"),
    (Flaw::ChecksAnotherAccount, "the_account_can_be_checked"),
    (Flaw::ShowsItsToken, "debug_holds_no_secret"),
    (Flaw::CountsTextInBytes, "text_at_the_limit_leaves"),
    (Flaw::TakesOneUnitMore, "text_over_the_limit_never_leaves"),
    (Flaw::SendsTextThatItDoesNotPlan, "text_over_the_limit_never_leaves"),
    (Flaw::SendsBlanks, "an_empty_message_never_leaves"),
    (Flaw::TakesStickersInSecret, "files_are_carried_or_refused"),
    (Flaw::IgnoresTypes, "files_of_other_types_never_leave"),
    (Flaw::IgnoresTheLimitForAddresses, "files_over_the_limit_never_leave"),
    (Flaw::TakesListsInSecret, "choices_are_carried_or_refused"),
    (Flaw::IgnoresLongLabels, "choices_over_the_limit_never_leave"),
    (Flaw::RefusesNamedPlaces, "places_are_carried_or_refused"),
    (Flaw::RefusesCards, "contact_cards_are_carried_or_refused"),
    (Flaw::NeverTakesAReactionBack, "reactions_are_carried_or_refused"),
    (Flaw::QuotesInSecret, "quotes_are_carried_or_refused"),
    (Flaw::SendsTemplatesAsText, "templates_are_carried_or_refused"),
    (Flaw::HidesItsTemplates, "templates_are_carried_or_refused"),
    (Flaw::SendsWhatItCannotRead, "unreadable_content_never_leaves"),
    (Flaw::SortsFiles, "plans_lose_nothing"),
    (Flaw::DropsWordsThatAreNoCaption, "plans_lose_nothing"),
    (Flaw::OverfillsCaptions, "plans_keep_to_the_limits"),
    (Flaw::ChangesItsMind, "plans_are_the_same_every_time"),
    (Flaw::EscapesText, "a_send_makes_exactly_one_message"),
    (Flaw::InventsIds, "a_send_makes_exactly_one_message"),
    (Flaw::SplitsParts, "every_part_is_one_message"),
    (Flaw::SignsInTheText, "a_name_of_any_length_is_shown_or_left_out"),
    (Flaw::WritesToAnybody, "an_address_of_no_known_kind_never_leaves"),
    (Flaw::CallsBadTokensABadRequest, "revoked_credentials_ask_for_a_reconnect"),
    (Flaw::CallsALostAnswerAFailure, "a_lost_answer_is_unknown"),
    (Flaw::CallsGarbageASuccess, "an_unreadable_answer_is_unknown"),
    (Flaw::CallsATruncatedAnswerAFailure, "a_truncated_answer_is_unknown"),
    (Flaw::CallsSilenceAFailure, "silence_is_unknown"),
    (Flaw::CallsAGatewayErrorAFailure, "a_gateway_error_is_unknown"),
    (Flaw::CallsNoConnectionUnknown, "a_refused_connection_is_not_connected"),
    (Flaw::ForgetsTheWish, "too_fast_is_rate_limited"),
    (Flaw::TriesAgain, "no_failure_is_tried_again"),
    (Flaw::QuotesItsRequestInErrors, "errors_hold_no_secret_address_or_text"),
    (Flaw::RefusesTaps, "a_genuine_call_is_accepted"),
    (Flaw::TakesAShorterProof, "a_tampered_call_is_refused"),
    (Flaw::WorksWithoutASecret, "without_a_secret_nothing_is_accepted"),
    (Flaw::RefusesUnknownEvents, "every_genuine_call_gets_the_same_answer"),
    (Flaw::VerifiesWhileParsing, "parse_never_verifies"),
    (Flaw::Remembers, "parse_is_repeatable"),
    (Flaw::MakesKeysFromTheTimeOfReceipt, "event_keys_survive_redelivery"),
    (Flaw::MakesKeysFromTheKind, "event_keys_tell_events_apart"),
    (Flaw::ForgetsTheAccount, "items_name_the_account"),
    (Flaw::ReadsItsOwnClock, "times_are_the_platforms"),
    (Flaw::InventsOpenings, "names_are_the_policys"),
    (Flaw::DropsUnknownEvents, "unknown_events_are_kept"),
    (Flaw::ReadsGarbage, "garbage_is_a_parse_error"),
    (Flaw::QuotesTheBodyInParseErrors, "parse_errors_quote_nothing"),
    (Flaw::Panics, "nothing_from_outside_panics"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_flaw_breaks_its_law_and_no_other() {
    let judged = FLAWS.iter().map(|(flaw, law)| async move {
        // What is done in secret shows where it is not offered.
        let lean = *flaw == Flaw::QuotesInSecret;
        let broken = broken_by(Parrots { flaw: *flaw, lean }).await;
        (broken != [*law]).then(|| format!("{flaw:?} should break {law}, and breaks {broken:?}"))
    });
    let wrong: Vec<String> = stream::iter(judged).buffer_unordered(8).filter_map(future::ready).collect().await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_law_has_a_flaw_that_breaks_it() {
    let untried: Vec<_> = LAWS.iter().filter(|law| !FLAWS.iter().any(|(_, broken)| broken == *law)).collect();
    assert!(untried.is_empty(), "no flaw breaks {untried:?}");
}

#[tokio::test]
async fn a_law_that_is_not_there_is_an_error() {
    let harness = parrot::harness(Parrots { flaw: Flaw::None, lean: false }, client(PATIENCE)).await;
    assert!(judge("be_nice", &harness).await.unwrap_err().to_string().contains("be_nice"));
}
