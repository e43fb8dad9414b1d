//! `/api/v2/users`: credentials. What of SFTPGo's object would bound or allow something, and cannot here, is refused; what means
//! nothing here is kept and answered as it was.

mod described;
mod show;

use super::admins::{or_empty, password};
use super::{message, page};
use crate::http::error::ApiError;
use crate::http::extract::{Own, Segments};
use crate::http::fields::{Fields, boolean, lines, list as list_of, one_of, parsed, text, time, whole};
use crate::management::ManagementState;
use crate::management::credentials::{MAX_ALIAS, MAX_QUOTA, kilobytes, sessions};
use app::management::{CredentialChange, FieldProblem, MAX_FOLDERS_WITH_RULES, ManagementError, Slice, UserChange};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use domain::access::{Permissions, Verbs};
use domain::credential::restrictions::{Door, LoginMethod, MAX_ADDRESSES, OwnAccount};
use domain::credential::{State as Activity, UserName};
use domain::folder::{FolderName, MAX_MOUNTED, Mounted};
use domain::inbound::Source;
use domain::invalid::Invalid;
use domain::path::VPath;
use domain::quota::Quota;
use domain::ssh_key::{self, MAX_KEYS};
use http::{HeaderValue, StatusCode, Uri, header};
use serde_json::Value;
use show::show;
use std::collections::BTreeMap;

pub(super) use described::describe;

/// Below what a function may answer.
const MAX_BYTES: usize = 4_000_000;

/// What is answered, and has no effect when it is sent back.
const READ_ONLY: [&str; 12] = [
    "id",
    "has_password",
    "used_quota_size",
    "used_quota_files",
    "last_quota_update",
    "used_upload_data_transfer",
    "used_download_data_transfer",
    "created_at",
    "updated_at",
    "last_login",
    "first_download",
    "first_upload",
];

/// Fields that would bound or allow something, and what they must be because nothing here asks them.
const MUST_BE_NOTHING: [(&str, &str); 5] = [
    ("groups", "must be empty: there are no groups here"),
    ("role", "must be empty: there are no roles here, and one would bound nothing"),
    ("upload_data_transfer", "must be 0: transfers are not counted here"),
    ("download_data_transfer", "must be 0: transfers are not counted here"),
    ("total_data_transfer", "must be 0: transfers are not counted here"),
];

/// The same of `filters`.
const FILTERS_MUST_BE_NOTHING: [(&str, &str); 9] = [
    ("file_patterns", "must be empty: names of files are not filtered here"),
    ("max_upload_file_size", "must be 0: the size of a file is not limited here"),
    ("bandwidth_limits", "must be empty: upload_bandwidth and download_bandwidth hold for every address"),
    ("access_time", "must be empty: times of access are not limited here"),
    ("tls_certs", "must be empty: a certificate logs in when its key is among public_keys"),
    ("two_factor_protocols", "must be empty: a second factor cannot be demanded here"),
    ("is_anonymous", "must be false: every credential has a password or keys"),
    ("password_expiration", "must be 0: passwords do not expire here"),
    ("require_password_change", "must be false: it cannot be demanded here"),
];

pub(super) async fn list(
    State(state): State<ManagementState>,
    Own(caller): Own,
    uri: Uri,
) -> Result<Response, ApiError> {
    let page = page::read(&uri)?;
    let found = state.management().users(&caller, page).await?;
    let (mut shown, mut bytes) = (Vec::new(), 0);
    for user in &found {
        let user = show(user);
        bytes += user.to_string().len() + 1;
        if bytes > MAX_BYTES && !shown.is_empty() {
            break;
        }
        shown.push(user);
    }
    let next = (shown.len() < found.len()).then(|| next_page(page, shown.len()));
    let mut response = Json(shown).into_response();
    if let Some(Ok(next)) = next {
        response.headers_mut().insert(header::LINK, next);
    }
    Ok(response)
}

