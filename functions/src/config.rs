//! The settings of the functions, read in one place. An error names the variable.

use crate::files::Door;
use app::bootstrap::{BootstrapRequest, Passwords};
use app::signing::{SigningError, SigningKeys};
use app::tickets::{SecretTooShort, Tickets};
use domain::admin::AdminName;
use domain::credential::UserName;
use domain::webhook::address::AddressPolicy;
use domain::webhook::check_email;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;
use store::aws::{Aws, AwsSettings, AwsSettingsError};
use store::mail::MailSettings;
use store::seal::{Sealer, SealerError};
use zeroize::Zeroizing;

/// `TOWPATH_RESUME_HOURS` and `TOWPATH_LEASE_SECONDS`, where they are not set.
const RESUME_HOURS: u64 = 24;
const LEASE_SECONDS: u64 = 180;

/// Why a function does not start.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A variable that must be set is not.
    #[error("{0} must be set")]
    Missing(&'static str),
    /// A variable has a value that cannot be used.
    #[error("{0} must be {1}")]
    Invalid(&'static str, &'static str),
    /// The AWS settings contradict each other.
    #[error(transparent)]
    Aws(#[from] AwsSettingsError),
    /// The signing passphrases or the API's address cannot be used.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// The secret of tickets cannot be used.
    #[error(transparent)]
    Tickets(#[from] SecretTooShort),
    /// The sealing secret cannot be used.
    #[error(transparent)]
    Sealer(#[from] SealerError),
}

/// The settings of the management and webhook functions. No Debug output: it holds secrets.
pub struct Config {
    /// `AWS_…`, `TOWPATH_TABLE`, `TOWPATH_BUCKET`, `TOWPATH_EVENTS_QUEUE_URL`.
    pub aws: AwsSettings,
    /// From `TOWPATH_SEALING_SECRET`.
    pub sealer: Sealer,
    signing: Signing,
    door: DoorSettings,
    /// `TOWPATH_SHARE_URL`.
    share: Option<String>,
    /// `TOWPATH_SFTP_HOST`: what clients connect to, shown in answers.
    pub sftp_host: String,
    /// `TOWPATH_SFTP_PORT`, 22 by default.
    pub sftp_port: u16,
    resume: Duration,
    lease: Duration,
    /// `TOWPATH_EVENT_BUS`: the name or ARN of a bus that is to have all events.
    pub event_bus: Option<String>,
    first: FirstSettings,
    /// `TOWPATH_WEBHOOK_LOOPBACK=1` allows http targets on loopback; only with an offline endpoint.
    pub address_policy: AddressPolicy,
}

/// `TOWPATH_SIGNING_PASSPHRASE`, `TOWPATH_SIGNING_PASSPHRASE_PREVIOUS` and `TOWPATH_API_URL`, which only functions that sign or
/// read tokens need.
struct Signing {
    passphrase: Option<Zeroizing<String>>,
    previous: Option<Zeroizing<String>>,
    api: Option<String>,
}

/// `TOWPATH_HTTPS_URL`, `TOWPATH_TICKET_SECRET` and `TOWPATH_DOWNLOADS`, which only the function for files needs.
struct DoorSettings {
    url: Option<String>,
    secret: Option<Zeroizing<String>>,
    downloads: Option<String>,
}

/// `TOWPATH_FIRST_…`, which only the function for the first accounts needs.
struct FirstSettings {
    names: [Option<String>; 4],
    passwords: [Option<Zeroizing<String>>; 3],
}

/// The names of the first organization, its root credential and its admin, and of the operator's admin.
const FIRST_NAMES: [&str; 4] =
    ["TOWPATH_FIRST_ORGANIZATION", "TOWPATH_FIRST_USER", "TOWPATH_FIRST_ADMIN", "TOWPATH_FIRST_OPERATOR"];
/// The passwords of the last three.
const FIRST_PASSWORDS: [&str; 3] =
    ["TOWPATH_FIRST_USER_PASSWORD", "TOWPATH_FIRST_ADMIN_PASSWORD", "TOWPATH_FIRST_OPERATOR_PASSWORD"];

impl Config {
    /// From the environment of the process.
    #[expect(clippy::disallowed_methods, reason = "this is the one place of these binaries that reads settings")]
    pub fn from_environment() -> Result<Self, ConfigError> {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    /// From any source of variables.
    pub fn from_lookup(lookup: impl Fn(&'static str) -> Option<String>) -> Result<Self, ConfigError> {
        let optional = |name| lookup(name).filter(|value| !value.is_empty());
        let required = |name| optional(name).ok_or(ConfigError::Missing(name));
        let endpoint = optional("AWS_ENDPOINT_URL");
        // online the SDK finds the role's credentials itself, which come with a session token
        let static_credentials = if endpoint.is_some() {
            optional("AWS_ACCESS_KEY_ID").zip(optional("AWS_SECRET_ACCESS_KEY"))
        } else {
            None
        };
        let sftp_port = match optional("TOWPATH_SFTP_PORT") {
            None => 22,
            Some(text) => text.parse().map_err(|_| ConfigError::Invalid("TOWPATH_SFTP_PORT", "a port number"))?,
        };
        let number = |name, default, limits: RangeInclusive<u64>, what| match optional(name) {
            None => Ok(default),
            Some(text) => text.parse().ok().filter(|it| limits.contains(it)).ok_or(ConfigError::Invalid(name, what)),
        };
        let hours = number("TOWPATH_RESUME_HOURS", RESUME_HOURS, 0..=8760, "a whole number of hours, at most 8760")?;
        let lease = number("TOWPATH_LEASE_SECONDS", LEASE_SECONDS, 10..=3600, "a number of seconds from 10 to 3600")?;
        let loopback = optional("TOWPATH_WEBHOOK_LOOPBACK").is_some_and(|value| value == "1");
        if loopback && endpoint.is_none() {
            return Err(ConfigError::Invalid("TOWPATH_WEBHOOK_LOOPBACK", "unset unless AWS_ENDPOINT_URL is set"));
        }
        let mail = MailSettings {
            from: optional("TOWPATH_MAIL_FROM"),
            folder: optional("TOWPATH_MAIL_FOLDER").map(PathBuf::from),
        };
        if mail.from.as_deref().is_some_and(|from| check_email(from).is_err()) {
            return Err(ConfigError::Invalid("TOWPATH_MAIL_FROM", "an address, as towpath@example.com"));
        }
        if mail.folder.is_some() && endpoint.is_none() {
            return Err(ConfigError::Invalid("TOWPATH_MAIL_FOLDER", "unset unless AWS_ENDPOINT_URL is set"));
        }
        Ok(Self {
            sealer: Sealer::new(&required("TOWPATH_SEALING_SECRET")?)?,
            signing: Signing {
                passphrase: optional("TOWPATH_SIGNING_PASSPHRASE").map(Zeroizing::new),
                previous: optional("TOWPATH_SIGNING_PASSPHRASE_PREVIOUS").map(Zeroizing::new),
                api: optional("TOWPATH_API_URL"),
            },
            door: DoorSettings {
                url: optional("TOWPATH_HTTPS_URL"),
                secret: optional("TOWPATH_TICKET_SECRET").map(Zeroizing::new),
                downloads: optional("TOWPATH_DOWNLOADS"),
            },
            share: optional("TOWPATH_SHARE_URL"),
            resume: Duration::from_secs(hours * 3600),
            lease: Duration::from_secs(lease),
            event_bus: optional("TOWPATH_EVENT_BUS"),
            first: FirstSettings {
                names: FIRST_NAMES.map(optional),
                passwords: FIRST_PASSWORDS.map(|name| optional(name).map(Zeroizing::new)),
            },
            sftp_host: required("TOWPATH_SFTP_HOST")?,
            sftp_port,
            address_policy: if loopback { AddressPolicy::PublicAndLoopback } else { AddressPolicy::PublicOnly },
            aws: AwsSettings {
                endpoint,
                region: optional("AWS_REGION"),
                static_credentials,
                bucket: optional("TOWPATH_BUCKET").unwrap_or_default(),
                bucket_owner: optional("TOWPATH_BUCKET_OWNER"),
                table: required("TOWPATH_TABLE")?,
                events_queue_url: required("TOWPATH_EVENTS_QUEUE_URL")?,
                slow_events_queue_url: optional("TOWPATH_SLOW_EVENTS_QUEUE_URL").unwrap_or_default(),
                jobs_queue_url: optional("TOWPATH_JOBS_QUEUE_URL").unwrap_or_default(),
                mail,
            },
        })
    }

    /// The keys of tokens.
    pub fn signing(&self) -> Result<SigningKeys, ConfigError> {
        let Signing { passphrase, previous, api } = &self.signing;
        let passphrase = passphrase.as_ref().ok_or(ConfigError::Missing("TOWPATH_SIGNING_PASSPHRASE"))?;
        let api = api.as_ref().ok_or(ConfigError::Missing("TOWPATH_API_URL"))?;
        Ok(SigningKeys::new(passphrase, previous.as_ref().map(|previous| previous.as_str()), api)?)
    }

    /// What the addresses of share links begin with, without a slash at the end: `TOWPATH_SHARE_URL`, or the API's.
    pub fn share_base(&self) -> Result<String, ConfigError> {
        let base = self.share.as_ref().or(self.signing.api.as_ref()).ok_or(ConfigError::Missing("TOWPATH_API_URL"))?;
        let base = base.trim_end_matches('/');
        let authority = base.strip_prefix("https://").or_else(|| base.strip_prefix("http://"));
        if !authority.is_some_and(|host| !host.is_empty() && !host.contains(['/', '?', '#', '@', ' '])) {
            return Err(ConfigError::Invalid(
                "TOWPATH_SHARE_URL",
                "an address without a path, as https://share.example.com",
            ));
        }
        Ok(base.to_owned())
    }

    /// Where jobs are asked for and worked on.
    pub fn jobs_queue(&self) -> Result<&str, ConfigError> {
        let url = self.aws.jobs_queue_url.as_str();
        if url.is_empty() { Err(ConfigError::Missing("TOWPATH_JOBS_QUEUE_URL")) } else { Ok(url) }
    }

    /// The accounts that a new deployment begins with.
    pub fn first_accounts(&self) -> Result<BootstrapRequest, ConfigError> {
        let FirstSettings { names, passwords } = &self.first;
        let [organization, user, admin, operator] = names.each_ref().map(Option::as_deref);
        let [of_user, of_admin, of_operator] = FIRST_PASSWORDS;
        let [user_password, admin_password, operator_password] = passwords.clone();
        let name = "10 to 100 letters, digits, underscores, hyphens or periods";
        let admin_name = "the name of an admin";
        let user = UserName::parse(user.unwrap_or("root-credential"));
        let parsed = |text: &str| AdminName::parse(text);
        Ok(BootstrapRequest {
            organization: organization.unwrap_or("Main").to_owned(),
            user: user.map_err(|_| ConfigError::Invalid("TOWPATH_FIRST_USER", name))?,
            admin: parsed(admin.unwrap_or("admin"))
                .map_err(|_| ConfigError::Invalid("TOWPATH_FIRST_ADMIN", admin_name))?,
            operator: parsed(operator.unwrap_or("operator"))
                .map_err(|_| ConfigError::Invalid("TOWPATH_FIRST_OPERATOR", admin_name))?,
            passwords: Some(Passwords {
                user: user_password.ok_or(ConfigError::Missing(of_user))?,
                admin: admin_password.ok_or(ConfigError::Missing(of_admin))?,
                operator: operator_password.ok_or(ConfigError::Missing(of_operator))?,
            }),
            keep_secrets: false,
        })
    }

    /// How long interrupted uploads are kept for who goes on: `TOWPATH_RESUME_HOURS`, as the nodes have it.
    pub fn resume(&self) -> Duration {
        self.resume
    }

    /// How long an operation that gives no sign of life is left alone: `TOWPATH_LEASE_SECONDS`, as the nodes have it.
    pub fn lease(&self) -> Duration {
        self.lease
    }

    /// The HTTPS door of nodes, if there is one.
    pub fn door(&self) -> Result<Option<Door>, ConfigError> {
        let DoorSettings { url, secret, downloads } = &self.door;
        let downloads = match downloads.as_deref() {
            None | Some("s3") => false,
            Some("node") => true,
            Some(_) => return Err(ConfigError::Invalid("TOWPATH_DOWNLOADS", "s3 or node")),
        };
        let Some(url) = url else {
            if downloads {
                return Err(ConfigError::Missing("TOWPATH_HTTPS_URL"));
            }
            return Ok(None);
        };
        let url = url.trim_end_matches('/');
        if !url.starts_with("https://") {
            return Err(ConfigError::Invalid("TOWPATH_HTTPS_URL", "an https:// address"));
        }
        let secret = secret.as_ref().ok_or(ConfigError::Missing("TOWPATH_TICKET_SECRET"))?;
        Ok(Some(Door { url: url.into(), tickets: Tickets::new(secret)?, downloads }))
    }

    /// Connects the clients.
    pub async fn connect(&self) -> Result<Aws, ConfigError> {
        Ok(Aws::connect(self.aws.clone()).await?)
    }
}

/// JSON lines on standard output, as Lambda collects them. `RUST_LOG` chooses what; `info` by default.
pub fn start_logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt().json().with_env_filter(filter).without_time().init();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::from_lookup(|name| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn an_error_names_the_variable() {
        let mut pairs = vec![
            ("TOWPATH_SEALING_SECRET", "0123456789abcdef0123456789abcdef"),
            ("TOWPATH_SFTP_HOST", "sftp.example.com"),
            ("TOWPATH_TABLE", "towpath"),
            ("TOWPATH_EVENTS_QUEUE_URL", "http://127.0.0.1:1/0/q"),
        ];
        assert!(config(&pairs).is_ok_and(|config| config.sftp_port == 22));
        for (at, (name, _)) in pairs.iter().enumerate() {
            let mut without = pairs.clone();
            without.remove(at);
            assert!(config(&without).is_err_and(|error| error.to_string().contains(name)), "{name}");
        }
        let unsigned = |pairs: &[(&str, &str)]| config(pairs).unwrap_or_else(|error| panic!("{error}")).signing().err();
        assert!(unsigned(&pairs).is_some_and(|error| error.to_string().contains("TOWPATH_SIGNING_PASSPHRASE")));
        pairs.push(("TOWPATH_SIGNING_PASSPHRASE", "0123456789abcdef0123456789abcdef"));
        assert!(unsigned(&pairs).is_some_and(|error| error.to_string().contains("TOWPATH_API_URL")));
        pairs.push(("TOWPATH_API_URL", "https://api.example.com"));
        assert!(unsigned(&pairs).is_none());
        for (name, wrong) in [("TOWPATH_RESUME_HOURS", "8761"), ("TOWPATH_LEASE_SECONDS", "9")] {
            let wrong = [pairs.clone(), vec![(name, wrong)]].concat();
            assert!(config(&wrong).is_err_and(|error| error.to_string().starts_with(name)), "{name}");
        }
        for (name, wrong) in [("TOWPATH_MAIL_FROM", "nobody"), ("TOWPATH_MAIL_FOLDER", "/tmp/mail")] {
            let wrong = [pairs.clone(), vec![(name, wrong)]].concat();
            assert!(config(&wrong).is_err_and(|error| error.to_string().starts_with(name)), "{name}");
        }
        pairs.push(("TOWPATH_WEBHOOK_LOOPBACK", "1"));
        assert!(config(&pairs).is_err_and(|error| error.to_string().contains("TOWPATH_WEBHOOK_LOOPBACK")));
        pairs.push(("TOWPATH_SFTP_PORT", "x"));
        assert!(config(&pairs).is_err_and(|error| error.to_string().contains("TOWPATH_SFTP_PORT")));
    }
}
