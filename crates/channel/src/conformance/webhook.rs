//! Laws of what comes in.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use http::HeaderValue;
use time::{Duration, OffsetDateTime};
use transom_windows::{Event, Facts, What};

use super::spoil::{GARBAGE, MARK, changed, damages, forgeries, mutations, proof_of, with_proof};
use super::trial::Trial;
use super::{Harness, Sample, SignedCall, Verdict, Violation, must};
use crate::{AccountEffect, Channel, Inbound, Item, RawInbound, VerifyError, subject_of};

/// A call with the right proof is let in.
pub async fn a_genuine_call_is_accepted(harness: &Harness) -> Verdict {
    let trial = Trial::of(harness)?;
    for sample in &harness.webhooks.events {
        let call = (harness.webhooks.sign)(&sample.body);
        let answer = trial.channel.verify(&call.received_at(now(harness)));
        must!(answer.is_ok(), "a genuine call ({}) is refused: {answer:?}", sample.name);
    }
    Ok(())
}

/// A call without the right proof is not, whatever is wrong with it.
pub async fn a_tampered_call_is_refused(harness: &Harness) -> Verdict {
    let trial = Trial::of(harness)?;
    let body = harness.webhooks.events.first().map_or_else(Bytes::new, |sample| sample.body.clone());
    let genuine = (harness.webhooks.sign)(&body);
    let proof = proof_of(&genuine, harness.webhooks.proof);
    must!(proof.len() > 3, "the harness signs with nothing that can be found at {:?}", harness.webhooks.proof);
    for (what, forged) in forgeries(&genuine, harness.webhooks.proof, &proof, harness.webhooks.covers_body) {
        let answer = trial.channel.verify(&forged.received_at(now(harness)));
        must!(answer.is_err(), "a call with {what} is accepted");
    }
    Ok(())
}

/// An account that has nothing to check with lets nobody in.
pub async fn without_a_secret_nothing_is_accepted(harness: &Harness) -> Verdict {
    let sample = harness.webhooks.events.first().map_or_else(Bytes::new, |sample| sample.body.clone());
    for blank in ["", "  "] {
        let settings = harness.settings.clone().with(harness.webhooks.secret, blank);
        // Not to connect at all is as good.
        let Ok(channel) = harness.platform.connect(&settings, &harness.ports) else { continue };
        let call = (harness.webhooks.sign)(&sample);
        let answer = channel.verify(&call.received_at(now(harness)));
        must!(answer == Err(VerifyError::NoSecret), "without a secret a call is answered with {answer:?}");
    }
    Ok(())
}

/// A genuine call is taken whatever it says, so that what we can't use is not sent for ever. Only what is understood may be
/// answered in words of its own.
pub async fn every_genuine_call_gets_the_same_answer(harness: &Harness) -> Verdict {
    let trial = Trial::of(harness)?;
    let events = harness.webhooks.events.iter().map(|sample| (&sample.body[..], true));
    let unknown = harness.webhooks.unknown.iter().map(|sample| &sample.body[..]).chain(GARBAGE);
    let mut first = None;
    for (body, understood) in unknown.map(|body| (body, false)).chain(events) {
        let answer = trial.channel.verify(&(harness.webhooks.sign)(body).received_at(now(harness)));
        let answer = match answer {
            Ok(answer) => answer,
            // Another law's.
            Err(_) if harness.webhooks.events.iter().any(|sample| sample.body == body) => continue,
            Err(error) => return Err(Violation::new(format!("a genuine call is refused for what it says: {error}"))),
        };
        must!((200..300).contains(&answer.status) && answer.journal, "a genuine call is answered with {answer:?}");
        let same = first.get_or_insert_with(|| answer.clone());
        let fits = if understood { same.status == answer.status } else { *same == answer };
        must!(fits, "the answer depends on what the call says: {answer:?}");
    }
    Ok(())
}

/// A replay has no proof any more.
pub async fn parse_never_verifies(harness: &Harness) -> Verdict {
    let now = now(harness);
    for sample in &harness.webhooks.events {
        let call = (harness.webhooks.sign)(&sample.body);
        let proof = proof_of(&call, harness.webhooks.proof);
        let wrong = with_proof(&call, harness.webhooks.proof, &[&changed(&proof, 0)]);
        let without = with_proof(&call, harness.webhooks.proof, &[]);
        let genuine = parse(&*Trial::of(harness)?.channel, sample.name, &journalled(&call, now))?;
        for other in [wrong, without] {
            let items = Trial::of(harness)?.channel.parse(&journalled(&other, now));
            must!(items.as_ref() == Ok(&genuine), "{}: without its proof a call is read as {items:?}", sample.name);
        }
    }
    Ok(())
}

