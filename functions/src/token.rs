//! Tokens: made for a name and a password, logged out, and the public keys that they are read with. A function of its own, the
//! only one that checks passwords of people who are not signed in.

mod described;

use crate::http::auth::{Gate, authenticate, client_address};
use crate::http::basic::Basic;
use crate::http::error::ApiError;
use crate::http::extract::{Own, OwnUser, ShownToken};
use crate::http::frame::framed;
use crate::http::routes::Routes;
use app::accounts::{Accounts, SignIn, SignInError, SignedIn};
use app::tokens::Tokens;
use axum::extract::{Request, State};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use domain::event::{Origin, Protocol};
use domain::token::Claims;
use serde_json::json;

pub(crate) use described::describe;

/// What the routes need.
#[derive(Clone)]
pub struct TokenState {
    accounts: Accounts,
    gate: Gate,
}

impl TokenState {
    /// Signs in with `accounts`.
    pub fn new(accounts: Accounts, tokens: Tokens) -> Self {
        let gate = Gate::new(accounts.records().clone(), tokens);
        Self { accounts, gate }
    }
}

/// The routes as Lambda runs them.
pub fn router(state: TokenState) -> Router {
    framed(routes(state))
}

/// The same without what stands around them, to be merged with others.
pub(crate) fn routes(state: TokenState) -> Routes {
    let signed_in = Routes::new()
        .route("/api/v2/logout", get(log_out_admin))
        .route("/api/v2/user/logout", get(log_out_user))
        .route_layer(from_fn_with_state(state.gate.clone(), authenticate));
    // the only routes without authentication: two that are one, and what is public
    let open = Routes::new()
        .route("/api/v2/token", get(admin_token))
        .route("/api/v2/user/token", get(user_token))
        .route("/.well-known/jwks.json", get(public_keys));
    signed_in.merge(open).with_state(state)
}

async fn admin_token(State(state): State<TokenState>, request: Request) -> Result<Response, ApiError> {
    let attempt = attempt(&request)?;
    answer(&state, state.accounts.sign_in_admin(&attempt).await)
}

async fn user_token(State(state): State<TokenState>, request: Request) -> Result<Response, ApiError> {
    let attempt = attempt(&request)?;
    answer(&state, state.accounts.sign_in_user(&attempt).await)
}

fn attempt(request: &Request) -> Result<SignIn, ApiError> {
    let Basic { user, password, code } = Basic::read(request.headers())?;
    let session_id = domain::id::uuid_text(store::clock::random());
    let origin = Origin { protocol: Protocol::Api, client_ip: client_address(request.extensions()), session_id };
    Ok(SignIn { user, password, code, origin })
}

fn answer(state: &TokenState, signed_in: Result<SignedIn, SignInError>) -> Result<Response, ApiError> {
    match signed_in {
        Ok(signed_in) => {
            let issued = state.gate.tokens().issue(&signed_in).map_err(|error| {
                tracing::error!(%error, "no token");
                ApiError::unavailable()
            })?;
            let expires_at = domain::iso8601::seconds(issued.expires_at);
            let body = json!({ "access_token": issued.text.as_str(), "expires_at": expires_at });
            let mut response = Json(body).into_response();
            response.extensions_mut().insert(signed_in.rate);
            Ok(response)
        }
        Err(SignInError::Refused) => Err(ApiError::not_signed_in()),
        Err(SignInError::Unavailable) => Err(ApiError::unavailable()),
        Err(SignInError::Limited(rate)) => {
            let mut response = ApiError::limited(rate.seconds_left).into_response();
            response.extensions_mut().insert(rate);
            Ok(response)
        }
    }
}

async fn log_out_admin(
    State(state): State<TokenState>,
    Own(_): Own,
    ShownToken(claims): ShownToken,
) -> Result<Response, ApiError> {
    log_out(&state, &claims).await
}

async fn log_out_user(
    State(state): State<TokenState>,
    OwnUser(_): OwnUser,
    ShownToken(claims): ShownToken,
) -> Result<Response, ApiError> {
    log_out(&state, &claims).await
}

async fn log_out(state: &TokenState, claims: &Claims) -> Result<Response, ApiError> {
    state.gate.tokens().log_out(claims).await.map_err(|error| {
        tracing::error!(%error, "a token could not be logged out");
        ApiError::unavailable()
    })?;
    Ok(Json(json!({ "message": "Your token has been invalidated" })).into_response())
}

/// Nothing secret: whoever wants to read our tokens may cache it.
async fn public_keys(State(state): State<TokenState>) -> Response {
    Json(state.gate.tokens().keys().public()).into_response()
}
