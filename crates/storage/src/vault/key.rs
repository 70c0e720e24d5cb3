//! The master key: 32 bytes from a file only its owner can read, or from the environment.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::cipher::{self, Key};
use super::{VaultError, random};

/// Why a master key can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not 64 hexadecimal digits.
    #[error("the master key must be 64 hexadecimal digits (32 bytes)")]
    Malformed,
    /// All zero: a placeholder that somebody forgot to replace.
    #[error("the master key is all zero: make one with `openssl rand -hex 32`")]
    Zero,
    /// Others could read the file.
    #[error("the key file {0} can be read by others: run `chmod 600` on it")]
    Exposed(String),
    /// The file can't be read or written.
    #[error("the key file {path} can't be used: {error}")]
    File {
        /// Which file.
        path: String,
        /// What is wrong.
        error: io::Error,
    },
    /// The operating system gave no random bytes.
    #[error(transparent)]
    Random(#[from] VaultError),
}

/// The key above all others. It is never stored in the database and never shown.
pub struct MasterKey(Key);

impl MasterKey {
    /// A key given as bytes.
    ///
    /// # Errors
    /// [`KeyError::Zero`].
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, KeyError> {
        let bytes = Zeroizing::new(bytes);
        if bytes.iter().all(|byte| *byte == 0) {
            return Err(KeyError::Zero);
        }
        // The id tells keys apart and says nothing about them.
        let digest = Sha256::new().chain_update(b"transom master key id").chain_update(bytes.as_slice()).finalize();
        let id = digest.first_chunk().copied().unwrap_or_default();
        Ok(Self(Key::new(id, bytes.as_slice())?))
    }

    /// A key given as 64 hexadecimal digits, as in an environment variable.
    ///
    /// # Errors
    /// [`KeyError::Malformed`] or [`KeyError::Zero`].
    pub fn from_hex(text: &str) -> Result<Self, KeyError> {
        let mut bytes = Zeroizing::new([0; 32]);
        hex::decode_to_slice(text.trim(), bytes.as_mut_slice()).map_err(|_| KeyError::Malformed)?;
        Self::from_bytes(*bytes)
    }

    /// Reads the key from a file that only its owner can read, or makes both at the first start.
    ///
    /// # Errors
    /// [`KeyError`]: the file can't be read, is open to others, or holds no key.
    pub fn from_file_or_create(path: impl AsRef<Path>) -> Result<Self, KeyError> {
        let path = path.as_ref();
        let failed = |error| KeyError::File { path: path.display().to_string(), error };
        match fs::read_to_string(path) {
            Ok(text) => {
                if !is_private(path).map_err(failed)? {
                    return Err(KeyError::Exposed(path.display().to_string()));
                }
                Self::from_hex(&Zeroizing::new(text))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let text = Zeroizing::new(hex::encode(random::<32>()?));
                if let Some(folder) = path.parent() {
                    fs::create_dir_all(folder).map_err(failed)?;
                }
                match create(path, &text) {
                    // Another process was first: its key counts.
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Self::from_file_or_create(path),
                    written => written.map_err(failed).and_then(|()| Self::from_hex(&text)),
                }
            }
            Err(error) => Err(failed(error)),
        }
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey([REDACTED])")
    }
}

/// Writes the key under another name first, so that no other process ever reads half of it.
fn create(path: &Path, text: &str) -> io::Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    linked
}

#[cfg(unix)]
fn is_private(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let others = fs::metadata(path)?.mode() & 0o077;
    Ok(others == 0)
}

#[cfg(not(unix))]
fn is_private(_: &Path) -> io::Result<bool> {
    Ok(true)
}

/// The present master key, and earlier ones that still open what they sealed.
#[derive(Debug)]
pub struct MasterKeys {
    current: MasterKey,
    previous: Vec<MasterKey>,
}

impl MasterKeys {
    /// `current` seals; all of them open.
    pub fn new(current: MasterKey, previous: Vec<MasterKey>) -> Self {
        Self { current, previous }
    }

    pub(crate) fn current(&self) -> &Key {
        &self.current.0
    }

    /// The key that sealed it.
    pub(crate) fn opener(&self, sealed: &[u8]) -> Result<&Key, VaultError> {
        cipher::key_id(sealed)?;
        let mut keys = std::iter::once(&self.current).chain(&self.previous).map(|key| &key.0);
        keys.find(|key| key.sealed(sealed)).ok_or(VaultError::UnknownKey)
    }
}

impl From<MasterKey> for MasterKeys {
    fn from(current: MasterKey) -> Self {
        Self::new(current, Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_and_typing_errors_are_refused() {
        assert!(matches!(MasterKey::from_bytes([0; 32]), Err(KeyError::Zero)));
        assert!(matches!(MasterKey::from_hex(&"0".repeat(64)), Err(KeyError::Zero)));
        for wrong in ["", "00", &"g".repeat(64), &"a".repeat(63), &"a".repeat(66)] {
            assert!(matches!(MasterKey::from_hex(wrong), Err(KeyError::Malformed)), "{wrong}");
        }
    }

    #[test]
    fn the_key_is_never_shown() {
        let key = MasterKey::from_bytes([0xab; 32]).unwrap();
        assert!(!format!("{key:?}").contains("ab"), "{key:?}");
    }

    #[test]
    #[cfg(unix)]
    fn the_file_is_made_once_and_must_stay_private() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys/master.key");
        let made = MasterKey::from_file_or_create(&path).unwrap();
        let read = MasterKey::from_file_or_create(&path).unwrap();
        let place = cipher::Place { workspace: uuid::Uuid::nil(), table: "t", column: "c", row: uuid::Uuid::nil() };
        assert!(read.0.open(place, &made.0.seal(place, b"x").unwrap()).is_ok());

        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(MasterKey::from_file_or_create(&path), Err(KeyError::Exposed(_))));
    }
}
