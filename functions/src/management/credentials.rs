//! `/users`: credentials and their passwords.

mod described;

use super::{ManagementState, rules};
use crate::http::error::ApiError;
use crate::http::extract::{Call, Segments};
use crate::http::fields::{Fields, boolean, one_of, parsed, text, time, whole};
use crate::http::list::ListQuery;
use crate::http::shown::{IfMatch, answer};
use app::management::{CredentialChange, ShownCredential};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use domain::bandwidth::LEAST_KILOBYTES;
use domain::credential::UserName;
use domain::folder::{FolderName, MAX_MOUNTED, Mounted};
use domain::id::CredentialId;
use domain::invalid::Invalid;
use domain::path::VPath;
use domain::quota::Quota;
use domain::time::Timestamp;
use http::{HeaderMap, StatusCode, Uri};
use serde_json::{Value, json};
use zeroize::Zeroizing;

pub(super) use described::describe;

/// SFTPGo's `description`, which it is in the other dialect.
pub(crate) const MAX_ALIAS: usize = 512;

/// More than a node has connections.
pub(crate) const MAX_SESSIONS: u64 = 10_000;

/// Beyond it JSON's numbers are not exact.
pub(crate) const MAX_QUOTA: u64 = 1 << 53;

/// What is shown and cannot be set.
const READ_ONLY: [&str; 9] = [
    "Id",
    "OrganizationId",
    "PasswordCreatedAt",
    "IsDefault",
    "Host",
    "URI",
    "SshPublicKeysCount",
    "CreatedAt",
    "UpdatedAt",
];

pub(super) async fn list(
    State(state): State<ManagementState>,
    Call(caller): Call,
    uri: Uri,
) -> Result<Response, ApiError> {
    ListQuery::parse(&uri)?
        .collect(|after, limit| {
            let (state, caller) = (&state, &caller);
            async move {
                let (found, next) = state.management.credentials(caller, after.as_deref(), limit).await?;
                let entry = |shown: &ShownCredential| (shown.record.value.id.to_string(), show(state, shown));
                Ok((found.iter().map(entry).collect(), next))
            }
        })
        .await
}

pub(super) async fn post(
    State(state): State<ManagementState>,
    Call(caller): Call,
    mut fields: Fields,
) -> Result<Response, ApiError> {
    let change = read(&mut fields);
    fields.finish()?;
    let shown = state.management.create_credential(&caller, change).await?;
    Ok(answer(StatusCode::CREATED, show(&state, &shown)))
}

pub(super) async fn get(
    State(state): State<ManagementState>,
    Call(caller): Call,
    segments: Segments,
) -> Result<Response, ApiError> {
    let shown = state.management.credential(&caller, &credential_id(&segments)?).await?;
    Ok(answer(StatusCode::OK, show(&state, &shown)))
}

pub(super) async fn patch(
    State(state): State<ManagementState>,
    Call(caller): Call,
    segments: Segments,
    headers: HeaderMap,
    mut fields: Fields,
) -> Result<Response, ApiError> {
    fields.ignore(&READ_ONLY);
    let change = read(&mut fields);
    fields.finish()?;
    let condition = IfMatch::parse(&headers)?;
    let accept = |shown: &ShownCredential| condition.accepts(&show(&state, shown));
    let shown = state.management.change_credential(&caller, &credential_id(&segments)?, change, accept).await?;
    Ok(answer(StatusCode::OK, show(&state, &shown)))
}

pub(super) async fn delete(
    State(state): State<ManagementState>,
    Call(caller): Call,
    segments: Segments,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let condition = IfMatch::parse(&headers)?;
    let accept = |shown: &ShownCredential| condition.accepts(&show(&state, shown));
    let shown = state.management.delete_credential(&caller, &credential_id(&segments)?, accept).await?;
    Ok(answer(StatusCode::OK, show(&state, &shown)))
}

pub(super) async fn rotate(
    State(state): State<ManagementState>,
    Call(caller): Call,
    segments: Segments,
    mut fields: Fields,
) -> Result<Response, ApiError> {
    let password = fields.take("Password", password);
    fields.finish()?;
    state.management.rotate_password(&caller, &credential_id(&segments)?, password).await?;
    Ok(Json(json!({ "message": "Password set." })).into_response())
}

pub(super) fn credential_id(segments: &Segments) -> Result<CredentialId, ApiError> {
    segments.parse("id", "credential", CredentialId::parse)
}

fn password(value: &Value) -> Result<Zeroizing<String>, Invalid> {
    value.as_str().map(|text| Zeroizing::new(text.to_owned())).ok_or_else(|| Invalid::new("must be a string"))
}

/// A number of sessions.
pub(crate) fn sessions(value: &Value) -> Result<u32, Invalid> {
    whole(0..=MAX_SESSIONS)(value).map(|most| u32::try_from(most).unwrap_or(u32::MAX))
}

