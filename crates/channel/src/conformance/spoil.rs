//! What is spoilt on its way to us: forged proofs, damaged bodies, values of other types.

use bytes::Bytes;
use http::HeaderValue;
use serde_json::Value;

use super::{Harness, Proof, Sample, SignedCall};

/// What no platform sends.
pub(super) const GARBAGE: [&[u8]; 6] =
    [b"", b" ", b"\xff\xfe\0\x01", b"no such format", b"<html>502 Bad Gateway</html>", b"[[[[[[["];

/// Every way to get a proof wrong that works for all proofs.
pub(super) fn forgeries(
    genuine: &SignedCall,
    place: Proof,
    proof: &str,
    covers_body: bool,
) -> Vec<(String, SignedCall)> {
    let with = |values: &[&str]| with_proof(genuine, place, values);
    let mut forgeries = vec![
        ("no proof".to_owned(), with(&[])),
        ("an empty proof".to_owned(), with(&[""])),
        ("the proof cut by one".to_owned(), with(&[&proof[..proof.len() - 1]])),
        ("half of the proof".to_owned(), with(&[&proof[..proof.len() / 2]])),
        ("a proof with more behind it".to_owned(), with(&[&format!("{proof}0")])),
        ("a wrong proof before the right one".to_owned(), with(&[&changed(proof, proof.len() - 1), proof])),
    ];
    for at in 0..proof.len() {
        forgeries.push((format!("character {at} of the proof changed"), with(&[&changed(proof, at)])));
    }
    if covers_body {
        let mut longer = genuine.body.to_vec();
        longer.push(b' ');
        forgeries
            .push(("one blank more in the body".to_owned(), SignedCall { body: longer.into(), ..genuine.clone() }));
        for at in 0..genuine.body.len() {
            let flipped = flipped(&genuine.body, at);
            forgeries.push((format!("byte {at} of the body changed"), SignedCall { body: flipped, ..genuine.clone() }));
        }
    }
    forgeries
}

/// The text with another character at a place.
pub(super) fn changed(text: &str, at: usize) -> String {
    let other = |was: char| match was {
        'a'..='y' | 'A'..='Y' | '0'..='8' => char::from_u32(was as u32 + 1).unwrap_or('0'),
        _ => '0',
    };
    text.chars().enumerate().map(|(n, character)| if n == at { other(character) } else { character }).collect()
}

pub(super) fn proof_of(call: &SignedCall, place: Proof) -> String {
    match place {
        Proof::Header(name) => {
            call.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
        }
        Proof::Query(name) => {
            let found = call.url.query_pairs().find(|(known, _)| known == name);
            found.map(|(_, value)| value.into_owned()).unwrap_or_default()
        }
    }
}

pub(super) fn with_proof(call: &SignedCall, place: Proof, values: &[&str]) -> SignedCall {
    let mut call = call.clone();
    match place {
        Proof::Header(name) => {
            call.headers.remove(name);
            for value in values.iter().filter_map(|value| HeaderValue::from_str(value).ok()) {
                call.headers.append(name, value);
            }
        }
        Proof::Query(name) => {
            let pairs = call.url.query_pairs().filter(|(known, _)| known != name);
            let others: Vec<(String, String)> =
                pairs.map(|(key, value)| (key.into_owned(), value.into_owned())).collect();
            let proofs = values.iter().map(|value| (name.to_owned(), (*value).to_owned()));
            call.url.query_pairs_mut().clear().extend_pairs(others.into_iter().chain(proofs));
        }
    }
    call
}

/// The body cut short, and with one bit flipped, at no more than some hundred places.
pub(super) fn damages(body: &Bytes) -> impl Iterator<Item = Bytes> {
    let step = (body.len() / 300).max(1);
    let places = move || (0..body.len()).step_by(step);
    places().map(|end| body.slice(..end)).chain(places().map(|at| flipped(body, at)))
}

pub(super) fn flipped(body: &Bytes, at: usize) -> Bytes {
    body.iter().enumerate().map(|(n, byte)| if n == at { byte ^ (1 << (at % 8)) } else { *byte }).collect()
}

/// What a customer might write, to be found again where it must not be.
pub(super) const MARK: &str = "4711471147114711";

/// Each sample with one value replaced by one of another type. Bodies that are not JSON have none.
pub(super) fn mutations(harness: &Harness) -> Vec<(&Sample, Bytes)> {
    let number: u64 = MARK.parse().unwrap_or_default();
    let replacements =
        [Value::from(MARK), Value::from(number), Value::from(vec![MARK]), Value::Null, Value::Bool(true)];
    let mut mutations = Vec::new();
    for sample in &harness.webhooks.events {
        let Ok(document) = serde_json::from_slice::<Value>(&sample.body) else { continue };
        let mut paths = Vec::new();
        collect_paths(&document, String::new(), &mut paths);
        for path in &paths {
            for replacement in &replacements {
                let mut mutated = document.clone();
                if let Some(place) = mutated.pointer_mut(path) {
                    *place = replacement.clone();
                    mutations.push((sample, Bytes::from(mutated.to_string())));
                }
            }
        }
    }
    mutations
}

/// Every place in a document, as a JSON pointer (RFC 6901).
fn collect_paths(value: &Value, path: String, paths: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                collect_paths(member, format!("{path}/{}", name.replace('~', "~0").replace('/', "~1")), paths);
            }
        }
        Value::Array(items) => {
            for (n, item) in items.iter().enumerate() {
                collect_paths(item, format!("{path}/{n}"), paths);
            }
        }
        _ => {}
    }
    paths.push(path);
}
