//! Who calls: an API key in one of three headers, never in a URL.

use super::error::ApiError;
use app::management::{Caller, Who};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use domain::api_key::{AuthState, Denied, KeyKind, KeyText, Presented, Scopes};
use domain::rate::RateStatus;
use http::HeaderMap;
use lambda_http::request::RequestContext;
use std::net::{IpAddr, Ipv4Addr};
use store::records::Records;
use zeroize::Zeroizing;

/// The client's address, where the server itself accepted the connection. In Lambda it is in the request's context.
#[derive(Clone, Copy, Debug)]
pub struct PeerAddress(pub IpAddr);

/// Checks the key, counts the request, and puts a [`Caller`] into the request.
pub async fn authenticate(State(records): State<Records>, mut request: Request, next: Next) -> Response {
    let shown = match shown_key(request.headers()) {
        Ok(shown) => shown,
        Err(error) => return error.into_response(),
    };
    // a JWT is not an API key, and nothing here issues one yet: the answer is the same as for a bad key
    let Ok(key) = KeyText::parse(&shown) else {
        return ApiError::unauthorized().into_response();
    };
    let hash = key.hash();
    let address = client_address(&request);
    let checked = records.check_api_key(key.id(), &Presented { hash: &hash, address, now: store::clock::now() }).await;
    match checked {
        Err(error) => {
            tracing::error!(%error, "an API key could not be checked");
            ApiError::unavailable().into_response()
        }
        Ok(Err(Denied::Limited(rate))) => {
            let mut response = ApiError::limited(rate.seconds_left).into_response();
            response.extensions_mut().insert(rate);
            response
        }
        Ok(Err(denied)) => {
            tracing::info!(key = %key.id(), reason = ?denied, source_ip = %address, "API key refused");
            ApiError::unauthorized().into_response()
        }
        Ok(Ok(passed)) => {
            let mut response = match caller(&passed.state) {
                Ok(caller) => {
                    request.extensions_mut().insert(caller);
                    let clean_up = records.forget_counters(key.id(), &passed.old_counters);
                    futures_util::future::join(next.run(request), clean_up).await.0
                }
                Err(error) => error.into_response(),
            };
            response.extensions_mut().insert::<RateStatus>(passed.rate);
            response
        }
    }
}

/// What a key may do in the management. Keys of credentials and dynamic keys have no part in it.
fn caller(state: &AuthState) -> Result<Caller, ApiError> {
    let scopes = match state.kind {
        KeyKind::Site => state.permissions.clone(),
        // an owner's rights bound its key's rights at each request; until admins sign in here, a key has no owner to ask
        KeyKind::User | KeyKind::Dynamic => Scopes::only([]),
    };
    Ok(Caller { organization: state.organization.clone(), who: Who::ApiKey(state.id.clone()), scopes })
}

/// The key that the request shows. Several headers may show the same one.
fn shown_key(headers: &HeaderMap) -> Result<Zeroizing<String>, ApiError> {
    let mut found: Option<Zeroizing<String>> = None;
    for name in ["authorization", "x-api-key", "x-sftpgo-api-key"] {
        for value in headers.get_all(name) {
            let text = value.to_str().map_err(|_| ApiError::unauthorized())?.trim();
            let key = if name == "authorization" {
                match text.split_once(' ') {
                    Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => key.trim(),
                    _ => return Err(ApiError::unauthorized()),
                }
            } else {
                text
            };
            match &found {
                Some(other) if other.as_str() != key => {
                    return Err(ApiError::bad_request(name, "differs from the key in another header"));
                }
                _ => found = Some(Zeroizing::new(key.to_owned())),
            }
        }
    }
    found.ok_or_else(ApiError::unauthorized)
}

/// Where the request comes from. Unknown counts as an address that no list holds.
fn client_address(request: &Request) -> IpAddr {
    if let Some(RequestContext::ApiGatewayV2(context)) = request.extensions().get::<RequestContext>()
        && let Some(address) = context.http.source_ip.as_deref().and_then(|text| text.parse().ok())
    {
        return address;
    }
    let peer = request.extensions().get::<PeerAddress>();
    peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0)
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
            assert_eq!(shown_key(&headers(pairs)).unwrap().as_str(), "k");
        }
        assert!(shown_key(&headers(&[])).is_err());
        assert!(shown_key(&headers(&[("authorization", "Basic k")])).is_err());
        assert!(shown_key(&headers(&[("x-api-key", "k"), ("x-sftpgo-api-key", "l")])).is_err());
    }
}