/// Parsing has no memory.
pub async fn parse_is_repeatable(harness: &Harness) -> Verdict {
    let (trial, other, now) = (Trial::of(harness)?, Trial::of(harness)?, now(harness));
    for sample in &harness.webhooks.events {
        let first = parse(&*trial.channel, sample.name, &raw(sample, now))?;
        for channel in [&trial.channel, &other.channel] {
            let again = parse(&**channel, sample.name, &raw(sample, now))?;
            must!(again == first, "{}: read again, it says something else", sample.name);
        }
    }
    Ok(())
}

/// The same event has the same key whenever it comes.
pub async fn event_keys_survive_redelivery(harness: &Harness) -> Verdict {
    let trial = Trial::of(harness)?;
    for (sample, items) in parsed(harness, &trial)? {
        let later = parse(&*trial.channel, sample.name, &raw(sample, now(harness) + Duration::hours(7)))?;
        let keys = |items: &[Inbound]| items.iter().map(|item| item.event_key.clone()).collect::<Vec<_>>();
        must!(keys(&items) == keys(&later), "{}: delivered again, its keys are {:?}", sample.name, keys(&later));
    }
    Ok(())
}

/// Different events have different keys.
pub async fn event_keys_tell_events_apart(harness: &Harness) -> Verdict {
    let trial = Trial::of(harness)?;
    let mut seen = BTreeMap::new();
    for (sample, items) in parsed(harness, &trial)? {
        for item in items {
            must!(!item.event_key.is_empty(), "{}: an item without a key", sample.name);
            let before = seen.insert(item.event_key.clone(), sample.name);
            must!(
                before.is_none(),
                "{} and {}: one key for two events, {}",
                before.unwrap_or_default(),
                sample.name,
                item.event_key
            );
        }
    }
    Ok(())
}

/// Each item says on which account it happened, or to which group of accounts a notice is for.
pub async fn items_name_the_account(harness: &Harness) -> Verdict {
    let trial = Trial::of(harness)?;
    for (sample, items) in parsed(harness, &trial)? {
        for item in items {
            let is_notice =
                matches!(item.item, Item::AccountNotice(_) | Item::TemplateNotice(_) | Item::Unsupported { .. });
            let of_group = is_notice && trial.channel.group_key().is_some_and(|group| group == item.account);
            must!(
                item.account == harness.account || of_group,
                "{}: an item on account `{}`",
                sample.name,
                item.account
            );
        }
    }
    Ok(())
}

/// Windows count from the platform's time; without one, from when the call came in.
pub async fn times_are_the_platforms(harness: &Harness) -> Verdict {
    let trial = Trial::of(harness)?;
    let received = now(harness) + Duration::hours(3);
    for sample in &harness.webhooks.events {
        let items = parse(&*trial.channel, sample.name, &raw(sample, received))?;
        let at = items.first().map(|item| item.at);
        let expected = sample.at.unwrap_or(received);
        must!(at == Some(expected), "{}: it happened at {expected}, and is read as of {at:?}", sample.name);
    }
    Ok(())
}

/// Openings, features and quotas go by the names that the policy knows.
pub async fn names_are_the_policys(harness: &Harness) -> Verdict {
    let trial = Trial::of(harness)?;
    let policy = trial.policy()?;
    for (sample, items) in parsed(harness, &trial)? {
        for item in items {
            for opening in item.openings {
                let what = What::Opening { kind: opening.kind, reference: opening.reference };
                let known =
                    Facts::new(subject_of(&harness.identity), &policy).apply(&policy, &Event { at: item.at, what });
                known.map_err(|unknown| Violation::new(format!("{}: {unknown}", sample.name)))?;
            }
            let Item::AccountNotice(notice) = item.item else { continue };
            let known = match &notice.effect {
                Some(AccountEffect::Limit { quota, .. }) => policy.quota(quota).is_some(),
                Some(AccountEffect::Used { quota, .. }) => {
                    policy.quota(quota).is_some_and(|quota| quota.period_at(item.at).is_some())
                }
                Some(AccountEffect::Feature { name, .. }) => {
                    policy.features().iter().any(|feature| feature.name() == name)
                }
                Some(AccountEffect::Suspended | AccountEffect::Restored) | None => true,
            };
            must!(
                known,
                "{}: policy `{}` has no such quota or feature: {:?}",
                sample.name,
                policy.name(),
                notice.effect
            );
        }
    }
    Ok(())
}

