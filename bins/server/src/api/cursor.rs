//! Cursors: where a page goes on, signed, and good only for the workspace and the list they were given for.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use transom_domain::WorkspaceId;
use uuid::Uuid;

use crate::config::CursorSecret;
use crate::http::problem::Problem;

/// The bytes of a place: a sort key and an id.
const PLACE: usize = 24;
/// The bytes of the signature that are kept.
const PROOF: usize = 16;

/// Where a page ends: the last row's sort key and id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) key: i64,
    pub(crate) id: Uuid,
}

/// Seals and opens cursors.
#[derive(Debug)]
pub(crate) struct Cursors {
    secret: CursorSecret,
}

impl Cursors {
    pub(crate) fn new(secret: CursorSecret) -> Self {
        Self { secret }
    }

    /// A cursor for a place in a list; `list` names it with its filters and its order.
    pub(crate) fn seal(&self, workspace: WorkspaceId, list: &str, place: Place) -> String {
        let place = [place.key.to_be_bytes().as_slice(), place.id.as_bytes()].concat();
        let mut proof = self.sign(workspace, list, &place);
        proof.truncate(PROOF);
        URL_SAFE_NO_PAD.encode([place, proof].concat())
    }

    /// The place that a cursor stands for.
    ///
    /// # Errors
    /// `cursor_invalid` for a cursor that this service never gave for this list.
    pub(crate) fn open(&self, workspace: WorkspaceId, list: &str, cursor: &str) -> Result<Place, Problem> {
        self.read(workspace, list, cursor).ok_or_else(|| {
            let detail = "the cursor is not one that this list gave, with these filters and this order: start without";
            Problem::new("cursor_invalid", detail).at("cursor")
        })
    }

    fn read(&self, workspace: WorkspaceId, list: &str, cursor: &str) -> Option<Place> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok().filter(|bytes| bytes.len() == PLACE + PROOF)?;
        let (place, proof) = bytes.split_at_checked(PLACE)?;
        self.mac(workspace, list, place).verify_truncated_left(proof).ok()?;
        let (key, id) = place.split_first_chunk::<8>()?;
        Some(Place { key: i64::from_be_bytes(*key), id: Uuid::from_slice(id).ok()? })
    }

    fn sign(&self, workspace: WorkspaceId, list: &str, place: &[u8]) -> Vec<u8> {
        self.mac(workspace, list, place).finalize().into_bytes().to_vec()
    }

    fn mac(&self, workspace: WorkspaceId, list: &str, place: &[u8]) -> Hmac<Sha256> {
        // HMAC takes keys of any length: there is no other error. A key of zeros would still only be one of ours.
        let mac = Hmac::<Sha256>::new_from_slice(self.secret.bytes());
        let mac = mac.unwrap_or_else(|_| Hmac::<Sha256>::new(&hmac::digest::Key::<Hmac<Sha256>>::default()));
        mac.chain_update(workspace.uuid().as_bytes()).chain_update(place).chain_update(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use transom_domain::UuidV7;

    #[test]
    fn a_cursor_opens_for_its_own_list_only() {
        let cursors = Cursors::new(CursorSecret::derive("a"));
        let (mine, other) = (WorkspaceId::new(&UuidV7), WorkspaceId::new(&UuidV7));
        let place = Place { key: 1_763_700_000_123, id: mine.uuid() };
        let cursor = cursors.seal(mine, "contacts?q=a", place);
        assert_eq!(cursors.open(mine, "contacts?q=a", &cursor).unwrap(), place);
        assert!(cursors.open(other, "contacts?q=a", &cursor).is_err());
        assert!(cursors.open(mine, "contacts?q=b", &cursor).is_err());
        assert!(Cursors::new(CursorSecret::derive("b")).open(mine, "contacts?q=a", &cursor).is_err());
    }

    #[test]
    fn every_changed_character_is_noticed() {
        let cursors = Cursors::new(CursorSecret::derive("a"));
        let mine = WorkspaceId::new(&UuidV7);
        let cursor = cursors.seal(mine, "l", Place { key: 5, id: mine.uuid() });
        for index in 0..cursor.len() {
            let mut forged: Vec<char> = cursor.chars().collect();
            forged[index] = if forged[index] == 'A' { 'B' } else { 'A' };
            let forged: String = forged.into_iter().collect();
            assert!(cursors.open(mine, "l", &forged).is_err(), "{forged}");
        }
        for wrong in ["", "x", "!!", &"A".repeat(400)] {
            assert!(cursors.open(mine, "l", wrong).is_err());
        }
    }
}
