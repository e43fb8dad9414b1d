//! `/organizations/{Id}`: the organization's own settings.

pub(super) mod described;

use super::{ManagementState, rules};
use crate::http::error::ApiError;
use crate::http::extract::Call;
use crate::http::fields::{Fields, boolean, one_of, parsed, text, whole};
use crate::http::shown::{IfMatch, answer};
use app::management::{OrganizationChange, PolicyChange, SharePolicyChange};
use axum::extract::State;
use axum::response::Response;
use domain::inbound::Source;
use domain::invalid::Invalid;
use domain::organization::Organization;
use domain::rate::rule::{MAX_RULES, Per, RateRule, RoutePattern};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use store::records::Versioned;

pub(super) use described::describe;

/// Beyond it there is no limit to speak of.
const MOST_REQUESTS: u64 = 100_000;

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
    let limit = fields.object("RateLimit", |limit| {
        (
            limit.take("DefaultRequests", whole(1..=MOST_REQUESTS)).map(small),
            limit.objects("Rules", MAX_RULES, rate_rule),
        )
    });
    let (default_requests, rate_rules) = limit.unwrap_or_default();
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
        default_requests,
        rate_rules,
        quota_size: fields.take("QuotaSize", whole(0..=(1 << 53))),
        quota_files: fields.take("QuotaFiles", whole(0..=(1 << 53))),
    }
}

fn rate_rule(fields: &mut Fields) -> Option<RateRule> {
    let id = fields.take_nullable("Id", parsed(rule_id)).flatten();
    let method = fields.take_nullable("Method", one_of::<RuleMethod>("*, GET, POST, PUT, PATCH, DELETE")).flatten();
    let method = method.filter(|method| *method != RuleMethod::Any).map(|method| format!("{method:?}").to_uppercase());
    let route = fields.take_nullable("Route", parsed(RoutePattern::parse)).flatten();
    let source = fields.take_nullable("Source", parsed(Source::parse)).flatten();
    let per = fields.take("Per", one_of::<Per>("Caller, Address")).unwrap_or_default();
    let requests = fields.require("Requests", whole(1..=MOST_REQUESTS)).map(small);
    Some(RateRule {
        id: id.unwrap_or_else(|| domain::id::uuid_text(store::clock::random())),
        method,
        route: route.unwrap_or_else(RoutePattern::any),
        source,
        per,
        requests: requests?,
    })
}

/// It stands in a key of the table.
fn rule_id(text: &str) -> Result<String, Invalid> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if (1..=100).contains(&text.len()) && text.bytes().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err(Invalid::new("must be 1 to 100 letters, digits, underscores, hyphens or periods"))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum RuleMethod {
    #[serde(rename = "*")]
    Any,
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

fn show_rate_rule(rule: &RateRule) -> Value {
    json!({
        "Id": rule.id,
        "Method": rule.method.as_deref().unwrap_or("*"),
        "Route": rule.route.as_str(),
        "Source": rule.source.as_ref().map(Source::as_str),
        "Per": rule.per,
        "Requests": rule.requests,
    })
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
        "RateLimit": {
            "DefaultRequests": organization.default_requests,
            "Rules": organization.rate_rules.iter().map(show_rate_rule).collect::<Vec<_>>(),
        },
        "QuotaSize": organization.quota_size,
        "QuotaFiles": organization.quota_files,
        "CreatedAt": organization.created_at,
        "UpdatedAt": organization.updated_at,
    })
}
