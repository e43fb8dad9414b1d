//! Signing and reading access tokens: JSON Web Tokens (RFC 7519), signed with Ed25519 (`EdDSA`, RFC 8037).
//!
//! The key pair is derived from `TOWPATH_SIGNING_PASSPHRASE`, so that all instances sign with one key and none is stored. Another
//! passphrase is another key; the one before it may be named as well, and then its tokens count until they end. A token is
//! read with the one algorithm and the keys that are ours, whatever its header says (RFC 8725, section 3.1).

use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::time::Timestamp;
use domain::token::{Audience, Claims, Denied};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde_json::{Value, json};
use std::sync::Arc;
use zeroize::Zeroizing;

/// The shortest passphrase.
const MIN_CHARS: usize = 32;
/// The longest token that is looked at: ours have about 500 characters.
const MAX_TOKEN: usize = 2048;

/// Why a passphrase or address cannot be used. Never shows the passphrase.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// Too short to be random enough.
    #[error("{0} must have at least {MIN_CHARS} characters")]
    TooShort(&'static str),
    /// The library refused.
    #[error("no key could be derived from {0}")]
    Derivation(&'static str),
    /// Tokens are bound to the API's address.
    #[error("TOWPATH_API_URL must be an http:// or https:// URL without a path")]
    Address,
}

/// A token could not be signed: a defect.
#[derive(Debug, thiserror::Error)]
#[error("a token could not be signed")]
pub struct NotSigned;

/// What signs and reads. Cheap to clone. No Debug output.
#[derive(Clone)]
pub struct SigningKeys(Arc<Inner>);

struct Inner {
    key: EncodingKey,
    header: Header,
    /// The current one first.
    known: Vec<Known>,
    api: String,
}

/// A key that tokens may be signed with.
struct Known {
    id: String,
    key: DecodingKey,
    /// In base64url, as a JSON Web Key has it.
    public: String,
}

impl SigningKeys {
    /// Derives the keys. `api` is the address of the API that tokens are for.
    pub fn new(passphrase: &str, previous: Option<&str>, api: &str) -> Result<Self, SigningError> {
        let api = api.trim_end_matches('/');
        let host = api.strip_prefix("https://").or_else(|| api.strip_prefix("http://"));
        if !host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '?', '#', '@', ' '])) {
            return Err(SigningError::Address);
        }
        let (key, current) = derive(passphrase, "TOWPATH_SIGNING_PASSPHRASE")?;
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(current.id.clone());
        let mut known = vec![current];
        if let Some(previous) = previous {
            known.push(derive(previous, "TOWPATH_SIGNING_PASSPHRASE_PREVIOUS")?.1);
        }
        Ok(Self(Arc::new(Inner { key, header, known, api: api.to_ascii_lowercase() })))
    }

    /// The API's address.
    pub fn api(&self) -> &str {
        &self.0.api
    }

    /// The `aud` claim for an audience here.
    pub fn audience(&self, audience: Audience) -> String {
        format!("{}#{}", self.0.api, audience.as_str())
    }

    /// The token that says this.
    pub fn sign(&self, claims: &Claims) -> Result<Zeroizing<String>, NotSigned> {
        jsonwebtoken::encode(&self.0.header, claims, &self.0.key).map(Zeroizing::new).map_err(|_| NotSigned)
    }

    /// What a token says, if one of our keys has signed it, for us, and its time is not over. Whether its account still is what
    /// it was is for the records to say.
    pub fn read(&self, token: &str, now: Timestamp) -> Result<(Audience, Claims), Denied> {
        if token.len() > MAX_TOKEN {
            return Err(Denied::Invalid);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| Denied::Invalid)?;
        let known = self.0.known.iter().find(|known| header.kid.as_deref() == Some(known.id.as_str()));
        let known = known.ok_or(Denied::Invalid)?;
        let audiences = [Audience::Admin, Audience::User].map(|audience| (audience, self.audience(audience)));
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_audience(&audiences.each_ref().map(|(_, text)| text.as_str()));
        validation.set_required_spec_claims(&["aud", "exp", "sub"]);
        // by our own clock, below
        validation.validate_exp = false;
        let claims: Claims = jsonwebtoken::decode(token, &known.key, &validation).map_err(|_| Denied::Invalid)?.claims;
        let audience = audiences.into_iter().find(|(_, text)| *text == claims.aud).ok_or(Denied::Invalid)?.0;
        if claims.is_over(now) {
            return Err(Denied::Expired);
        }
        Ok((audience, claims))
    }

    /// The public keys, as `/.well-known/jwks.json` (RFC 7517, section 5; RFC 8037, section 2).
    pub fn public(&self) -> Value {
        let key = |known: &Known| {
            json!({
                "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA",
                "kid": known.id, "x": known.public,
            })
        };
        json!({ "keys": self.0.known.iter().map(key).collect::<Vec<_>>() })
    }
}

