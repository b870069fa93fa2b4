//! Secrets as a type, and the seal that keeps them unreadable at rest.
//!
//! A [`SecretString`] prints nothing, has no `Serialize` and wipes its memory. In the database a secret is
//! one column sealed with XChaCha20-Poly1305; the associated data is `table/id/field`, so a sealed value
//! copied to another row does not open. The key comes from a systemd credential named `seal.key` where
//! there is one, else from `seal.key` in the state directory, made on first start and on disk before its
//! first use. It is never part of a backup.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use rand::RngCore;
pub use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

const KEY_BYTES: usize = 32;
const KEY_ID_BYTES: usize = 8;
const NONCE_BYTES: usize = 24;

/// Why the seal's key could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SealKeyError {
    /// The file cannot be read or made.
    #[error("could not use the seal key {}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is there and is not a key.
    #[error("{} is not a seal key: it must be exactly 32 bytes", .0.display())]
    Malformed(PathBuf),
    /// Others may read the file.
    #[error("{} can be read by other users (mode {mode:o}); run `chmod 600` on it", path.display())]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

/// A sealed value does not open.
#[derive(Debug, thiserror::Error)]
pub enum UnsealError {
    /// It was sealed with another key.
    #[error("the secret was sealed with key {sealed_with}, not with the present key {present}")]
    OtherKey {
        /// Id of the key it was sealed with.
        sealed_with: String,
        /// Id of the key we have.
        present: String,
    },
    /// It was changed, or moved from another row.
    #[error("the sealed secret is damaged or belongs to another row")]
    Damaged,
}

/// Seals and opens secrets with one key.
pub struct Seal {
    cipher: XChaCha20Poly1305,
    key_id: [u8; KEY_ID_BYTES],
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seal").field("key_id", &hex(&self.key_id)).finish_non_exhaustive()
    }
}

impl Seal {
    /// The key in `path`, which is read and never made: a systemd credential, or the state directory's own
    /// file once it exists. `None` when the file is not there.
    pub fn open(path: &Path) -> Result<Option<Self>, SealKeyError> {
        let io = |source| SealKeyError::Io { path: path.to_owned(), source };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io(error)),
        };
        let mode = file.metadata().map_err(io)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(SealKeyError::Exposed { path: path.to_owned(), mode });
        }
        let mut key = Zeroizing::new(Vec::with_capacity(KEY_BYTES + 1));
        (&file).take(KEY_BYTES as u64 + 1).read_to_end(&mut key).map_err(io)?;
        Self::from_key(&key).ok_or_else(|| SealKeyError::Malformed(path.to_owned())).map(Some)
    }

    /// Makes a key, and returns once it and its directory entry are on disk: a key that is lost after the
    /// first secret was sealed with it takes the secret with it.
    pub fn create(path: &Path) -> Result<Self, SealKeyError> {
        let io = |source| SealKeyError::Io { path: path.to_owned(), source };
        let mut key = Zeroizing::new([0_u8; KEY_BYTES]);
        rand::rng().fill_bytes(key.as_mut_slice());
        let partial = path.with_extension("partial");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&partial)
            .map_err(io)?;
        file.write_all(key.as_slice()).and_then(|()| file.sync_all()).map_err(io)?;
        std::fs::rename(&partial, path).map_err(io)?;
        let directory = path.parent().unwrap_or(Path::new("."));
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(io)?;
        Self::from_key(key.as_slice()).ok_or_else(|| SealKeyError::Malformed(path.to_owned()))
    }

    fn from_key(key: &[u8]) -> Option<Self> {
        let cipher = XChaCha20Poly1305::new_from_slice(key).ok()?;
        let mut key_id = [0; KEY_ID_BYTES];
        key_id.copy_from_slice(&Sha256::digest(key)[..KEY_ID_BYTES]);
        Some(Self { cipher, key_id })
    }

    /// The secret as it is stored: key id, nonce, ciphertext. `place` is `table/id/field`.
    pub fn seal(&self, secret: &SecretString, place: &str) -> Vec<u8> {
        let mut nonce = [0; NONCE_BYTES];
        rand::rng().fill_bytes(&mut nonce);
        let payload = Payload { msg: secret.expose_secret().as_bytes(), aad: place.as_bytes() };
        let sealed = self
            .cipher
            .encrypt(&XNonce::from(nonce), payload)
            .expect("XChaCha20-Poly1305 seals anything shorter than 256 GiB");
        [self.key_id.as_slice(), nonce.as_slice(), sealed.as_slice()].concat()
    }

    /// Opens what [`Seal::seal`] made for the same `place`.
    pub fn unseal(&self, sealed: &[u8], place: &str) -> Result<SecretString, UnsealError> {
        let (key_id, rest) = sealed.split_at_checked(KEY_ID_BYTES).ok_or(UnsealError::Damaged)?;
        if key_id != self.key_id {
            return Err(UnsealError::OtherKey { sealed_with: hex(key_id), present: hex(&self.key_id) });
        }
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(UnsealError::Damaged)?;
        let payload = Payload { msg: ciphertext, aad: place.as_bytes() };
        let plain = Zeroizing::new(
            self.cipher.decrypt(&XNonce::from(*nonce), payload).map_err(|_| UnsealError::Damaged)?,
        );
        std::str::from_utf8(&plain).map(SecretString::from).map_err(|_| UnsealError::Damaged)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_secret_opens_only_in_its_own_place_and_with_its_own_key() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("seal.key");
        assert!(Seal::open(&path).expect("readable").is_none());
        let seal = Seal::create(&path).expect("created");
        let sealed = seal.seal(&SecretString::from("hunter2"), "channels/1/secret");
        assert!(!sealed.windows(7).any(|window| window == b"hunter2"));

        let again = Seal::open(&path).expect("readable").expect("there");
        let opened = again.unseal(&sealed, "channels/1/secret").expect("opens");
        assert_eq!(opened.expose_secret(), "hunter2");
        assert!(matches!(again.unseal(&sealed, "channels/2/secret"), Err(UnsealError::Damaged)));

        let other = Seal::create(&dir.path().join("other.key")).expect("created");
        assert!(matches!(other.unseal(&sealed, "channels/1/secret"), Err(UnsealError::OtherKey { .. })));
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("seal.key");
        Seal::create(&path).expect("created");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).expect("chmod");
        assert!(matches!(Seal::open(&path), Err(SealKeyError::Exposed { .. })));
    }
}
