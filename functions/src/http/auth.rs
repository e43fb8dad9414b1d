//! Who calls: an API key in one of three headers, or a token as a bearer; never in a URL.

use super::error::ApiError;
use super::key_log::KeyLog;
use super::rate_rules::{Asked, RateRules};
use crate::sftpgo;
use app::management::{Caller, UserCaller};
use app::tokens::{Bearer, Tokens};
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use domain::api_key::{AuthState, Denied, KeyKind, KeyOwner, KeyRequest, KeyText, KeyUse, Presented};
use domain::credential::UserName;
use domain::id::OrganizationId;
use domain::rate::RateStatus;
use domain::token;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method};
use lambda_http::request::RequestContext;
use std::net::{IpAddr, Ipv4Addr};
use store::records::{RecordError, Records};
use zeroize::Zeroizing;

/// The client's address, where the server itself accepted the connection. In Lambda it is in the request's context.
#[derive(Clone, Copy, Debug)]
pub struct PeerAddress(pub IpAddr);

/// What keys and tokens are checked against. Cheap to clone.
#[derive(Clone)]
pub struct Gate {
    records: Records,
    tokens: Tokens,
    log: KeyLog,
    rules: RateRules,
}

/// When the key of a request ends, on its answers while that is near.
const KEY_EXPIRES: HeaderName = HeaderName::from_static("towpath-key-expires");

impl Gate {
    /// Against these records; tokens are read with these keys.
    pub fn new(records: Records, tokens: Tokens) -> Self {
        let (log, rules) = (KeyLog::new(records.clone()), RateRules::new(records.clone()));
        Self { records, tokens, log, rules }
    }

    pub(crate) fn tokens(&self) -> &Tokens {
        &self.tokens
    }
}

/// Checks the key or token, counts the request, and puts into the request who asks: a [`Caller`], or an
/// [`app::management::UserCaller`]; of a token also its [`token::Claims`].
pub async fn authenticate(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let shown = match shown(request.headers()) {
        Ok(shown) => shown,
        Err(error) => return error.into_response(),
    };
    match KeyText::parse(&shown.text) {
        Ok(key) => with_key(&gate, &key, request, next).await,
        Err(_) if shown.is_bearer => with_token(&gate, &shown.text, request, next).await,
        // SFTPGo's clients are told; what has no form cannot be one that others have
        Err(_) if sftpgo::speaks(request.uri().path()) => {
            ApiError::bad_request("X-SFTPGO-API-KEY", "does not hold an API key").into_response()
        }
        Err(_) => ApiError::unauthorized().into_response(),
    }
}

async fn with_key(gate: &Gate, key: &KeyText, mut request: Request, next: Next) -> Response {
    let hash = key.hash();
    let address = client_address(request.extensions());
    let now = store::clock::now();
    let shown = Presented { hash: &hash, address, now };
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let method = request.method().to_string();
    match gate.records.check_api_key(key.id(), &shown).await {
        Err(error) => {
            tracing::error!(%error, "an API key could not be checked");
            ApiError::unavailable().into_response()
        }
        Ok(Err(Denied::Limited(rate))) => limited(rate),
        Ok(Err(denied)) => {
            tracing::info!(key = %key.id(), reason = ?denied, source_ip = %address, "API key refused");
            ApiError::unauthorized().into_response()
        }
        Ok(Ok(passed)) => {
            let mut response = match gate.bearer(key, &passed.state, address).await {
                Ok(bearer) => {
                    match bearer {
                        Bearer::Admin(caller) => request.extensions_mut().insert(caller).map(drop),
                        Bearer::User(caller) => {
                            let (organization, id) = (passed.state.organization.clone(), passed.state.id.clone());
                            // the management knows the key, and that it has no part in it
                            request.extensions_mut().insert(Caller::powerless_key(organization, id));
                            request.extensions_mut().insert(caller).map(drop)
                        }
                    };
                    let clean_up = gate.records.forget_counters(key.id(), &passed.old_counters);
                    let whose = (&passed.state.organization, passed.state.id.as_str());
                    let answer = gate.within_rules(whose, address, request, next);
                    futures_util::future::join(answer, clean_up).await.0
                }
                Err(error) => error.into_response(),
            };
            // one that a rule has refused says where it stands with that
            response.extensions_mut().get_or_insert::<RateStatus>(passed.rate);
            let ends = passed.state.expires_soon(now).and_then(domain::iso8601::seconds);
            if let Some(Ok(ends)) = ends.map(|ends| HeaderValue::from_str(&ends)) {
                response.headers_mut().insert(KEY_EXPIRES, ends);
            }
            let status = response.status().as_u16();
            let asked = KeyRequest { at: now, method, route: route.unwrap_or_default(), status, address };
            gate.log.note(passed.state, asked);
            response
        }
    }
}

