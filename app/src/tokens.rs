//! Access tokens: made after a sign-in, checked at each request, logged out.

use crate::accounts::SignedIn;
use crate::management::{Caller, UserCaller};
use crate::signing::{NotSigned, SigningKeys};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::rate::RateStatus;
use domain::time::Timestamp;
use domain::token::{AccountId, Audience, Claims, Denied, LIFE_SECONDS};
use std::net::IpAddr;
use store::clock;
use store::records::{RecordError, Records};
use zeroize::Zeroizing;

/// Tokens. Cheap to clone.
#[derive(Clone)]
pub struct Tokens {
    records: Records,
    keys: SigningKeys,
}

/// A token, for the one answer that shows it. No Debug output.
pub struct Issued {
    /// Its text.
    pub text: Zeroizing<String>,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Who a token stands for.
#[derive(Clone, Debug)]
pub enum Bearer {
    /// An admin, in the management.
    Admin(Caller),
    /// A credential, with its own account and files.
    User(UserCaller),
}

/// A request that may go on.
pub struct Checked {
    /// Who asks.
    pub bearer: Bearer,
    /// Its token, for [`Tokens::log_out`].
    pub claims: Claims,
    /// Where the client stands.
    pub rate: RateStatus,
    /// Counters of older minutes, for [`Tokens::forget_counters`].
    pub old_counters: Vec<String>,
}

impl Tokens {
    /// Signed with these keys; what ends them is in these records.
    pub fn new(records: Records, keys: SigningKeys) -> Self {
        Self { records, keys }
    }

    /// The keys, for who only reads.
    pub fn keys(&self) -> &SigningKeys {
        &self.keys
    }

    /// A token for who has signed in. It ends with the account at the latest.
    pub fn issue(&self, signed_in: &SignedIn) -> Result<Issued, NotSigned> {
        let audience = match signed_in.account {
            AccountId::Admin(_) => Audience::Admin,
            AccountId::Credential(_) => Audience::User,
        };
        let now = clock::now().seconds();
        let longest = now.saturating_add(LIFE_SECONDS);
        let exp = signed_in.ends_at.map_or(longest, |at| at.seconds().min(longest));
        let claims = Claims {
            aud: self.keys.audience(audience),
            sub: signed_in.account.clone(),
            org: signed_in.organization.clone(),
            name: signed_in.name.clone(),
            rev: signed_in.rev,
            jti: URL_SAFE_NO_PAD.encode(clock::random::<16>()),
            iat: now,
            exp,
        };
        Ok(Issued { text: self.keys.sign(&claims)?, expires_at: Timestamp::from_millis(exp.saturating_mul(1000)) })
    }

    /// Checks a token and counts the request. The signature says what it is; one conditional write says whether it still counts.
    /// The outer error is ours, the inner one the client's.
    pub async fn check(&self, token: &str, address: IpAddr) -> Result<Result<Checked, Denied>, RecordError> {
        let now = clock::now();
        let (audience, claims) = match self.keys.read(token, now) {
            Ok(read) => read,
            Err(denied) => return Ok(Err(denied)),
        };
        let passed = match self.records.check_token(&claims, address, now).await? {
            Ok(passed) => passed,
            Err(denied) => return Ok(Err(denied)),
        };
        let bearer = match (audience, &claims.sub) {
            (Audience::Admin, AccountId::Admin(_)) => {
                Bearer::Admin(Caller::admin(claims.org.clone(), claims.name.clone(), passed.state.permissions))
            }
            (Audience::User, AccountId::Credential(id)) => {
                Bearer::User(UserCaller::new(claims.org.clone(), id.clone(), address))
            }
            // nothing of ours signs that
            _ => return Ok(Err(Denied::Invalid)),
        };
        Ok(Ok(Checked { bearer, claims, rate: passed.rate, old_counters: passed.old_counters }))
    }

    /// Ends a token.
    pub async fn log_out(&self, claims: &Claims) -> Result<(), RecordError> {
        self.records.revoke_token(claims, clock::now()).await
    }

    /// Removes counters that a pause has left behind.
    pub async fn forget_counters(&self, claims: &Claims, names: &[String]) {
        self.records.forget_token_counters(&claims.sub, names).await;
    }
}