fn derive(passphrase: &str, variable: &'static str) -> Result<(EncodingKey, Known), SigningError> {
    if passphrase.len() < MIN_CHARS {
        return Err(SigningError::TooShort(variable));
    }
    let failed = || SigningError::Derivation(variable);
    let mut seed = Zeroizing::new([0; 32]);
    let salt = Salt::new(HKDF_SHA256, b"towpath signing v1");
    let derived = salt.extract(passphrase.as_bytes());
    derived.expand(&[b"ed25519"], HKDF_SHA256).and_then(|key| key.fill(seed.as_mut_slice())).map_err(|_| failed())?;
    let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_slice()).map_err(|_| failed())?;
    let document = pair.to_pkcs8v1().map_err(|_| failed())?;
    let public = URL_SAFE_NO_PAD.encode(pair.public_key());
    // the thumbprint of the key (RFC 7638; RFC 8037, appendix A.3)
    let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{public}"}}"#);
    let id = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, canonical.as_bytes());
    let key = DecodingKey::from_ed_components(&public).map_err(|_| failed())?;
    Ok((EncodingKey::from_ed_der(document.as_ref()), Known { id: URL_SAFE_NO_PAD.encode(id), key, public }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::id::{OrganizationId, uuid_text};
    use domain::token::AccountId;

    const ONE: &str = "a passphrase of at least 32 characters";
    const TWO: &str = "another passphrase of 32 characters, too";
    const API: &str = "https://api.example.com";
    const NOW: Timestamp = Timestamp::from_millis(1_000_000_000_000);

    fn keys(passphrase: &str, previous: Option<&str>, api: &str) -> SigningKeys {
        SigningKeys::new(passphrase, previous, api).unwrap_or_else(|error| panic!("{error}"))
    }

    fn claims(aud: &str) -> Claims {
        Claims {
            aud: aud.to_owned(),
            sub: AccountId::Admin(uuid_text([1; 16])),
            org: OrganizationId::from_random([1; 16]),
            name: "ana".into(),
            rev: 1,
            jti: "j".into(),
            iat: NOW.seconds(),
            exp: NOW.seconds() + 60,
        }
    }

    fn signed(keys: &SigningKeys, claims: &Claims) -> String {
        keys.sign(claims).unwrap().to_string()
    }

    /// A token with this header and these claims, and a signature of somebody's choice.
    fn forged(header: &Value, claims: &Claims, signature: impl Fn(&str) -> Vec<u8>) -> String {
        let encode = |text: String| URL_SAFE_NO_PAD.encode(text);
        let body = format!("{}.{}", encode(header.to_string()), encode(serde_json::to_string(claims).unwrap()));
        let signature = URL_SAFE_NO_PAD.encode(signature(&body));
        format!("{body}.{signature}")
    }

    #[test]
    fn a_token_reads_back_on_every_instance_until_it_ends() {
        let keys = keys(ONE, None, API);
        let claims = claims(&keys.audience(Audience::User));
        let token = signed(&keys, &claims);
        let other_instance = self::keys(ONE, None, "https://API.example.com/");
        assert_eq!(other_instance.read(&token, NOW), Ok((Audience::User, claims.clone())));
        let later = |seconds: i64| NOW.plus_millis(seconds * 1000);
        assert!(keys.read(&token, later(59)).is_ok());
        assert_eq!(keys.read(&token, later(60)), Err(Denied::Expired));
    }

    #[test]
    fn only_our_algorithm_our_keys_and_our_address_count() {
        let keys = keys(ONE, None, API);
        let good = claims(&keys.audience(Audience::Admin));
        let kid = keys.public()["keys"][0]["kid"].clone();
        let refused = |token: &str| assert_eq!(keys.read(token, NOW), Err(Denied::Invalid), "{token}");
        assert!(keys.read(&signed(&keys, &good), NOW).is_ok());
        // somebody else's key, also under our key's name
        refused(&signed(&self::keys(TWO, None, API), &good));
        let theirs = Ed25519KeyPair::generate().unwrap();
        let sign = |body: &str| theirs.sign(body.as_bytes()).as_ref().to_vec();
        refused(&forged(&json!({"alg": "EdDSA", "typ": "JWT", "kid": kid}), &good, sign));
        // no signature, or one with our public key as the secret of an HMAC
        refused(&forged(&json!({"alg": "none", "typ": "JWT", "kid": kid}), &good, |_| Vec::new()));
        refused(&forged(&json!({"alg": "EdDSA", "typ": "JWT", "kid": kid}), &good, |_| Vec::new()));
        let public = keys.public()["keys"][0]["x"].as_str().unwrap().to_owned();
        for secret in [public.as_bytes().to_vec(), URL_SAFE_NO_PAD.decode(&public).unwrap()] {
            let mut header = Header::new(Algorithm::HS256);
            header.kid = kid.as_str().map(str::to_owned);
            refused(&jsonwebtoken::encode(&header, &good, &EncodingKey::from_secret(&secret)).unwrap());
            let hmac = |body: &str| {
                let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &secret);
                aws_lc_rs::hmac::sign(&key, body.as_bytes()).as_ref().to_vec()
            };
            refused(&forged(&json!({"alg": "EdDSA", "typ": "JWT", "kid": kid}), &good, hmac));
        }
        // for another API, for nobody, for something else here
        for aud in ["https://api.example.org#admin", "https://api.example.com", "https://api.example.com#share", ""] {
            refused(&signed(&keys, &claims(aud)));
        }
        // without a key's name, with an unknown one
        let body = signed(&keys, &good);
        let (_, rest) = body.split_once('.').unwrap();
        for header in [json!({"alg": "EdDSA"}), json!({"alg": "EdDSA", "kid": "x"}), json!({})] {
            refused(&format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header.to_string())));
        }
    }

    #[test]
    fn a_changed_character_is_noticed_and_no_text_makes_the_reader_fail_hard() {
        let keys = keys(ONE, None, API);
        let token = signed(&keys, &claims(&keys.audience(Audience::Admin)));
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            let byte = bytes.get_mut(at).unwrap();
            *byte = if *byte == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            // the last character of a signature has bits that mean nothing, which the decoder wants to be zero
            assert!(keys.read(&changed, NOW).is_err(), "{at}");
        }
        for text in ["", ".", "..", "...", "a.b.c", "ä.ö.ü", &"x.".repeat(5000), &token[..token.len() - 1]] {
            assert!(keys.read(text, NOW).is_err());
        }
    }

    #[test]
    fn the_key_before_counts_until_its_tokens_end() {
        let old = keys(ONE, None, API);
        let token = signed(&old, &claims(&old.audience(Audience::Admin)));
        assert!(keys(TWO, None, API).read(&token, NOW).is_err());
        let both = keys(TWO, Some(ONE), API);
        assert!(both.read(&token, NOW).is_ok());
        assert_eq!(both.public()["keys"].as_array().unwrap().len(), 2);
        assert!(old.read(&signed(&both, &claims(&old.audience(Audience::Admin))), NOW).is_err());
    }

    #[test]
    fn what_cannot_be_used() {
        assert!(
            matches!(SigningKeys::new("short", None, API), Err(SigningError::TooShort(name)) if name.ends_with("PHRASE"))
        );
        assert!(
            matches!(SigningKeys::new(ONE, Some("x"), API), Err(SigningError::TooShort(name)) if name.ends_with("PREVIOUS"))
        );
        for api in ["", "api.example.com", "https://", "https://a/b", "https://a#b", "ftp://a"] {
            assert!(matches!(SigningKeys::new(ONE, None, api), Err(SigningError::Address)), "{api}");
        }
    }

    #[test]
    fn the_key_is_named_by_its_thumbprint() {
        // RFC 8037, appendix A.3
        let canonical = r#"{"crv":"Ed25519","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, canonical.as_bytes());
        assert_eq!(URL_SAFE_NO_PAD.encode(digest), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }
}
