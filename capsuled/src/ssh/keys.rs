//! Public and private keys as texts: validated when they come in, fingerprinted when they are shown.

use rand::RngCore;
use russh::keys::{
    Algorithm, EcdsaCurve, HashAlg, PrivateKey, PublicKey, decode_secret_key,
    ssh_key::{LineEnding, private::Ed25519Keypair},
};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

/// Longer texts are not keys: a 16,384 bit RSA key takes 13 KiB.
const MAX_KEY_BYTES: usize = 32 * 1024;

/// Why a text is not a usable key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A private key with a passphrase; the daemon has nobody to ask for it.
    #[error("the private key is encrypted with a passphrase")]
    Encrypted,
    /// A public key where a private one is needed.
    #[error("this is a public key, the private one is needed")]
    PublicGiven,
    /// A private key where a public one is needed.
    #[error("this is a private key, the public one is needed")]
    PrivateGiven,
    /// Neither.
    #[error("this is not a private key in OpenSSH or PEM form")]
    NotPrivate,
    /// Not a public key.
    #[error("this is not a public key in OpenSSH form (`ssh-ed25519 AAAA…`)")]
    NotPublic,
    /// A kind of key that we do not use: DSA, hardware-backed, or unknown.
    #[error("keys of the kind `{0}` are not supported")]
    Unsupported(String),
}

/// The SHA-256 fingerprint of a public key in OpenSSH form, as `ssh-keygen -l` shows it: `SHA256:…`.
///
/// # Errors
/// As [`normalise_public_key`].
pub fn fingerprint(openssh_key: &str) -> Result<String, KeyError> {
    Ok(fingerprint_of(&parse_public_key(openssh_key)?))
}

/// A public key in OpenSSH form, reduced to kind and key: no comment, no line end.
///
/// # Errors
/// [`KeyError::PrivateGiven`], [`KeyError::NotPublic`], [`KeyError::Unsupported`].
pub fn normalise_public_key(openssh_key: &str) -> Result<String, KeyError> {
    openssh_form(&parse_public_key(openssh_key)?)
}

/// Whether two public keys in OpenSSH form are the same key; comments do not count.
pub fn same_public_key(a: &str, b: &str) -> bool {
    matches!((normalise_public_key(a), normalise_public_key(b)), (Ok(a), Ok(b)) if a == b)
}

/// Checks a private key before it is stored and returns its public half in OpenSSH form.
///
/// # Errors
/// [`KeyError::Encrypted`], [`KeyError::PublicGiven`], [`KeyError::NotPrivate`], [`KeyError::Unsupported`].
pub fn validate_private_key(pem: &SecretString) -> Result<String, KeyError> {
    openssh_form(parse_private_key(pem)?.public_key())
}

/// A new Ed25519 key pair: the private key in OpenSSH form, and its public half.
pub fn generate() -> (SecretString, String) {
    let mut seed = Zeroizing::new([0_u8; 32]);
    rand::rng().fill_bytes(seed.as_mut_slice());
    let key = PrivateKey::from(Ed25519Keypair::from_seed(&seed));
    let private = key.to_openssh(LineEnding::LF).expect("an unencrypted Ed25519 key has an OpenSSH form");
    let public = openssh_form(key.public_key()).expect("an Ed25519 key has an OpenSSH form");
    (SecretString::from(private.as_str()), public)
}

pub(super) fn parse_private_key(pem: &SecretString) -> Result<PrivateKey, KeyError> {
    use russh::keys::Error as E;
    let text = pem.expose_secret().trim();
    if text.len() > MAX_KEY_BYTES || !text.contains("PRIVATE KEY") {
        let public = text.len() <= MAX_KEY_BYTES && PublicKey::from_openssh(text).is_ok();
        return Err(if public { KeyError::PublicGiven } else { KeyError::NotPrivate });
    }
    // The traditional PEM form says so in a header, which the parser reports in several ways.
    let encrypted = text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED");
    if encrypted {
        return Err(KeyError::Encrypted);
    }
    let key = decode_secret_key(text, None).map_err(|error| match error {
        E::KeyIsEncrypted => KeyError::Encrypted,
        E::UnsupportedKeyType { key_type_string, .. } => KeyError::Unsupported(key_type_string),
        _ => KeyError::NotPrivate,
    })?;
    if key.is_encrypted() {
        return Err(KeyError::Encrypted);
    }
    supported(&key.algorithm())?;
    Ok(key)
}

pub(super) fn parse_public_key(openssh_key: &str) -> Result<PublicKey, KeyError> {
    let text = openssh_key.trim();
    if text.contains("PRIVATE KEY") {
        return Err(KeyError::PrivateGiven);
    }
    if text.len() > MAX_KEY_BYTES || text.contains(char::is_control) {
        return Err(KeyError::NotPublic);
    }
    let key = PublicKey::from_openssh(text).map_err(|_| KeyError::NotPublic)?;
    supported(&key.algorithm())?;
    Ok(key)
}

