//! How a host key is shown. Here and not beside the SSH client, because the store shows keys too and must not
//! depend on the outside world for it.

use base64::{Engine, engine::general_purpose::STANDARD, engine::general_purpose::STANDARD_NO_PAD};
use sha2::{Digest, Sha256};

/// The SHA-256 fingerprint of a host key in OpenSSH form, as `ssh-keygen -l` shows it: `SHA256:…`. `None` if it
/// is not in that form.
pub fn fingerprint(openssh_key: &str) -> Option<String> {
    let encoded = openssh_key.split_ascii_whitespace().nth(1)?;
    let key = STANDARD.decode(encoded).ok()?;
    Some(format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(key))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_is_the_one_ssh_keygen_shows() {
        let key =
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJq4KihkD5Su4JADA7yHkHGG2O9Z2kvGxhMeQby90+32 a comment";
        let shown = "SHA256:5HY/7xrTBtAc3YVdOznY5H0Flg1eEd8WmdLmZEPH+HA";
        assert_eq!(fingerprint(key).as_deref(), Some(shown));
    }

    #[test]
    fn what_is_no_key_has_no_fingerprint() {
        for text in ["", "ssh-ed25519", "ssh-ed25519 not*base64"] {
            assert_eq!(fingerprint(text), None, "{text}");
        }
    }
}
