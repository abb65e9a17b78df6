//! AEAD sealing of secrets at rest with `store.secret_key` (ChaCha20-Poly1305).
//!
//! Called by the stores. What is sealed is bound to its place by associated data, so that a
//! sealed text moved to another appliance does not open.

use std::{io::Write, path::Path, sync::Arc};

use base64::{Engine, prelude::BASE64_STANDARD};
use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand::{SecureRandom, SystemRandom},
};

use super::StoreError;
use crate::secret::Secret;

/// Marks the form of a sealed text.
const VERSION: &str = "v1:";
const KEY_LENGTH: usize = 32;

/// The key that seals tokens.
#[derive(Clone)]
pub struct SecretKey(Arc<LessSafeKey>);

impl SecretKey {
    /// From 32 bytes in base64.
    ///
    /// # Errors
    /// [`StoreError::Config`] when it is something else.
    pub fn parse(base64: &str) -> Result<Self, StoreError> {
        let wrong = "store.secret_key must be 32 bytes in base64; make one with \
                     `head -c 32 /dev/urandom | base64`";
        let bytes = BASE64_STANDARD.decode(base64.trim()).unwrap_or_default();
        match UnboundKey::new(&CHACHA20_POLY1305, &bytes) {
            Ok(key) => Ok(Self(Arc::new(LessSafeKey::new(key)))),
            Err(_) => Err(StoreError::Config(wrong.into())),
        }
    }

    /// From a file, which is made (mode 0600) when it does not exist.
    ///
    /// # Errors
    /// When the file cannot be read or made.
    pub fn load_or_create(path: &Path) -> Result<Self, StoreError> {
        let failed =
            |error: std::io::Error| StoreError::Config(format!("{}: {error}", path.display()));
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let text = BASE64_STANDARD.encode(random::<KEY_LENGTH>());
                match create_private(path, &text) {
                    Ok(()) => Self::parse(&text),
                    // Another process was quicker.
                    Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                        Self::parse(&std::fs::read_to_string(path).map_err(failed)?)
                    }
                    Err(error) => Err(failed(error)),
                }
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Seals a secret for one place.
    pub fn seal(&self, place: &str, secret: &Secret) -> String {
        let nonce = random::<NONCE_LEN>();
        let mut sealed = secret.expose().as_bytes().to_vec();
        self.0
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(place.as_bytes()),
                &mut sealed,
            )
            .expect("a token is shorter than the cipher's limit of 256 GiB");
        format!("{VERSION}{}", BASE64_STANDARD.encode([&nonce[..], &sealed].concat()))
    }

    /// Opens what was sealed for this place.
    ///
    /// # Errors
    /// [`StoreError::Sealed`] when it was sealed with another key, or for another place.
    pub fn open(&self, place: &str, sealed: &str) -> Result<Secret, StoreError> {
        let bytes = sealed.strip_prefix(VERSION).map(|text| BASE64_STANDARD.decode(text));
        let Some(Ok(bytes)) = bytes else { return Err(StoreError::Sealed) };
        let (nonce, rest) = bytes.split_at_checked(NONCE_LEN).ok_or(StoreError::Sealed)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| StoreError::Sealed)?;
        let mut rest = rest.to_vec();
        let opened = self.0.open_in_place(nonce, Aad::from(place.as_bytes()), &mut rest);
        let opened = opened.map_err(|_| StoreError::Sealed)?;
        let text = std::str::from_utf8(opened).map_err(|_| StoreError::Sealed)?;
        Ok(Secret::new(text))
    }
}

/// Bytes from the operating system's generator.
pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).expect("the operating system has random bytes");
    bytes
}

/// Writes a new file that only its owner can read.
pub(crate) fn create_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_only_with_its_key_and_in_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let key = SecretKey::load_or_create(&dir.path().join("a.key")).unwrap();
        let again = SecretKey::load_or_create(&dir.path().join("a.key")).unwrap();
        let other = SecretKey::load_or_create(&dir.path().join("b.key")).unwrap();
        let sealed = key.seal("here", &Secret::new("token"));
        assert!(!sealed.contains("token"));
        assert_ne!(sealed, key.seal("here", &Secret::new("token")));
        assert_eq!(again.open("here", &sealed).unwrap().expose(), "token");
        assert!(matches!(key.open("there", &sealed), Err(StoreError::Sealed)));
        assert!(matches!(other.open("here", &sealed), Err(StoreError::Sealed)));
        for bad in ["", "v1:", "v1:AAAA", "token", "v2:AAAA"] {
            assert!(matches!(key.open("here", bad), Err(StoreError::Sealed)), "{bad}");
        }
    }

    #[test]
    fn a_key_has_32_bytes() {
        assert!(SecretKey::parse(&BASE64_STANDARD.encode([7; 32])).is_ok());
        for bad in ["", "abc", &BASE64_STANDARD.encode([7; 31])] {
            assert!(SecretKey::parse(bad).is_err());
        }
    }
}
