//! Makes the secrets that sign deliveries. `create` and `change` show each secret once.

use anyhow::anyhow;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::rand::{SecureRandom, SystemRandom};

/// The number of random bytes of a secret. Standard Webhooks allows 24 to 64 bytes.
const BYTES: usize = 32;

/// Generates a secret: `whsec_`, followed by the base64 of random bytes from the operating system.
pub(super) fn generate() -> anyhow::Result<String> {
    let mut bytes = [0; BYTES];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| anyhow!("the operating system provides no random bytes"))?;
    Ok(format!("whsec_{}", BASE64_STANDARD.encode(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_32_random_bytes_as_standard_webhooks_writes_them() {
        let secrets = [generate().unwrap(), generate().unwrap()];
        for secret in &secrets {
            let bytes = BASE64_STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
            assert_eq!(bytes.len(), 32);
        }
        assert_ne!(secrets[0], secrets[1]);
    }
}
