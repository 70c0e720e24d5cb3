//! The sealed form: `version | key id | nonce | ciphertext`, XChaCha20-Poly1305 bound to its place.

use std::fmt;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use secrecy::SecretBox;
use uuid::Uuid;

use super::{VaultError, random};

const VERSION: u8 = 1;
const KEY_ID: usize = 8;
const NONCE: usize = 24;
const TAG: usize = 16;

/// Where a sealed value stands; it opens only there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) workspace: Uuid,
    pub(crate) table: &'a str,
    pub(crate) column: &'a str,
    pub(crate) row: Uuid,
}

impl Place<'_> {
    /// The associated data; lengths stand before the names, so that no two places look alike.
    fn bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64);
        bytes.push(VERSION);
        bytes.extend(self.workspace.as_bytes());
        for name in [self.table, self.column] {
            bytes.extend((name.len() as u64).to_be_bytes());
            bytes.extend(name.as_bytes());
        }
        bytes.extend(self.row.as_bytes());
        bytes
    }
}

/// A key that seals and opens, with the id that sealed values carry.
pub(crate) struct Key {
    id: [u8; KEY_ID],
    cipher: XChaCha20Poly1305,
}

impl Key {
    pub(crate) fn new(id: [u8; KEY_ID], bytes: &[u8]) -> Result<Self, VaultError> {
        let cipher = XChaCha20Poly1305::new_from_slice(bytes).map_err(|_| VaultError::Malformed)?;
        Ok(Self { id, cipher })
    }

    pub(crate) fn seal(&self, place: Place<'_>, secret: &[u8]) -> Result<Vec<u8>, VaultError> {
        let nonce: [u8; NONCE] = random()?;
        let payload = Payload { msg: secret, aad: &place.bytes() };
        let ciphertext = self.cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| VaultError::Malformed)?;
        let mut sealed = Vec::with_capacity(1 + KEY_ID + NONCE + ciphertext.len());
        sealed.push(VERSION);
        sealed.extend(self.id);
        sealed.extend(nonce);
        sealed.extend(ciphertext);
        Ok(sealed)
    }

    pub(crate) fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<SecretBox<Vec<u8>>, VaultError> {
        let (id, nonce, ciphertext) = split(sealed)?;
        if id != self.id {
            return Err(VaultError::UnknownKey);
        }
        let payload = Payload { msg: ciphertext, aad: &place.bytes() };
        let opened = self.cipher.decrypt(&XNonce::from(nonce), payload).map_err(|_| VaultError::Tampered)?;
        Ok(SecretBox::new(Box::new(opened)))
    }

    /// Whether this key sealed it.
    pub(crate) fn sealed(&self, sealed: &[u8]) -> bool {
        key_id(sealed) == Ok(self.id)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("id", &hex::encode(self.id)).finish_non_exhaustive()
    }
}

/// Which key a sealed value needs.
pub(crate) fn key_id(sealed: &[u8]) -> Result<[u8; KEY_ID], VaultError> {
    split(sealed).map(|(id, ..)| id)
}

type Split<'a> = ([u8; KEY_ID], [u8; NONCE], &'a [u8]);

fn split(sealed: &[u8]) -> Result<Split<'_>, VaultError> {
    let (&version, rest) = sealed.split_first().ok_or(VaultError::Malformed)?;
    let (&id, rest) = rest.split_first_chunk().ok_or(VaultError::Malformed)?;
    let (&nonce, ciphertext) = rest.split_first_chunk().ok_or(VaultError::Malformed)?;
    if version != VERSION || ciphertext.len() < TAG {
        return Err(VaultError::Malformed);
    }
    Ok((id, nonce, ciphertext))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use secrecy::ExposeSecret;

    const HERE: Place<'static> =
        Place { workspace: Uuid::nil(), table: "connections", column: "secrets", row: Uuid::max() };

    fn key(seed: u8) -> Key {
        Key::new([seed; 8], &[seed; 32]).unwrap()
    }

    #[test]
    fn it_opens_where_it_was_sealed_and_nowhere_else() {
        let sealed = key(1).seal(HERE, b"token").unwrap();
        assert_eq!(key(1).open(HERE, &sealed).unwrap().expose_secret(), b"token");
        let elsewhere = [
            Place { workspace: Uuid::max(), ..HERE },
            Place { table: "connection", column: "ssecrets", ..HERE },
            Place { column: "settings", ..HERE },
            Place { row: Uuid::nil(), ..HERE },
        ];
        for place in elsewhere {
            assert_eq!(key(1).open(place, &sealed).err(), Some(VaultError::Tampered), "{place:?}");
        }
        assert_eq!(key(2).open(HERE, &sealed).err(), Some(VaultError::UnknownKey));
    }

    #[test]
    fn the_same_secret_never_looks_the_same() {
        assert_ne!(key(1).seal(HERE, b"token").unwrap(), key(1).seal(HERE, b"token").unwrap());
    }

    #[test]
    fn every_changed_bit_and_every_cut_is_noticed() {
        let sealed = key(1).seal(HERE, b"token").unwrap();
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 0x10;
            assert!(key(1).open(HERE, &changed).is_err(), "byte {place}");
            assert!(key(1).open(HERE, &sealed[..place]).is_err(), "cut to {place}");
        }
    }

    proptest! {
        #[test]
        fn foreign_input_is_an_error_and_never_a_panic(input in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(key(1).open(HERE, &input).is_err());
        }
    }
}
