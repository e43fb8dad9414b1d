//! The first start of a deployment: the operator, an organization, its admin, its root credential and a site-wide API
//! key, all in one transaction. A second call finds them and creates nothing.

use crate::management::{ManagementError, seal_password};
use domain::access::{Level, Permissions as FilePermissions};
use domain::admin::{Admin, AdminName, Permission, Permissions};
use domain::api_key::{ApiKey, KeyKind, KeyText, Scopes};
use domain::credential::{Credential, State, StoredPassword, UserName};
use domain::id::{CredentialId, OrganizationId, uuid_text};
use domain::inbound::allow_all;
use domain::organization::Organization;
use domain::password::{self, PasswordPolicy};
use domain::path::VPath;
use domain::time::Timestamp;
use store::clock::{now, random};
use store::records::{Bootstrap, BootstrapRecord, RecordError, Records};
use store::seal::Place;
use zeroize::Zeroizing;

/// What is created.
pub struct BootstrapRequest {
    /// The organization's name.
    pub organization: String,
    /// The root credential's user name.
    pub user: UserName,
    /// The name of the organization's admin.
    pub admin: AdminName,
    /// The name of the operator's admin.
    pub operator: AdminName,
    /// Their passwords, if somebody else has made and keeps them; then there is no API key, which nobody could read.
    pub passwords: Option<Passwords>,
    /// Whether the secrets are kept, sealed, so that every later call answers them too. For development.
    pub keep_secrets: bool,
}

/// Passwords of the first accounts. No Debug output.
#[derive(Clone)]
pub struct Passwords {
    /// The root credential's.
    pub user: Zeroizing<String>,
    /// The admin's.
    pub admin: Zeroizing<String>,
    /// The operator's.
    pub operator: Zeroizing<String>,
}

impl Passwords {
    fn generate(policy: &PasswordPolicy) -> Self {
        let generate = || password::generate(policy, &random());
        Self { user: generate(), admin: generate(), operator: generate() }
    }

    /// Whether the policy of a new organization takes them.
    fn check(&self, policy: &PasswordPolicy) -> Result<(), ManagementError> {
        for (whose, password) in [("user", &self.user), ("admin", &self.admin), ("operator", &self.operator)] {
            let of_whom = |problem| ManagementError::field(format!("the password of the {whose}"), &problem);
            policy.check(password).map_err(of_whom)?;
        }
        Ok(())
    }
}

/// The secrets. No Debug output.
#[derive(Clone)]
pub struct Secrets {
    /// The root credential's user name.
    pub user: String,
    /// Its password.
    pub password: Zeroizing<String>,
    /// The organization's admin.
    pub admin: String,
    /// Its password.
    pub admin_password: Zeroizing<String>,
    /// The operator's admin.
    pub operator: String,
    /// Its password.
    pub operator_password: Zeroizing<String>,
    /// The site-wide API key.
    pub api_key: Zeroizing<String>,
}

/// What is there now.
pub struct Bootstrapped {
    /// The first tenant.
    pub organization: OrganizationId,
    /// Its root credential.
    pub credential: CredentialId,
    /// Whether this call created it.
    pub created: bool,
    /// The secrets that this call has made, or kept ones.
    pub secrets: Option<Secrets>,
}

impl Secrets {
    /// The kept form: a list, whose order is its format.
    fn to_text(&self) -> Result<Zeroizing<String>, serde_json::Error> {
        let list: [&str; 7] = [
            &self.user,
            &self.password,
            &self.admin,
            &self.admin_password,
            &self.operator,
            &self.operator_password,
            &self.api_key,
        ];
        serde_json::to_string(&list).map(Zeroizing::new)
    }

    fn from_text(text: &str) -> Result<Self, serde_json::Error> {
        let list: [String; 7] = serde_json::from_str(text)?;
        let [user, password, admin, admin_password, operator, operator_password, api_key] = list;
        Ok(Self {
            user,
            password: Zeroizing::new(password),
            admin,
            admin_password: Zeroizing::new(admin_password),
            operator,
            operator_password: Zeroizing::new(operator_password),
            api_key: Zeroizing::new(api_key),
        })
    }
}

const SECRETS_FIELD: &str = "secrets";

/// Creates what a new deployment needs, or finds it.
pub async fn bootstrap(records: &Records, request: &BootstrapRequest) -> Result<Bootstrapped, ManagementError> {
    if let Some(found) = find(records).await? {
        return Ok(found);
    }
    match create(records, request).await {
        // somebody else was first
        Err(ManagementError::Conflict(message)) => find(records).await?.ok_or(ManagementError::Conflict(message)),
        other => other,
    }
}

async fn find(records: &Records) -> Result<Option<Bootstrapped>, ManagementError> {
    let Some(record) = records.bootstrap_record().await? else {
        return Ok(None);
    };
    let open = |sealed| -> Result<Secrets, ManagementError> {
        let place = secrets_place(&record.organization);
        let text = records.sealer().open(place, sealed).map_err(ManagementError::internal)?;
        Secrets::from_text(&text).map_err(ManagementError::internal)
    };
    let secrets = record.secrets.as_ref().map(open).transpose()?;
    Ok(Some(Bootstrapped { organization: record.organization, credential: record.credential, created: false, secrets }))
}