async fn with_token(gate: &Gate, text: &str, mut request: Request, next: Next) -> Response {
    let address = client_address(request.extensions());
    match gate.tokens.check(text, address).await {
        Err(error) => {
            tracing::error!(%error, "a token could not be checked");
            ApiError::unavailable().into_response()
        }
        Ok(Err(token::Denied::Limited(rate))) => limited(rate),
        Ok(Err(denied)) => {
            tracing::info!(reason = ?denied, source_ip = %address, "token refused");
            ApiError::unauthorized().into_response()
        }
        Ok(Ok(checked)) => {
            match checked.bearer {
                Bearer::Admin(caller) => request.extensions_mut().insert(caller).map(drop),
                Bearer::User(caller) => request.extensions_mut().insert(caller).map(drop),
            };
            request.extensions_mut().insert(checked.claims.clone());
            let clean_up = gate.tokens.forget_counters(&checked.claims, &checked.old_counters);
            let account = String::from(checked.claims.sub.clone());
            let answer = gate.within_rules((&checked.claims.org, &account), address, request, next);
            let mut response = futures_util::future::join(answer, clean_up).await.0;
            response.extensions_mut().get_or_insert::<RateStatus>(checked.rate);
            response
        }
    }
}

fn limited(rate: RateStatus) -> Response {
    let mut response = ApiError::limited(rate.seconds_left).into_response();
    response.extensions_mut().insert(rate);
    response
}

impl Gate {
    /// Goes on with a request that exceeds none of its organization's rules.
    async fn within_rules(
        &self,
        (organization, caller): (&OrganizationId, &str),
        address: IpAddr,
        request: Request,
        next: Next,
    ) -> Response {
        // which a route for GET answers as well
        let method = if *request.method() == Method::HEAD { &Method::GET } else { request.method() };
        let asked = Asked { organization, caller, method, path: request.uri().path(), address };
        match self.rules.exceeded(&asked).await {
            Ok(None) => {}
            Ok(Some(rate)) => return limited(rate),
            Err(error) => {
                tracing::error!(%error, "rate rules could not be asked");
                return ApiError::unavailable().into_response();
            }
        }
        let changes_settings = *request.method() == Method::PATCH;
        let response = next.run(request).await;
        if changes_settings {
            self.rules.forget(organization);
        }
        response
    }

    /// Who a key stands for. An admin's key may at most what the admin may now, from where it may come; what a credential's key may
    /// is asked of its record.
    async fn bearer(&self, key: &KeyText, state: &AuthState, address: IpAddr) -> Result<Bearer, ApiError> {
        let organization = state.organization.clone();
        match (state.kind, &state.owner) {
            (KeyKind::Site, _) => {
                Ok(Bearer::Admin(Caller::site_key(organization, state.id.clone(), state.permissions.clone())))
            }
            (KeyKind::User, Some(KeyOwner::Admin(name))) => self.as_admin(state, name, address).await,
            (KeyKind::User, Some(KeyOwner::Credential(id))) => {
                Ok(Bearer::User(UserCaller::new(organization, id.clone(), address).by_key(used(state))))
            }
            (KeyKind::Dynamic, _) => match key.act_as() {
                Some(name) if state.scope == 1 => self.as_admin(state, name, address).await,
                Some(name) => self.as_credential(state, name, address).await,
                None => Err(refused(state, "it names nobody")),
            },
            (KeyKind::User, None) => Err(refused(state, "it has no owner")),
        }
    }

