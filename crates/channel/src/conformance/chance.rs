//! Chance: bodies that nobody would send, for the property tests of a parser.
//!
//! A channel says which words mean something to it, so that chance finds its corners, and puts what chance makes into its
//! platform's envelope. What must hold of anything that comes in is said once, in [`read`]:
//!
//! ```
//! use proptest::prelude::*;
//! use transom_channel::Channel;
//! use transom_channel::conformance::chance;
//!
//! fn any_event(channel: &dyn Channel) {
//!     proptest!(|(event in chance::json("type text image from id"))| {
//!         let told = chance::read(channel, serde_json::json!({"events": [event]}).to_string())?;
//!         prop_assert!(told.is_some_and(|told| told.len() == 1));
//!     });
//! }
//! ```

use bytes::Bytes;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::{collection, sample};
use serde_json::Value;
use time::OffsetDateTime;
use time::macros::datetime;

use super::SignedCall;
use crate::{Channel, Inbound, Item, RawInbound};

/// When everything here comes in.
pub const RECEIVED: OffsetDateTime = datetime!(2026-11-20 10:00 UTC);

/// Bytes without a meaning.
pub fn bytes() -> BoxedStrategy<Vec<u8>> {
    collection::vec(any::<u8>(), 0..400).boxed()
}

/// Mostly one of these words, which blanks separate; at times a name like them, or any text at all.
pub fn word(known: &str) -> BoxedStrategy<String> {
    let known: Vec<String> = known.split_whitespace().map(str::to_owned).collect();
    prop_oneof![8 => sample::select(known), 1 => "[a-z_]{1,8}", 1 => any::<String>()].boxed()
}

/// JSON in which these words stand, as names and as values.
pub fn json(known: &str) -> BoxedStrategy<Value> {
    let (name, value) = (word(known), word(known));
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[0-9]{1,13}".prop_map(Value::from),
        value.prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 6, move |inner| {
        prop_oneof![
            collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            collection::vec((name.clone(), inner), 0..8).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
    .boxed()
}

/// A good body cut off, or with one byte changed.
pub fn damaged(bodies: Vec<Vec<u8>>) -> BoxedStrategy<Vec<u8>> {
    (sample::select(bodies), any::<Index>(), any::<u8>(), any::<bool>())
        .prop_map(|(mut body, place, byte, cut)| {
            if body.is_empty() {
                return body;
            }
            let place = place.index(body.len());
            match body.get_mut(place) {
                Some(changed) if !cut => *changed = byte,
                _ => body.truncate(place),
            }
            body
        })
        .boxed()
}

/// An object with the fields of another, which win; what is no object has none.
#[must_use]
pub fn with(base: Value, more: &Value) -> Value {
    match (base, more) {
        (Value::Object(base), Value::Object(more)) => Value::Object(
            base.into_iter().chain(more.iter().map(|(name, value)| (name.clone(), value.clone()))).collect(),
        ),
        (base, _) => base,
    }
}

/// Reads a body that came in at [`RECEIVED`], and holds the channel to what is true of any: see [`read_raw`].
///
/// # Errors
/// As [`read_raw`].
pub fn read(channel: &dyn Channel, body: impl Into<Bytes>) -> Result<Option<Vec<Inbound>>, TestCaseError> {
    read_raw(channel, &RawInbound::new(body, RECEIVED))
}

/// Reads what came in, and holds the channel to what is true of anything: nobody's call is let in without a proof; read again,
/// it says the same; and what it says can be kept: it has a key and an account, and nothing in it lacks its name.
/// `None`: the parser refuses it.
///
/// # Errors
/// The property that does not hold, and for which item.
pub fn read_raw(channel: &dyn Channel, raw: &RawInbound) -> Result<Option<Vec<Inbound>>, TestCaseError> {
    let unsigned = SignedCall::json(raw.body.clone());
    let answer = channel.verify(&unsigned.received_at(raw.received_at));
    prop_assert!(answer.is_err(), "without any proof it is answered with {:?}", answer);

    let read = channel.parse(raw);
    prop_assert_eq!(&read, &channel.parse(raw));
    for item in read.iter().flatten() {
        can_be_kept(item)?;
    }
    Ok(read.ok())
}

fn can_be_kept(item: &Inbound) -> Result<(), TestCaseError> {
    prop_assert!(!item.event_key.is_empty(), "no key: {:?}", item);
    prop_assert!(!item.account.is_empty(), "no account: {:?}", item);
    for address in item.person.iter().flat_map(|person| &person.addresses) {
        prop_assert!(!address.kind.is_empty() && !address.value.is_empty(), "an empty address: {:?}", item);
    }
    for opening in &item.openings {
        let named =
            !opening.kind.is_empty() && opening.reference.as_ref().is_none_or(|reference| !reference.is_empty());
        prop_assert!(named, "an opening without a name: {:?}", item);
    }
    if let Item::Message(message) = &item.item {
        prop_assert!(item.person.is_some(), "a message of nobody: {:?}", item);
        prop_assert!(!message.provider_id.is_empty(), "a message without an id: {:?}", item);
    }
    Ok(())
}
