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
use domain::password;
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
    /// Whether the secrets are kept, sealed, so that every later call answers them too. For development: in production
    /// they are answered once.
    pub keep_secrets: bool,
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
    /// The secrets: of this call, or kept ones.
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
    let generate = || password::generate(&tenant.password_policy, &random());
    let key = KeyText::generate(&random());
    let secrets = Secrets {
        user: request.user.to_string(),
        password: generate(),
        admin: request.admin.to_string(),
        admin_password: generate(),
        operator: request.operator.to_string(),
        operator_password: generate(),
        api_key: Zeroizing::new(key.reveal().to_owned()),
    };
    let passwords = [&secrets.password, &secrets.admin_password, &secrets.operator_password].map(Clone::clone);
    let hashes = tokio::task::spawn_blocking(move || passwords.map(|password| password::hash(&password, &random())));
    let [hash, admin_hash, operator_hash] = hashes.await.map_err(ManagementError::internal)?;

    let credential = root_credential(records, &tenant, request, &secrets, hash.map_err(ManagementError::internal)?)?;
    let admins = [
        admin(&request.admin, &tenant, admin_hash.map_err(ManagementError::internal)?),
        admin(&request.operator, &operator, operator_hash.map_err(ManagementError::internal)?),
    ];
    tenant.root_credential = Some(credential.id.clone());
    let api_key = site_key(&tenant, &key, at);
    let sealed = if request.keep_secrets {
        let text = secrets.to_text().map_err(ManagementError::internal)?;
        let sealed = records.sealer().seal(secrets_place(&tenant.id), &text);
        Some(sealed.map_err(ManagementError::internal)?)
    } else {
        None
    };
    let record = BootstrapRecord {
        operator: operator.id.clone(),
        organization: tenant.id.clone(),
        credential: credential.id.clone(),
        api_key: api_key.id.clone(),
        secrets: sealed,
        created_at: at,
    };
    let all = Bootstrap {
        record: &record,
        organizations: [&operator, &tenant],
        admins: [&admins[0], &admins[1]],
        credential: &credential,
        api_key: (&api_key, key.hash()),
    };
    records.create_bootstrap(all).await.map_err(|error: RecordError| ManagementError::from(error))?;
    Ok(Bootstrapped { organization: tenant.id, credential: credential.id, created: true, secrets: Some(secrets) })
}

fn organization(name: &str, at: Timestamp) -> Organization {
    let rules = allow_all([uuid_text(random()), uuid_text(random())]);
    Organization::new(OrganizationId::from_random(random()), name.to_owned(), rules, at)
}

fn root_credential(
    records: &Records,
    tenant: &Organization,
    request: &BootstrapRequest,
    secrets: &Secrets,
    hash: String,
) -> Result<Credential, ManagementError> {
    let id = CredentialId::from_random(random());
    let at = tenant.created_at;
    let mut credential = Credential::new(id, tenant.id.clone(), request.user.clone(), at);
    let readable = seal_password(records.sealer(), &tenant.id, &credential.id, &secrets.password)?;
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