/// Where the rest of a page is that was too long for an answer.
fn next_page(page: Slice, shown: usize) -> Result<HeaderValue, header::InvalidHeaderValue> {
    let (offset, limit) = (page.offset + shown, page.limit - shown);
    let order = if page.descending { "DESC" } else { "ASC" };
    let link = format!("</api/v2/users?offset={offset}&limit={limit}&order={order}>; rel=\"next\"");
    HeaderValue::from_str(&link)
}

pub(super) async fn post(
    State(state): State<ManagementState>,
    Own(caller): Own,
    mut fields: Fields,
) -> Result<Response, ApiError> {
    let name = fields.require("username", parsed(UserName::parse));
    let change = read(&mut fields);
    if change.permissions.is_none() {
        fields.problem("permissions", "is needed");
    }
    fields.finish()?;
    // what is missing was noted as a problem
    let name = name.ok_or_else(|| ApiError::bad_request("username", "is needed"))?;
    let made = state.management().create_user(&caller, name, change).await.map_err(respelled)?;
    let place = [(header::LOCATION, format!("/api/v2/users/{}", made.credential.user_name))];
    Ok((StatusCode::CREATED, place, Json(show(&made))).into_response())
}

pub(super) async fn get(
    State(state): State<ManagementState>,
    Own(caller): Own,
    segments: Segments,
) -> Result<Response, ApiError> {
    Ok(Json(show(&state.management().user(&caller, &name(&segments)?).await?)).into_response())
}

pub(super) async fn put(
    State(state): State<ManagementState>,
    Own(caller): Own,
    segments: Segments,
    uri: Uri,
    mut fields: Fields,
) -> Result<Response, ApiError> {
    let (name, disconnect) = (name(&segments)?, disconnect(&uri)?);
    // names do not change; SFTPGo ignores another one as well
    fields.ignore(&["username"]);
    let change = read(&mut fields);
    fields.finish()?;
    state.management().change_user(&caller, &name, change, disconnect).await.map_err(respelled)?;
    Ok(message("User updated"))
}

pub(super) async fn delete(
    State(state): State<ManagementState>,
    Own(caller): Own,
    segments: Segments,
) -> Result<Response, ApiError> {
    state.management().delete_user(&caller, &name(&segments)?).await?;
    Ok(message("User deleted"))
}

pub(super) async fn disable_second_factor(
    State(state): State<ManagementState>,
    Own(caller): Own,
    segments: Segments,
) -> Result<Response, ApiError> {
    state.management().disable_user_second_factor(&caller, &name(&segments)?).await?;
    Ok(message("2FA disabled"))
}

fn name(segments: &Segments) -> Result<UserName, ApiError> {
    segments.parse("username", "user", UserName::parse)
}

/// `disconnect`: 0 or 1.
fn disconnect(uri: &Uri) -> Result<bool, ApiError> {
    let query = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    match query.filter(|(name, _)| name == "disconnect").last() {
        None => Ok(false),
        Some((_, value)) => match value.as_ref() {
            "0" => Ok(false),
            "1" => Ok(true),
            _ => Err(ApiError::bad_request("disconnect", "must be 0 or 1")),
        },
    }
}

/// The rules name fields as the other dialect does.
fn respelled(error: ManagementError) -> ManagementError {
    let field = |problem: FieldProblem| match problem.field.as_str() {
        "Password" => FieldProblem::new("password", problem.problem),
        "VirtualFolders" => FieldProblem::new("virtual_folders", problem.problem),
        _ => problem,
    };
    match error {
        ManagementError::Invalid(problems) => ManagementError::Invalid(problems.into_iter().map(field).collect()),
        other => other,
    }
}