fn secrets_place(organization: &OrganizationId) -> Place<'_> {
    Place { organization: organization.as_str(), record: "bootstrap", field: SECRETS_FIELD }
}

async fn create(records: &Records, request: &BootstrapRequest) -> Result<Bootstrapped, ManagementError> {
    let at = now();
    let mut tenant = organization(&request.organization, at);
    let operator = organization("operator", at);
    let passwords = match &request.passwords {
        Some(given) => given.clone(),
        None => Passwords::generate(&tenant.password_policy),
    };
    passwords.check(&tenant.password_policy)?;
    let Passwords { user, admin: of_admin, operator: of_operator } = passwords.clone();
    let hashes = [user, of_admin, of_operator];
    let hashes = tokio::task::spawn_blocking(move || hashes.map(|password| password::hash(&password, &random())));
    let [hash, admin_hash, operator_hash] = hashes.await.map_err(ManagementError::internal)?;

    let credential =
        root_credential(records, &tenant, request, &passwords.user, hash.map_err(ManagementError::internal)?)?;
    let admins = [
        admin(&request.admin, &tenant, admin_hash.map_err(ManagementError::internal)?),
        admin(&request.operator, &operator, operator_hash.map_err(ManagementError::internal)?),
    ];
    tenant.root_credential = Some(credential.id.clone());
    let key = request.passwords.is_none().then(|| KeyText::generate(&random()));
    let api_key = key.as_ref().map(|key| (site_key(&tenant, key, at), key.hash()));
    let secrets = key.map(|key| Secrets {
        user: request.user.to_string(),
        password: passwords.user,
        admin: request.admin.to_string(),
        admin_password: passwords.admin,
        operator: request.operator.to_string(),
        operator_password: passwords.operator,
        api_key: Zeroizing::new(key.reveal().to_owned()),
    });
    let sealed = match &secrets {
        Some(secrets) if request.keep_secrets => {
            let text = secrets.to_text().map_err(ManagementError::internal)?;
            let sealed = records.sealer().seal(secrets_place(&tenant.id), &text);
            Some(sealed.map_err(ManagementError::internal)?)
        }
        _ => None,
    };
    let record = BootstrapRecord {
        operator: operator.id.clone(),
        organization: tenant.id.clone(),
        credential: credential.id.clone(),
        api_key: api_key.as_ref().map(|(key, _)| key.id.clone()),
        secrets: sealed,
        created_at: at,
    };
    let all = Bootstrap {
        record: &record,
        organizations: [&operator, &tenant],
        admins: [&admins[0], &admins[1]],
        credential: &credential,
        api_key: api_key.as_ref().map(|(key, hash)| (key, hash.clone())),
    };
    records.create_bootstrap(all).await.map_err(|error: RecordError| ManagementError::from(error))?;
    Ok(Bootstrapped { organization: tenant.id, credential: credential.id, created: true, secrets })
}

fn organization(name: &str, at: Timestamp) -> Organization {
    let rules = allow_all([uuid_text(random()), uuid_text(random())]);
    Organization::new(OrganizationId::from_random(random()), name.to_owned(), rules, at)
}

fn root_credential(
    records: &Records,
    tenant: &Organization,
    request: &BootstrapRequest,
    password: &Zeroizing<String>,
    hash: String,
) -> Result<Credential, ManagementError> {
    let id = CredentialId::from_random(random());
    let at = tenant.created_at;
    let mut credential = Credential::new(id, tenant.id.clone(), request.user.clone(), at);
    let readable = seal_password(records.sealer(), &tenant.id, &credential.id, password)?;
    credential.password = Some(StoredPassword { hash, set_at: at, readable: Some(readable) });
    credential.alias = Some("Root".to_owned());
    credential.home = VPath::root();
    credential.is_default = true;
    if let Some(full) = FilePermissions::from_level(Level::Full) {
        credential.permissions = full;
    }
    Ok(credential)
}

fn admin(name: &AdminName, organization: &Organization, password_hash: String) -> Admin {
    let permissions = Permissions::of([Permission::Everything]);
    Admin::new(name.clone(), organization.id.clone(), password_hash, permissions, organization.created_at)
}

fn site_key(tenant: &Organization, key: &KeyText, at: Timestamp) -> ApiKey {
    ApiKey {
        id: key.id().clone(),
        organization: tenant.id.clone(),
        name: "first key".to_owned(),
        description: String::new(),
        prefix: key.prefix(),
        kind: KeyKind::Site,
        scope: 1,
        owner: None,
        permissions: Scopes::everything(),
        allowed_ips: Vec::new(),
        state: State::Active,
        expires_at: None,
        created_at: at,
        updated_at: at,
    }
}