    async fn as_admin(&self, state: &AuthState, name: &str, address: IpAddr) -> Result<Bearer, ApiError> {
        let found = self.records.admin(name).await.map_err(unreadable)?;
        let admin = found.map(|found| found.value).filter(|admin| {
            // a key of an earlier admin of that name is not this one's
            let same = state.created_at.is_some_and(|at| admin.created_at <= at) || state.kind == KeyKind::Dynamic;
            let own = same && admin.organization == state.organization;
            own && admin.allow_api_key_auth && admin.may_sign_in(address).is_ok()
        });
        let admin = admin.ok_or_else(|| refused(state, "its owner does not allow it now"))?;
        let acts_as = (admin.name.to_string(), admin.rights());
        let (organization, id) = (state.organization.clone(), state.id.clone());
        Ok(Bearer::Admin(Caller::admins_key(organization, id, state.permissions.clone(), acts_as)))
    }

    async fn as_credential(&self, state: &AuthState, name: &str, address: IpAddr) -> Result<Bearer, ApiError> {
        let unknown = || refused(state, "it names nobody of its organization");
        let name = UserName::parse(name).map_err(|_| unknown())?;
        let found = self.records.credential_named(&state.organization, &name).await.map_err(unreadable)?;
        let id = found.ok_or_else(unknown)?.value.id;
        Ok(Bearer::User(UserCaller::new(state.organization.clone(), id, address).by_key(used(state))))
    }
}

fn used(state: &AuthState) -> KeyUse {
    KeyUse { id: state.id.clone(), permissions: state.permissions.clone() }
}

fn refused(state: &AuthState, reason: &'static str) -> ApiError {
    tracing::info!(key = %state.id, reason, "API key refused");
    ApiError::unauthorized()
}

fn unreadable(error: RecordError) -> ApiError {
    tracing::error!(%error, "the owner of an API key could not be read");
    ApiError::unavailable()
}

/// What a request shows.
struct Shown {
    text: Zeroizing<String>,
    /// Whether it stands in `Authorization`, where tokens belong.
    is_bearer: bool,
}

/// The key or token that the request shows. Several headers may show the same one.
fn shown(headers: &HeaderMap) -> Result<Shown, ApiError> {
    let mut found: Option<Shown> = None;
    for name in ["authorization", "x-api-key", "x-sftpgo-api-key"] {
        for value in headers.get_all(name) {
            let text = value.to_str().map_err(|_| ApiError::unauthorized())?.trim();
            let is_bearer = name == "authorization";
            let key = if is_bearer {
                match text.split_once(' ') {
                    Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => key.trim(),
                    _ => return Err(ApiError::unauthorized()),
                }
            } else {
                text
            };
            match &found {
                Some(other) if other.text.as_str() != key => {
                    return Err(ApiError::bad_request(name, "differs from the key in another header"));
                }
                Some(_) => {}
                None => found = Some(Shown { text: Zeroizing::new(key.to_owned()), is_bearer }),
            }
        }
    }
    found.ok_or_else(ApiError::unauthorized)
}

/// Where a request comes from. Unknown counts as an address that no list holds.
pub(crate) fn client_address(extensions: &Extensions) -> IpAddr {
    if let Some(RequestContext::ApiGatewayV2(context)) = extensions.get::<RequestContext>()
        && let Some(address) = context.http.source_ip.as_deref().and_then(|text| text.parse().ok())
    {
        return address;
    }
    extensions.get::<PeerAddress>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), http::HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn one_key_in_any_of_three_headers() {
        for pairs in [
            &[("authorization", "Bearer k")][..],
            &[("authorization", "bearer  k")],
            &[("x-api-key", "k")],
            &[("x-sftpgo-api-key", "k")],
            &[("x-api-key", "k"), ("authorization", "Bearer k")],
        ] {
            let found = shown(&headers(pairs)).unwrap_or_else(|error| panic!("{error:?}"));
            assert_eq!(found.text.as_str(), "k");
            assert_eq!(found.is_bearer, pairs.iter().any(|(name, _)| *name == "authorization"));
        }
        assert!(shown(&headers(&[])).is_err());
        assert!(shown(&headers(&[("authorization", "Basic k")])).is_err());
        assert!(shown(&headers(&[("x-api-key", "k"), ("x-sftpgo-api-key", "l")])).is_err());
    }
}