/// A bandwidth, or 0 for none.
pub(crate) fn kilobytes(value: &Value) -> Result<u32, Invalid> {
    match value.as_u64().and_then(|number| u32::try_from(number).ok()) {
        Some(limit) if limit == 0 || limit >= LEAST_KILOBYTES => Ok(limit),
        _ => Err(Invalid::new(format!("must be 0 or a whole number from {LEAST_KILOBYTES} to {}", u32::MAX))),
    }
}

fn mounted(fields: &mut Fields) -> Option<Mounted> {
    let name = fields.require("Name", parsed(FolderName::parse));
    let at = fields.require("VirtualPath", parsed(VPath::parse));
    let limit = || |value: &Value| if value.is_null() { Ok(None) } else { whole(0..=MAX_QUOTA)(value).map(Some) };
    let bytes = fields.take("QuotaSize", limit()).flatten();
    let files = fields.take("QuotaFiles", limit()).flatten();
    let quota = bytes.or(files).map(|_| Quota { bytes: bytes.unwrap_or(0), files: files.unwrap_or(0) });
    Some(Mounted { name: name?, at: at?, quota })
}

fn read(fields: &mut Fields) -> CredentialChange {
    CredentialChange {
        alias: fields.take_nullable("Alias", text(MAX_ALIAS)),
        user_name: fields.take("UserName", parsed(UserName::parse)),
        // null is what an object that was read shows after a day
        password: fields.take_nullable("Password", password).flatten(),
        home: fields.take("HomeDirectory", parsed(VPath::parse)),
        chroot: fields.take_nullable("ChrootDirectory", parsed(VPath::parse)).map(|path| path.unwrap_or(VPath::root())),
        level: fields.take("Permission", one_of("none, read-only, read-write, write-only, read-write-no-delete, full")),
        expires_at: fields.take_nullable("Expiration", time),
        state: fields.take("State", one_of("active, inactive")),
        inbound_rules: rules::read(fields),
        allow_api_key_auth: fields.take("AllowApiKeyAuth", boolean),
        quota_bytes: fields.take("QuotaSize", whole(0..=MAX_QUOTA)),
        quota_files: fields.take("QuotaFiles", whole(0..=MAX_QUOTA)),
        folders: fields.objects("VirtualFolders", MAX_MOUNTED, mounted),
        upload_kilobytes: fields.take("UploadBandwidth", kilobytes),
        download_kilobytes: fields.take("DownloadBandwidth", kilobytes),
        key_and_password: fields.take("KeyAndPassword", boolean),
        max_sessions: fields.take("MaxSessions", sessions),
    }
}

fn show(state: &ManagementState, shown: &ShownCredential) -> Value {
    let credential = &shown.record.value;
    let password = shown.password.as_ref().map(|password| password.as_str());
    json!({
        "Id": credential.id,
        "Alias": credential.alias,
        "UserName": credential.user_name,
        "Password": password,
        "PasswordCreatedAt": credential.password.as_ref().and_then(|set| domain::iso8601::millis(set.set_at)),
        "HomeDirectory": credential.home,
        "ChrootDirectory": credential.chroot,
        "Permission": credential.permissions.level(),
        "Expiration": credential.expires_at.map(Timestamp::millis),
        "State": credential.state,
        "IsDefault": credential.is_default,
        "OrganizationId": credential.organization,
        "Host": state.host.as_ref(),
        "URI": uri(&state.authority, credential.user_name.as_str(), password),
        "SshPublicKeysCount": credential.ssh_keys,
        "AllowApiKeyAuth": credential.allow_api_key_auth,
        "KeyAndPassword": credential.key_and_password,
        "MaxSessions": credential.max_sessions,
        "UploadBandwidth": credential.bandwidth.upload_kilobytes,
        "DownloadBandwidth": credential.bandwidth.download_kilobytes,
        "QuotaSize": credential.quota.bytes,
        "QuotaFiles": credential.quota.files,
        "VirtualFolders": credential.folders.iter().map(|folder| {
            json!({
                "Name": folder.name,
                "VirtualPath": folder.at,
                "QuotaSize": folder.quota.map(|quota| quota.bytes),
                "QuotaFiles": folder.quota.map(|quota| quota.files),
            })
        }).collect::<Vec<_>>(),
        "Settings": rules::show(&credential.inbound_rules),
        "CreatedAt": credential.created_at,
        "UpdatedAt": credential.updated_at,
    })
}

/// `sftp://user:password@host`, without the password where it is not shown.
fn uri(authority: &str, user: &str, password: Option<&str>) -> String {
    let encode =
        |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20");
    let password = password.map(|password| format!(":{}", encode(password))).unwrap_or_default();
    format!("sftp://{}{password}@{authority}", encode(user))
}