/// What is given of a credential.
fn read(fields: &mut Fields) -> UserChange {
    fields.ignore(&READ_ONLY);
    fields.ignore(&["last_password_change"]);
    for (name, problem) in MUST_BE_NOTHING {
        fields.check(name, nothing(problem));
    }
    fields.check("filesystem", own_storage);
    let mut change = UserChange {
        common: CredentialChange {
            alias: fields
                .take_nullable("description", text(MAX_ALIAS))
                .map(|text| text.filter(|text| !text.is_empty())),
            // nothing and none are what it has
            password: fields.take_nullable("password", password).flatten().filter(|password| !password.is_empty()),
            home: fields.take_nullable("home_dir", folder).flatten().flatten(),
            expires_at: fields.take_nullable("expiration_date", time).map(|at| at.filter(|at| at.millis() > 0)),
            state: fields.take("status", whole(0..=1)).map(activity),
            quota_bytes: fields.take("quota_size", whole(0..=MAX_QUOTA)),
            quota_files: fields.take("quota_files", whole(0..=MAX_QUOTA)),
            upload_kilobytes: fields.take("upload_bandwidth", kilobytes),
            download_kilobytes: fields.take("download_bandwidth", kilobytes),
            max_sessions: fields.take("max_sessions", sessions),
            folders: none_is_empty(fields, "virtual_folders")
                .then(Vec::new)
                .or_else(|| fields.objects("virtual_folders", MAX_MOUNTED, mounted)),
            ..CredentialChange::default()
        },
        permissions: fields.take("permissions", permissions),
        keys: fields
            .take_nullable("public_keys", list_of(usize::try_from(MAX_KEYS).unwrap_or(50), parsed(ssh_key::parse)))
            .map(Option::unwrap_or_default),
        email: or_empty(fields, "email", 254),
        additional_info: fields.take_nullable("additional_info", lines(8192)).map(Option::unwrap_or_default),
        ..UserChange::default()
    };
    if hashed(&change) {
        fields.problem("password", "must be a password, not the hash of one");
    }
    if !none_is_empty(fields, "filters") {
        fields.object("filters", |filters| read_filters(filters, &mut change));
    }
    change.kept = fields.rest();
    change
}

fn read_filters(filters: &mut Fields, change: &mut UserChange) {
    // each sets its own up
    filters.ignore(&["totp_config", "recovery_codes"]);
    for (name, problem) in FILTERS_MUST_BE_NOTHING {
        filters.check(name, nothing(problem));
    }
    filters.check("start_directory", |value| match value.as_str() {
        Some("" | "/") => Ok(()),
        _ => nothing("must be /: sessions begin in the home folder")(value),
    });
    let sources = || list_of(MAX_ADDRESSES, parsed(Source::parse));
    change.only_from = filters.take_nullable("allowed_ip", sources()).map(Option::unwrap_or_default);
    change.never_from = filters.take_nullable("denied_ip", sources()).map(Option::unwrap_or_default);
    let doors = list_of(Door::ALL.len(), one_of("SSH, FTP, DAV, HTTP"));
    change.doors = filters.take_nullable("denied_protocols", doors).map(Option::unwrap_or_default);
    let methods = list_of(16, one_of::<LoginMethod>("SFTPGo's login methods"));
    change.methods = filters.take_nullable("denied_login_methods", methods).map(Option::unwrap_or_default);
    let own = list_of(16, one_of::<OwnAccount>("SFTPGo's options but write-disabled, which permissions say"));
    change.own_account = filters.take_nullable("web_client", own).map(Option::unwrap_or_default);
    change.common.allow_api_key_auth = filters.take("allow_api_key_auth", boolean);
    change.kept_filters = filters.rest();
}

/// A null list is an empty one.
fn none_is_empty(fields: &mut Fields, name: &str) -> bool {
    let null = fields.is_null(name);
    if null {
        fields.ignore(&[name]);
    }
    null
}

fn nothing(problem: &'static str) -> impl Fn(&Value) -> Result<(), Invalid> {
    move |value| {
        let is_nothing = match value {
            Value::Null | Value::Bool(false) => true,
            Value::Number(number) => number.as_f64() == Some(0.0),
            Value::String(text) => text.is_empty(),
            Value::Array(list) => list.is_empty(),
            Value::Object(_) | Value::Bool(true) => false,
        };
        if is_nothing { Ok(()) } else { Err(Invalid::new(problem)) }
    }
}

