//! SFTPGo's object of a credential.

use crate::sftpgo::kept;
use app::management::ShownUser;
use domain::admin::second_factor::CONFIG;
use domain::credential::State as Activity;
use domain::folder::Mounted;
use domain::inbound::Source;
use serde_json::{Map, Value, json};

pub(super) fn show(user: &ShownUser) -> Value {
    let credential = &user.credential;
    let restrictions = &credential.restrictions;
    let addresses = |list: &[Source]| list.iter().map(|source| json!(source.as_str())).collect::<Vec<_>>();
    let mut filters = kept::read(&credential.extra.kept_filters);
    let own_filters = json!({
        "allowed_ip": addresses(&restrictions.only_from),
        "denied_ip": addresses(&restrictions.never_from),
        "denied_login_methods": credential.denied_methods(),
        "denied_protocols": restrictions.doors,
        "web_client": restrictions.own_account,
        "allow_api_key_auth": credential.allow_api_key_auth,
        "totp_config": match &credential.second_factor {
            None => json!({ "enabled": false }),
            Some(_) => json!({ "enabled": true, "config_name": CONFIG, "protocols": ["HTTP"] }),
        },
    });
    kept::extend(&mut filters, own_filters);
    let permissions: Map<String, Value> = credential
        .permissions
        .rules()
        .iter()
        .map(|(folder, verbs)| (folder.to_string(), json!(verbs.names())))
        .collect();
    let mut shown = kept::read(&credential.extra.kept);
    for owner in ["uid", "gid"] {
        shown.entry(owner).or_insert_with(|| json!(0));
    }
    shown.entry("filesystem").or_insert_with(|| json!({ "provider": 0 }));
    let own = json!({
        "id": credential.number(),
        "status": i32::from(credential.state == Activity::Active),
        "username": credential.user_name,
        "email": credential.extra.email,
        "description": credential.alias.as_deref().unwrap_or_default(),
        "expiration_date": credential.expires_at.map_or(0, |at| at.millis()),
        "has_password": credential.password.is_some(),
        "public_keys": user.keys.iter().map(|key| key.body.as_str()).collect::<Vec<_>>(),
        "home_dir": credential.home,
        "virtual_folders": credential.folders.iter().map(|mounted| show_folder(user, mounted)).collect::<Vec<_>>(),
        "max_sessions": credential.max_sessions,
        "quota_size": credential.quota.bytes,
        "quota_files": credential.quota.files,
        "permissions": permissions,
        "used_quota_size": user.usage.bytes,
        "used_quota_files": user.usage.files,
        "upload_bandwidth": credential.bandwidth.upload_kilobytes,
        "download_bandwidth": credential.bandwidth.download_kilobytes,
        "created_at": credential.created_at,
        "updated_at": credential.updated_at,
        "last_password_change": credential.password.as_ref().map_or(0, |password| password.set_at.millis()),
        "filters": filters,
        "additional_info": credential.extra.additional_info,
    });
    kept::extend(&mut shown, own);
    Value::Object(shown)
}

fn show_folder(user: &ShownUser, mounted: &Mounted) -> Value {
    let folder = user.folders.iter().find(|folder| folder.name == mounted.name);
    let mut shown = folder.map(|folder| folder.extra.clone()).unwrap_or_default();
    let own = json!({
        "name": mounted.name,
        "virtual_path": mounted.at,
        // what is in it counts for who writes it, too, unless there is a limit for the folder
        "quota_size": mounted.quota.map_or(json!(-1), |quota| json!(quota.bytes)),
        "quota_files": mounted.quota.map_or(json!(-1), |quota| json!(quota.files)),
    });
    kept::extend(&mut shown, own);
    if let Some(folder) = folder {
        kept::extend(&mut shown, json!({ "mapped_path": folder.tree, "description": folder.description }));
    }
    Value::Object(shown)
}
