//! The suite, judged: a channel that keeps every law passes, and one that breaks a law fails that one and no other.

use crate::parrot::{self, Flaw, Parrots};
use futures_util::{StreamExt, stream};
use rstest::rstest;
use transom_channel::conformance::{Harness, LAWS, judge};

/// A channel with everything.
mod full {
    use super::*;

    async fn harness() -> Harness {
        parrot::harness(Parrots { flaw: Flaw::None, lean: false }, parrot::client()).await
    }

    transom_channel::conformance!(harness);
}

/// A channel with nothing but text.
mod lean {
    use super::*;

    async fn harness() -> Harness {
        parrot::harness(Parrots { flaw: Flaw::None, lean: true }, parrot::client()).await
    }

    transom_channel::conformance!(harness);
}

/// The laws that a parrot breaks. A panic breaks the law under which it came.
async fn broken_by(parrots: Parrots) -> Vec<&'static str> {
    let http = parrot::client();
    let judged = LAWS.iter().map(|law| {
        let http = http.clone();
        async move {
            let verdict = tokio::spawn(async move { judge(law, &parrot::harness(parrots, http).await).await }).await;
            (*law, matches!(verdict, Ok(Ok(()))))
        }
    });
    // Some laws wait for what never comes, so a few go on at once.
    let judged: Vec<_> = stream::iter(judged).buffered(6).collect().await;
    judged.into_iter().filter(|(_, kept)| !kept).map(|(law, _)| law).collect()
}

#[rstest]
#[case(Flaw::WaitsForEver, "capabilities_are_sane")]
#[case(Flaw::NamesTheWrongSetting, "a_missing_setting_is_named")]
#[case(Flaw::ChecksAnotherAccount, "the_account_can_be_checked")]
#[case(Flaw::ShowsItsToken, "debug_holds_no_secret")]
#[case(Flaw::CountsTextInBytes, "text_at_the_limit_leaves")]
#[case(Flaw::TakesOneUnitMore, "text_over_the_limit_never_leaves")]
#[case(Flaw::SendsTextThatItDoesNotPlan, "text_over_the_limit_never_leaves")]
#[case(Flaw::SendsBlanks, "an_empty_message_never_leaves")]
#[case(Flaw::TakesStickersInSecret, "files_are_carried_or_refused")]
#[case(Flaw::IgnoresTypes, "files_of_other_types_never_leave")]
#[case(Flaw::IgnoresTheLimitForAddresses, "files_over_the_limit_never_leave")]
#[case(Flaw::TakesListsInSecret, "choices_are_carried_or_refused")]
#[case(Flaw::IgnoresLongLabels, "choices_over_the_limit_never_leave")]
#[case(Flaw::RefusesNamedPlaces, "places_are_carried_or_refused")]
#[case(Flaw::RefusesCards, "contact_cards_are_carried_or_refused")]
#[case(Flaw::NeverTakesAReactionBack, "reactions_are_carried_or_refused")]
#[case(Flaw::QuotesInSecret, "quotes_are_carried_or_refused")]
#[case(Flaw::SendsTemplatesAsText, "templates_are_carried_or_refused")]
#[case(Flaw::SendsWhatItCannotRead, "unreadable_content_never_leaves")]
#[case(Flaw::SortsFiles, "plans_lose_nothing")]
#[case(Flaw::DropsWordsThatAreNoCaption, "plans_lose_nothing")]
#[case(Flaw::OverfillsCaptions, "plans_keep_to_the_limits")]
#[case(Flaw::ChangesItsMind, "plans_are_the_same_every_time")]
#[case(Flaw::EscapesText, "a_send_makes_exactly_one_message")]
#[case(Flaw::InventsIds, "a_send_makes_exactly_one_message")]
#[case(Flaw::SplitsParts, "every_part_is_one_message")]
#[case(Flaw::WritesToAnybody, "an_address_of_no_known_kind_never_leaves")]
#[case(Flaw::CallsBadTokensABadRequest, "revoked_credentials_ask_for_a_reconnect")]
#[case(Flaw::CallsALostAnswerAFailure, "a_lost_answer_is_unknown")]
#[case(Flaw::CallsGarbageASuccess, "an_unreadable_answer_is_unknown")]
#[case(Flaw::CallsATruncatedAnswerAFailure, "a_truncated_answer_is_unknown")]
#[case(Flaw::CallsSilenceAFailure, "silence_is_unknown")]
#[case(Flaw::CallsAGatewayErrorAFailure, "a_gateway_error_is_unknown")]
#[case(Flaw::CallsNoConnectionUnknown, "a_refused_connection_is_not_connected")]
#[case(Flaw::ForgetsTheWish, "too_fast_is_rate_limited")]
#[case(Flaw::TriesAgain, "no_failure_is_tried_again")]
#[case(Flaw::QuotesItsRequestInErrors, "errors_hold_no_secret_address_or_text")]
#[case(Flaw::RefusesTaps, "a_genuine_call_is_accepted")]
#[case(Flaw::TakesAShorterProof, "a_tampered_call_is_refused")]
#[case(Flaw::WorksWithoutASecret, "without_a_secret_nothing_is_accepted")]
#[case(Flaw::RefusesUnknownEvents, "every_genuine_call_gets_the_same_answer")]
#[case(Flaw::VerifiesWhileParsing, "parse_never_verifies")]
#[case(Flaw::Remembers, "parse_is_repeatable")]
#[case(Flaw::MakesKeysFromTheTimeOfReceipt, "event_keys_survive_redelivery")]
#[case(Flaw::MakesKeysFromTheKind, "event_keys_tell_events_apart")]
#[case(Flaw::ForgetsTheAccount, "items_name_the_account")]
#[case(Flaw::ReadsItsOwnClock, "times_are_the_platforms")]
#[case(Flaw::InventsOpenings, "names_are_the_policys")]
#[case(Flaw::DropsUnknownEvents, "unknown_events_are_kept")]
#[case(Flaw::ReadsGarbage, "garbage_is_a_parse_error")]
#[case(Flaw::QuotesTheBodyInParseErrors, "parse_errors_quote_nothing")]
#[case(Flaw::Panics, "nothing_from_outside_panics")]
#[tokio::test(flavor = "multi_thread")]
async fn a_flaw_breaks_its_law_and_no_other(#[case] flaw: Flaw, #[case] law: &str) {
    // What is done in secret shows where it is not offered.
    let lean = flaw == Flaw::QuotesInSecret;
    assert_eq!(broken_by(Parrots { flaw, lean }).await, [law]);
}

#[test]
fn every_law_has_a_flaw_that_breaks_it() {
    let cases = include_str!("conformance.rs");
    let untried: Vec<_> = LAWS.iter().filter(|law| !cases.contains(&format!(", \"{law}\")]"))).collect();
    assert!(untried.is_empty(), "no flaw breaks {untried:?}");
}

#[tokio::test]
async fn a_law_that_is_not_there_is_an_error() {
    let harness = parrot::harness(Parrots { flaw: Flaw::None, lean: false }, parrot::client()).await;
    assert!(judge("be_nice", &harness).await.unwrap_err().to_string().contains("be_nice"));
}