fn own_storage(value: &Value) -> Result<(), Invalid> {
    match value.get("provider").unwrap_or(&Value::Null) {
        Value::Null => Ok(()),
        provider if provider.as_u64() == Some(0) => Ok(()),
        _ => Err(Invalid::new("files are in the organization's bucket: provider must be 0")),
    }
}

fn activity(status: u64) -> Activity {
    if status == 1 { Activity::Active } else { Activity::Inactive }
}

/// An absolute path; nothing is the default.
fn folder(value: &Value) -> Result<Option<VPath>, Invalid> {
    match value.as_str() {
        Some("") => Ok(None),
        Some(text) if !text.starts_with('/') => Err(Invalid::new("must be an absolute path")),
        _ => parsed(VPath::parse)(value).map(Some),
    }
}

/// What other programs write in the place of a password: it would be one that nobody knows.
fn hashed(change: &UserChange) -> bool {
    const PREFIXES: [&str; 10] =
        ["$argon2id$", "$argon2i$", "$2a$", "$2b$", "$2y$", "$pbkdf2-", "$1$", "$apr1$", "$5$", "$6$"];
    let password = change.common.password.as_ref();
    password.is_some_and(|password| PREFIXES.iter().any(|prefix| password.starts_with(prefix)))
}

fn permissions(value: &Value) -> Result<Permissions, Invalid> {
    let rules = value.as_object().ok_or_else(|| Invalid::new("must be an object of lists by folder"))?;
    if rules.len() > MAX_FOLDERS_WITH_RULES {
        return Err(Invalid::new(format!("must have at most {MAX_FOLDERS_WITH_RULES} folders")));
    }
    let mut by_folder = BTreeMap::new();
    for (path, verbs) in rules {
        if !path.starts_with('/') {
            return Err(Invalid::new(format!("{path} must be an absolute path")));
        }
        let folder = VPath::parse(path).map_err(|problem| Invalid::new(format!("{path}: {problem}")))?;
        let names: Vec<String> = serde_json::from_value(verbs.clone())
            .map_err(|_| Invalid::new(format!("{path} must have a list of permissions")))?;
        if names.is_empty() && !folder.is_root() {
            return Err(Invalid::new(format!("{path} must have at least one permission")));
        }
        let verbs = Verbs::parse(&names).map_err(|problem| Invalid::new(format!("{path}: {problem}")))?;
        if by_folder.insert(folder, verbs).is_some() {
            return Err(Invalid::new(format!("{path} stands there twice")));
        }
    }
    if !by_folder.contains_key(&VPath::root()) {
        return Err(Invalid::new("must say what is permitted in /"));
    }
    Ok(Permissions::by_folder(by_folder))
}

/// Which folder, and where. What the folder itself is, clients send as they read it.
fn mounted(fields: &mut Fields) -> Option<Mounted> {
    let name = fields.require("name", parsed(FolderName::parse));
    let at = fields.require("virtual_path", |value| match folder(value)? {
        Some(path) => Ok(path),
        None => Err(Invalid::new("must be an absolute path")),
    });
    let quota = |value: &Value| match value.as_i64() {
        Some(-1) => Ok(None),
        Some(limit) if (0..=MAX_QUOTA).contains(&limit.unsigned_abs()) && limit >= 0 => Ok(Some(limit.unsigned_abs())),
        _ => Err(Invalid::new("must be -1, which counts it for the user, 0 for no limit, or a limit")),
    };
    // a client that names none wants no limit
    let bytes = fields.take("quota_size", quota).unwrap_or(Some(0));
    let files = fields.take("quota_files", quota).unwrap_or(Some(0));
    let quota = match (bytes, files) {
        (Some(bytes), Some(files)) => Some(Quota { bytes, files }),
        (None, None) => None,
        _ => {
            fields.problem("quota_size", "and quota_files must both be -1, or none of them");
            None
        }
    };
    fields.rest();
    Some(Mounted { name: name?, at: at?, quota })
}
