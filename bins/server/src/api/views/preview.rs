//! What a message would become.

use poem_openapi::Object;
use transom_desk::Preview;

use super::content::ContentView;
use crate::api::contract::{As, DecisionBody, PermitRecordBody};
use crate::http::problem::HouseBody;

/// A message as it would be sent now.
#[derive(Debug, Object)]
#[oai(rename = "Preview", skip_serializing_if_is_none)]
pub(crate) struct PreviewView {
    /// Whether it may be sent now.
    allowed: bool,
    /// The code that sending it would be refused with.
    code: Option<String>,
    /// By which right it would go.
    permit: Option<As<PermitRecordBody>>,
    /// Grant by grant, why and why not.
    decision: As<DecisionBody>,
    /// What the workspace's own rules say against it.
    house: Vec<As<HouseBody>>,
    /// What all parts take from a quota that counts requests.
    cost: u32,
    /// What would be sent in which request.
    parts: Vec<PreviewPartView>,
}

/// What one request to the platform would carry.
#[derive(Debug, Object)]
#[oai(rename = "PreviewPart", skip_serializing_if_is_none)]
struct PreviewPartView {
    /// Its place in the message, from 0.
    index: u32,
    /// What it says.
    content: ContentView,
    /// What it takes from a quota that counts requests.
    cost: u32,
    /// How the platform counts it, in words: the segments and the alphabet of a text, say.
    note: Option<String>,
}

impl From<&Preview> for PreviewView {
    fn from(preview: &Preview) -> Self {
        let verdict = &preview.verdict;
        let parts = (0..).zip(&preview.parts).map(|(index, part)| PreviewPartView {
            index,
            content: (&part.content).into(),
            cost: part.cost,
            note: part.note.clone(),
        });
        Self {
            allowed: verdict.is_allowed(),
            code: (!verdict.is_allowed()).then(|| verdict.code().to_owned()),
            permit: verdict.permit.as_ref().map(|permit| As::of(&permit.record())),
            decision: As::of(&verdict.decision),
            house: verdict.house.iter().map(As::of).collect(),
            cost: preview.cost,
            parts: parts.collect(),
        }
    }
}