/// What does not exist yet is kept, and is no error.
pub async fn unknown_events_are_kept(harness: &Harness) -> Verdict {
    let trial = Trial::of(harness)?;
    must!(!harness.webhooks.unknown.is_empty(), "the harness has no event of an unknown type");
    for sample in &harness.webhooks.unknown {
        let items = parse(&*trial.channel, sample.name, &raw(sample, now(harness)))?;
        let kept = items.iter().any(|item| matches!(item.item, Item::Unsupported { .. }));
        must!(kept, "{}: it is lost, all that is read is {items:?}", sample.name);
    }
    Ok(())
}

/// What is not of the platform's format is an error, and goes to quarantine.
pub async fn garbage_is_a_parse_error(harness: &Harness) -> Verdict {
    let trial = Trial::of(harness)?;
    for garbage in GARBAGE {
        let read = trial.channel.parse(&RawInbound::new(garbage, now(harness)));
        must!(read.is_err(), "`{}` is read as {read:?}", garbage.escape_ascii());
    }
    Ok(())
}

/// The error goes to a log; what the customer wrote does not.
pub async fn parse_errors_quote_nothing(harness: &Harness) -> Verdict {
    let trial = Trial::of(harness)?;
    for (sample, mutation) in mutations(harness) {
        if let Err(error) = trial.channel.parse(&RawInbound::new(mutation, now(harness))) {
            must!(!error.to_string().contains(MARK), "{}: the error quotes the body: {error}", sample.name);
        }
    }
    Ok(())
}

/// Whatever comes in, neither check nor reading ends in a panic.
pub async fn nothing_from_outside_panics(harness: &Harness) -> Verdict {
    let trial = Trial::of(harness)?;
    let known = harness.webhooks.events.iter().chain(&harness.webhooks.unknown);
    let damaged = known.flat_map(|sample| damages(&sample.body).map(move |body| (sample.name, body)));
    let mutated = mutations(harness).into_iter().map(|(sample, body)| (sample.name, body));
    let garbage = GARBAGE.into_iter().map(|body| ("garbage", Bytes::from_static(body)));
    for (name, body) in damaged.chain(mutated).chain(garbage) {
        let call = (harness.webhooks.sign)(&body);
        let raw = journalled(&call, now(harness));
        let survived = catch_unwind(AssertUnwindSafe(|| {
            let _ = trial.channel.verify(&call.received_at(raw.received_at));
            let _ = trial.channel.parse(&raw);
        }));
        must!(survived.is_ok(), "{name}: a panic at `{}`", body.escape_ascii());
    }
    Ok(())
}

/// Every sample with the items it is read as.
fn parsed<'h>(harness: &'h Harness, trial: &Trial<'_>) -> Result<Vec<(&'h Sample, Vec<Inbound>)>, Violation> {
    let samples = harness.webhooks.events.iter();
    samples.map(|sample| Ok((sample, parse(&*trial.channel, sample.name, &raw(sample, now(harness)))?))).collect()
}

/// Reads what must be readable and must say something.
fn parse(channel: &dyn Channel, name: &str, raw: &RawInbound) -> Result<Vec<Inbound>, Violation> {
    let items = channel.parse(raw).map_err(|error| Violation::new(format!("{name}: {error}")))?;
    must!(!items.is_empty(), "{name}: nothing is read from it");
    Ok(items)
}

fn raw(sample: &Sample, received_at: OffsetDateTime) -> RawInbound {
    RawInbound::new(sample.body.clone(), received_at)
}

/// A call as the journal keeps it.
fn journalled(call: &SignedCall, received_at: OffsetDateTime) -> RawInbound {
    let header = |(name, value): (&http::HeaderName, &HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    RawInbound {
        headers: call.headers.iter().map(header).collect(),
        query: call.url.query().map(str::to_owned),
        body: call.body.clone(),
        received_at,
    }
}

fn now(harness: &Harness) -> OffsetDateTime {
    harness.ports.clock.now()
}
