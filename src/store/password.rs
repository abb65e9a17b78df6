//! MQTT passwords and their hashes, in Mosquitto's own `$7$` format (PBKDF2-HMAC-SHA512), so that
//! one hash serves the embedded broker and an exported password file.

use std::num::NonZeroU32;

use base64::{Engine, prelude::BASE64_STANDARD};
use ring::pbkdf2::{self, PBKDF2_HMAC_SHA512};

use super::seal::random;
use crate::secret::Secret;

/// What `mosquitto_passwd` 2.0 uses. A generated password has 142 bits: stretching adds nothing.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(101).expect("not zero");
const HASH_LENGTH: usize = 64;
const LENGTH: usize = 24;
const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// A new random password.
pub fn generate() -> Secret {
    let letters =
        random::<LENGTH>().map(|byte| char::from(ALPHABET[usize::from(byte) % ALPHABET.len()]));
    Secret::new(letters.iter().collect::<String>())
}

/// Hashes a password with a fresh salt.
pub fn hash(password: &Secret) -> String {
    let salt = random::<12>();
    let mut hash = [0; HASH_LENGTH];
    pbkdf2::derive(PBKDF2_HMAC_SHA512, ITERATIONS, &salt, password.expose().as_bytes(), &mut hash);
    let (salt, hash) = (BASE64_STANDARD.encode(salt), BASE64_STANDARD.encode(hash));
    format!("$7${ITERATIONS}${salt}${hash}")
}

/// Whether a password fits a hash; takes the same time whether it does or not.
pub fn verify(password: &[u8], hash: &str) -> bool {
    let mut fields = hash.split('$').skip(1);
    let (Some("7"), Some(iterations), Some(salt), Some(hash), None) =
        (fields.next(), fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return false;
    };
    let (Ok(iterations), Ok(salt), Ok(hash)) =
        (iterations.parse(), BASE64_STANDARD.decode(salt), BASE64_STANDARD.decode(hash))
    else {
        return false;
    };
    pbkdf2::verify(PBKDF2_HMAC_SHA512, iterations, &salt, password, &hash).is_ok()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_password_fits_its_own_hash_only() {
        let password = generate();
        let hashed = hash(&password);
        assert!(verify(password.expose().as_bytes(), &hashed));
        assert!(!verify(b"other", &hashed));
        for bad in ["", "$7$", "$7$0$AAAA$AAAA", "$6$101$AAAA$AAAA", "$7$x$AAAA$AAAA", "$7$1$A$A$A"]
        {
            assert!(!verify(b"", bad), "{bad}");
        }
        assert_ne!(generate(), generate());
    }

    #[test]
    fn hashes_are_those_of_mosquitto() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("passwd");
        let made = Command::new("mosquitto_passwd")
            .args(["-c", "-b"])
            .arg(&file)
            .args(["a", "s3cret"])
            .status();
        assert!(made.expect("install it: apt-get install mosquitto").success());
        let line = std::fs::read_to_string(&file).unwrap();
        let hash = line.trim().strip_prefix("a:").unwrap();
        assert!(verify(b"s3cret", hash), "{hash}");
        assert!(!verify(b"secret", hash));
    }
}
