//! `/organizations/{Id}`: the organization's own settings.

use super::{ManagementState, rules};
use crate::http::error::ApiError;
use crate::http::extract::Call;
use crate::http::fields::{Fields, boolean, one_of, text, whole};
use crate::http::shown::{IfMatch, answer};
use app::management::{OrganizationChange, PolicyChange, SharePolicyChange};
use axum::extract::State;
use axum::response::Response;
use domain::organization::Organization;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use store::records::Versioned;

pub(super) async fn get(State(state): State<ManagementState>, Call(caller): Call) -> Result<Response, ApiError> {
    let found = state.management.organization(&caller).await?;
    Ok(answer(StatusCode::OK, show(&found.value)))
}

pub(super) async fn patch(
    State(state): State<ManagementState>,
    Call(caller): Call,
    headers: HeaderMap,
    mut fields: Fields,
) -> Result<Response, ApiError> {
    fields.ignore(&["Id", "CreatedAt", "UpdatedAt"]);
    let change = read(&mut fields);
    fields.finish()?;
    let condition = IfMatch::parse(&headers)?;
    let accept = |found: &Versioned<Organization>| condition.accepts(&show(&found.value));
    let changed = state.management.change_organization(&caller, change, accept).await?;
    Ok(answer(StatusCode::OK, show(&changed.value)))
}

fn small(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn read(fields: &mut Fields) -> OrganizationChange {
    OrganizationChange {
        name: fields.take("Name", text(100)),
        password_policy: fields.object("PasswordPolicy", |policy| PolicyChange {
            // longer than what is generated at most would lock everybody out of new passwords
            min_length: policy.take("MinLength", whole(8..=64)).map(small),
            uppercase: policy.take("RequireUppercase", boolean),
            lowercase: policy.take("RequireLowercase", boolean),
            digit: policy.take("RequireDigit", boolean),
            symbol: policy.take("RequireSymbol", boolean),
        }),
        password_readable: fields.take("PasswordReadable", one_of("24h, always, never")),
        share_policy: fields.object("SharePolicy", |policy| SharePolicyChange {
            password_required: policy.take("PasswordRequired", boolean),
            max_days: policy.take("MaxDays", whole(0..=3650)).map(small),
        }),
        notification_email: fields.take_nullable("NotificationEmail", text(254)),
        inbound_rules: rules::read(fields),
        close_sessions_on_change: fields.take("CloseSessionsOnChange", boolean),
        default_requests: fields
            .object("RateLimit", |limit| {
                let rules = limit.objects("Rules", 0, |_| None::<()>);
                drop(rules);
                limit.take("DefaultRequests", whole(1..=100_000)).map(small)
            })
            .flatten(),
        quota_size: fields.take("QuotaSize", whole(0..=(1 << 53))),
        quota_files: fields.take("QuotaFiles", whole(0..=(1 << 53))),
    }
}

pub(super) fn show(organization: &Organization) -> Value {
    let policy = &organization.password_policy;
    json!({
        "Id": organization.id,
        "Name": organization.name,
        "PasswordPolicy": {
            "MinLength": policy.min_length,
            "RequireUppercase": policy.uppercase,
            "RequireLowercase": policy.lowercase,
            "RequireDigit": policy.digit,
            "RequireSymbol": policy.symbol,
        },
        "PasswordReadable": organization.password_readable,
        "SharePolicy": {
            "PasswordRequired": organization.share_policy.password_required,
            "MaxDays": organization.share_policy.max_days,
        },
        "NotificationEmail": organization.notification_email,
        "Settings": rules::show(&organization.inbound_rules),
        "CloseSessionsOnChange": organization.close_sessions_on_change,
        "RateLimit": { "DefaultRequests": organization.default_requests, "Rules": [] },
        "QuotaSize": organization.quota_size,
        "QuotaFiles": organization.quota_files,
        "CreatedAt": organization.created_at,
        "UpdatedAt": organization.updated_at,
    })
}
