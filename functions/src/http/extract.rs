//! Extractors whose refusals have the error body of the dialect.

use super::error::ApiError;
use super::fields::Fields;
use app::management::{Caller, ManagementError, UserCaller};
use axum::body::{Bytes, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use domain::token::Claims;
use http::request::Parts;

/// The largest JSON body. A credential with 100 inbound rules has about 30 KB.
pub const MAX_BODY: usize = 256 * 1024;

/// The caller, known to be of the organization in the path: another one's objects do not exist for it.
pub struct Call(pub Caller);

impl<S: Send + Sync> FromRequestParts<S> for Call {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let caller = parts.extensions.get::<Caller>().cloned().ok_or_else(ApiError::unauthorized)?;
        let params = RawPathParams::from_request_parts(parts, state).await;
        let params = params.map_err(|_| ApiError::not_found("No such organization"))?;
        let own = params.iter().any(|(name, value)| name == "organization" && value == caller.organization.as_str());
        if own { Ok(Self(caller)) } else { Err(ApiError::not_found("No such organization")) }
    }
}

/// The caller, where the path names no organization: everything is its own's.
pub struct Own(pub Caller);

impl<S: Send + Sync> FromRequestParts<S> for Own {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts.extensions.get::<Caller>().cloned().map(Self).ok_or_else(ApiError::unauthorized)
    }
}

/// A credential that calls for itself, with a token: what belongs to its account is not for API keys.
pub struct OwnUser(pub UserCaller);

impl<S: Send + Sync> FromRequestParts<S> for OwnUser {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let ActingUser(caller) = ActingUser::from_request_parts(parts, state).await?;
        caller.require_person()?;
        Ok(Self(caller))
    }
}

/// A credential that calls for itself, with a token or by one of its API keys. Who takes this asks for what the key leaves of its
/// rights: [`UserCaller::principal`].
pub struct ActingUser(pub UserCaller);

impl<S: Send + Sync> FromRequestParts<S> for ActingUser {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        match (parts.extensions.get::<UserCaller>(), parts.extensions.get::<Caller>()) {
            (Some(caller), _) => Ok(Self(caller.clone())),
            (None, Some(caller)) => Err(caller.is_no_credential().into()),
            (None, None) => Err(ApiError::unauthorized()),
        }
    }
}

/// Who calls for itself: an admin ([`Own`]) or a credential ([`OwnUser`]).
pub struct Me<C>(pub C);

impl<S: Send + Sync> FromRequestParts<S> for Me<Caller> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        Own::from_request_parts(parts, state).await.map(|Own(caller)| Self(caller))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Me<UserCaller> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        OwnUser::from_request_parts(parts, state).await.map(|OwnUser(caller)| Self(caller))
    }
}

/// Whoever has signed in or shows a key, for what everybody may see.
pub struct Anyone;

impl<S: Send + Sync> FromRequestParts<S> for Anyone {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let known = parts.extensions.get::<Caller>().is_some() || parts.extensions.get::<UserCaller>().is_some();
        if known { Ok(Self) } else { Err(ApiError::unauthorized()) }
    }
}

/// The token that the request shows; an API key is none.
pub struct ShownToken(pub Claims);

impl<S: Send + Sync> FromRequestParts<S> for ShownToken {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let needed = || ManagementError::Forbidden { required: "a token".into(), granted: "an API key".into() };
        parts.extensions.get::<Claims>().cloned().map(Self).ok_or_else(|| needed().into())
    }
}

/// One segment of the path, by its name in the route. Whatever is in it: what does not parse does not exist.
pub struct Segments(Vec<(String, String)>);

impl Segments {
    /// The text of a segment.
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str())
    }

    /// A segment as an id.
    pub fn parse<T, E>(
        &self,
        name: &str,
        what: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, ApiError> {
        parse(self.get(name)).map_err(|_| ApiError::not_found(format!("No such {what}")))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Segments {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let params = RawPathParams::from_request_parts(parts, state).await;
        let params = params.map_err(|_| ApiError::not_found("No such object"))?;
        Ok(Self(params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()))
    }
}

impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        Self::parse(&body(request).await?)
    }
}

/// A body that is a list of texts.
pub struct Texts(pub Vec<String>);

impl<S: Send + Sync> FromRequest<S> for Texts {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let list = serde_json::from_slice(&body(request).await?);
        list.map(Self).map_err(|_| ApiError::bad_request("", "must be a JSON list of strings"))
    }
}

/// The whole body, if it is not too long.
pub(crate) async fn body(request: Request) -> Result<Bytes, ApiError> {
    let announced = request.headers().get(http::header::CONTENT_LENGTH);
    let announced = announced.and_then(|value| value.to_str().ok()).and_then(|text| text.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > MAX_BODY as u64) {
        return Err(ApiError::too_large(MAX_BODY));
    }
    // what fails otherwise is a client that went away, whom no answer reaches
    to_bytes(request.into_body(), MAX_BODY).await.map_err(|_| ApiError::too_large(MAX_BODY))
}