pub(super) fn openssh_form(key: &PublicKey) -> Result<String, KeyError> {
    PublicKey::from(key.key_data().clone()).to_openssh().map_err(|_| KeyError::NotPublic)
}

pub(super) fn fingerprint_of(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

/// Host key kinds in the order we ask for them: Ed25519 first, the pinned key's own kind before all, for a
/// server that has several must be asked for the one we know. RSA only with SHA-2 (RFC 8332): OpenSSH has
/// refused the SHA-1 signatures since 8.8.
pub(super) fn preferred_host_keys(pinned: Option<&PublicKey>) -> Vec<Algorithm> {
    let mut kinds = vec![
        Algorithm::Ed25519,
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
        Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
        Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
    ];
    if let Some(pinned) = pinned.map(PublicKey::algorithm) {
        // Any of the signatures of an RSA key will do.
        let is_rsa = |kind: &Algorithm| matches!(kind, Algorithm::Rsa { .. });
        kinds.sort_by_key(|kind| *kind != pinned && !(is_rsa(kind) && is_rsa(&pinned)));
    }
    kinds
}

fn supported(kind: &Algorithm) -> Result<(), KeyError> {
    match kind {
        Algorithm::Ed25519 | Algorithm::Ecdsa { .. } | Algorithm::Rsa { .. } => Ok(()),
        other => Err(KeyError::Unsupported(other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ssh::testing::{KeyFiles, missing};

    #[test]
    fn fingerprints_are_those_of_ssh_keygen() {
        if missing("ssh-keygen") {
            return;
        }
        for kind in ["ed25519", "ecdsa", "rsa"] {
            let keys = KeyFiles::generate(kind, "");
            let shown = keys.ssh_keygen_fingerprint();
            assert_eq!(fingerprint(&keys.public()).expect("a key"), shown, "{kind}");
            let from_private = validate_private_key(&keys.private()).expect("a private key");
            assert!(same_public_key(&from_private, &keys.public()), "{kind}");
        }
    }

    #[test]
    fn a_new_pair_fits_together_and_is_new() {
        let (private, public) = generate();
        assert_eq!(validate_private_key(&private).as_deref(), Ok(public.as_str()));
        assert_ne!(generate().1, public);
    }

    #[test]
    fn an_encrypted_key_is_named_as_such() {
        if missing("ssh-keygen") {
            return;
        }
        let openssh = KeyFiles::generate("ed25519", "passphrase").private();
        assert_eq!(validate_private_key(&openssh), Err(KeyError::Encrypted));
        for pem in [
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIGj\n-----END ENCRYPTED PRIVATE KEY-----\n",
            "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n",
        ] {
            assert_eq!(validate_private_key(&pem.into()), Err(KeyError::Encrypted));
        }
    }

    #[test]
    fn what_is_not_a_key_is_refused_with_the_reason() {
        let public =
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti ops@host";
        assert_eq!(validate_private_key(&public.into()), Err(KeyError::PublicGiven));
        assert_eq!(validate_private_key(&"hello".into()), Err(KeyError::NotPrivate));
        let garbage = "-----BEGIN OPENSSH PRIVATE KEY-----\n!!!!\n-----END OPENSSH PRIVATE KEY-----";
        assert_eq!(validate_private_key(&garbage.into()), Err(KeyError::NotPrivate));
        assert_eq!(normalise_public_key(garbage), Err(KeyError::PrivateGiven));
        assert_eq!(normalise_public_key("ssh-ed25519 hello"), Err(KeyError::NotPublic));
        assert_eq!(normalise_public_key(&format!("{public}\nssh-rsa AAAA")), Err(KeyError::NotPublic));
        assert!(!normalise_public_key(public).expect("a key").contains("ops@host"));
    }

    #[test]
    fn the_pinned_kind_is_asked_for_first_and_ed25519_otherwise() {
        let pinned = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBHwf2HMM5TRXvo2SQJjsNkiDD5KqiiNjrGVv3UUh+mMT5RHxiRtOnlqvjhQtBq0VpmpCV/PwUdhOig4vkbqAcEc=";
        let pinned = parse_public_key(pinned).expect("a key");
        let first = |pinned| preferred_host_keys(pinned).into_iter().next();
        assert_eq!(first(None), Some(Algorithm::Ed25519));
        assert_eq!(first(Some(&pinned)), Some(Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 }));
        assert_eq!(preferred_host_keys(Some(&pinned)).len(), 6);
    }
}
