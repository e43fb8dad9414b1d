//! How a receiver knows that a delivery is ours: `X-Hub-Signature` for those who know SFTP To Go, and the headers of
//! Standard Webhooks.

use crate::digest::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

const PREFIX: &str = "whsec_";

/// Random bytes in a secret (Standard Webhooks: 24 to 64).
pub const SECRET_BYTES: usize = 32;

/// `whsec_` and base64. No Debug output.
#[derive(Clone)]
pub struct WebhookSecret(Zeroizing<String>);

impl WebhookSecret {
    /// A new one.
    pub fn from_random(bytes: &[u8; SECRET_BYTES]) -> Self {
        Self(Zeroizing::new(format!("{PREFIX}{}", STANDARD.encode(bytes))))
    }

    /// One that was made before.
    pub fn from_text(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    /// The text, for the answers that show it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// `X-Hub-Signature`: `sha256=<hex>` with the UTF-8 bytes of the whole text as key.
    pub fn hub_signature(&self, body: &[u8]) -> String {
        format!("sha256={}", hex::encode(hmac(self.0.as_bytes(), &[body])))
    }

    /// One entry of `webhook-signature`: `v1,<base64>` over `id.timestamp.body`, with the decoded secret as key. A text
    /// that is not `whsec_` and base64 is used as it is, as the official libraries do for raw secrets.
    pub fn standard_signature(&self, id: &str, timestamp_seconds: i64, body: &[u8]) -> String {
        let decoded = self.0.strip_prefix(PREFIX).and_then(|text| STANDARD.decode(text).ok()).map(Zeroizing::new);
        let key = decoded.as_ref().map_or(self.0.as_bytes(), |key| key.as_slice());
        let timestamp = timestamp_seconds.to_string();
        let mac = hmac(key, &[id.as_bytes(), b".", timestamp.as_bytes(), b".", body]);
        format!("v1,{}", STANDARD.encode(mac))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> WebhookSecret {
        WebhookSecret::from_text(Zeroizing::new(text.to_owned()))
    }

    #[test]
    fn sftp_to_gos_published_vector() {
        assert_eq!(
            secret("Very Secret Secret").hub_signature(b"Hello! This is a test payload."),
            "sha256=8ba4c47558de1872150c3ec82211c34bf0cbd6d60fc4f9875b97853af06de917"
        );
    }

    #[test]
    fn standard_webhooks_published_vector() {
        let signature = secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").standard_signature(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_new_secret_has_the_standards_form() {
        let text = WebhookSecret::from_random(&[1; SECRET_BYTES]);
        assert_eq!(STANDARD.decode(text.reveal().strip_prefix("whsec_").unwrap()).unwrap(), [1; SECRET_BYTES]);
    }
}
