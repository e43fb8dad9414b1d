//! `/organizations`, for the operator.

mod described;

use super::ManagementState;
use super::organization::show;
use crate::http::error::ApiError;
use crate::http::extract::{Own, Segments};
use crate::http::fields::{Fields, parsed, text};
use crate::http::list::ListQuery;
use crate::http::shown::answer;
use app::management::NewOrganization;
use axum::extract::State;
use axum::response::Response;
use domain::admin::AdminName;
use domain::credential::UserName;
use domain::id::OrganizationId;
use domain::invalid::Invalid;
use domain::organization::Organization;
use http::{StatusCode, Uri};
use serde_json::{Value, json};
use zeroize::Zeroizing;

pub(super) use described::describe;

pub(super) async fn list(
    State(state): State<ManagementState>,
    Own(caller): Own,
    uri: Uri,
) -> Result<Response, ApiError> {
    ListQuery::parse(&uri)?
        .collect(|after, limit| {
            let (state, caller) = (&state, &caller);
            async move {
                let (found, next) = state.management.organizations(caller, after.as_deref(), limit).await?;
                let entry = |organization: &Organization| (organization.id.to_string(), show(organization));
                Ok((found.iter().map(entry).collect(), next))
            }
        })
        .await
}

pub(super) async fn post(
    State(state): State<ManagementState>,
    Own(caller): Own,
    mut fields: Fields,
) -> Result<Response, ApiError> {
    let name = fields.require("Name", text(100));
    let new = NewOrganization {
        name: name.unwrap_or_default(),
        admin: fields.take_nullable("AdminUserName", parsed(AdminName::parse)).flatten(),
        admin_password: fields.take_nullable("AdminPassword", password).flatten(),
        user: fields.take_nullable("UserName", parsed(UserName::parse)).flatten(),
    };
    fields.finish()?;
    let made = state.management.create_organization(&caller, new).await?;
    let mut shown = show(&made.organization);
    if let Some(shown) = shown.as_object_mut() {
        shown.insert("AdminUserName".to_owned(), json!(made.admin));
        // the one that was given is known
        shown.insert("AdminPassword".to_owned(), json!(made.admin_password.as_ref().map(|text| text.as_str())));
        shown.insert("UserName".to_owned(), json!(made.user));
    }
    Ok(answer(StatusCode::CREATED, shown))
}

pub(super) async fn delete(
    State(state): State<ManagementState>,
    Own(caller): Own,
    segments: Segments,
) -> Result<Response, ApiError> {
    let id = segments.parse("organization", "organization", OrganizationId::parse)?;
    let deleted = state.management.delete_organization(&caller, &id).await?;
    Ok(answer(StatusCode::OK, show(&deleted)))
}

fn password(value: &Value) -> Result<Zeroizing<String>, Invalid> {
    let text = value.as_str().map(|text| Zeroizing::new(text.to_owned()));
    text.ok_or_else(|| Invalid::new("must be a string"))
}
