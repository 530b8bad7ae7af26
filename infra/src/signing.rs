//! Signs alerts and webhook deliveries, as defined by [Standard
//! Webhooks](https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).

use anyhow::Context;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::hmac;

/// The prefix of a secret. The rest of a secret is base64.
const SECRET_PREFIX: &str = "whsec_";

/// A signing key, which is parsed from a secret.
pub(crate) struct SigningKey(hmac::Key);

impl SigningKey {
    /// Parses a secret: `whsec_` and 24 to 64 bytes in base64. The error does not contain the secret.
    pub(crate) fn parse(secret: &str) -> anyhow::Result<Self> {
        let base64 = secret.strip_prefix(SECRET_PREFIX);
        let bytes = base64.and_then(|base64| BASE64_STANDARD.decode(base64).ok());
        let bytes = bytes.filter(|bytes| (24..=64).contains(&bytes.len()));
        let bytes = bytes.context("the webhook's secret must be `whsec_` and 24 to 64 bytes in base64")?;
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// Computes the symmetric signature of a payload (version 1 of the specification). `seconds` is the Unix time of
    /// the attempt.
    pub(crate) fn sign(&self, id: &str, seconds: i64, payload: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(format!("{id}.{seconds}.").as_bytes());
        context.update(payload);
        format!("v1,{}", BASE64_STANDARD.encode(context.sign()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_equals_the_example_of_the_specification() {
        let key = SigningKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let payload = br#"{"test": 2432232314}"#;
        let signed = key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, payload);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
