//! Starting and stopping all parts, in order.

use crate::certificate;
use crate::first_start::{self, Accounts};
use crate::part::{Part, PartError, Start};
use crate::roles::Role;
use crate::settings::Ports;
use crate::state_folder::{Secrets, StateFolder};
use std::error::Error;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;
use store::aws::AwsSettings;

const ACCESS_KEY: &str = "test";
const SECRET_KEY: &str = "test";
const REGION: &str = "us-east-1";
const BUCKET: &str = "towpath-files";
const TABLE: &str = "towpath";

/// The node finishes transfers for up to ten seconds, closes sessions, then cleans up, counts and announces.
const NODE_PATIENCE: Duration = Duration::from_secs(65);
const PATIENCE: Duration = Duration::from_secs(15);

/// Everything that runs, in the order of its start.
pub(crate) struct Parts(Vec<Part>);

/// What a user or a tool has to know.
pub(crate) struct Facts {
    /// Where the parts listen.
    pub(crate) ports: Ports,
    /// AWS as all parts see it.
    pub(crate) aws: AwsSettings,
    /// The first accounts.
    pub(crate) accounts: Accounts,
    /// The node's host keys, as in `known_hosts`.
    pub(crate) host_keys: Vec<String>,
    /// What clients of FTPS trust.
    pub(crate) ftps_authority: PathBuf,
    /// The folder that mail goes to.
    pub(crate) mail: PathBuf,
}

impl Parts {
    /// Starts everything.
    pub(crate) async fn start(
        folder: &StateFolder,
        ports: Ports,
        new_signing_key: bool,
    ) -> Result<(Self, Facts), Box<dyn Error>> {
        ports_are_free(ports)?;
        let secrets = folder.secrets(new_signing_key)?;
        let node = node_program()?;
        let certificate = certificate::files(folder)?;
        let program = std::env::current_exe()?;
        let mut parts = Self(Vec::new());
        let variables = vec![
            ("TOWPATH_DEV_LISTEN".to_owned(), format!("127.0.0.1:{}", ports.aws)),
            ("TOWPATH_DEV_FOLDER".to_owned(), folder.join("aws").display().to_string()),
            ("TOWPATH_API_URL".to_owned(), format!("http://127.0.0.1:{}", ports.api)),
        ];
        parts.add(folder, Role::OfflineAws.name(), program.clone(), Some(Role::OfflineAws), &variables).await?;
        let (aws, accounts) = first_start::prepare(aws_settings(ports), &secrets).await?;
        let mut variables = variables_for(&aws, &secrets, ports, &certificate);
        let mail = folder.join("mail");
        variables.push(("TOWPATH_MAIL_FOLDER".to_owned(), mail.display().to_string()));
        parts.add(folder, Role::Functions.name(), program, Some(Role::Functions), &variables).await?;
        parts.add(folder, "protocol-node", node, None, &variables).await?;
        let host_keys = protocol_node::host_keys(secrets.host_key.as_bytes())?.public_lines();
        Ok((parts, Facts { ports, aws, accounts, host_keys, ftps_authority: certificate.authority, mail }))
    }

    async fn add(
        &mut self,
        folder: &StateFolder,
        name: &'static str,
        program: PathBuf,
        role: Option<Role>,
        variables: &[(String, String)],
    ) -> Result<(), PartError> {
        let arguments = role.map(|role| role.name().into()).into_iter().collect();
        let part = Part::start(folder, Start { name, program, arguments, variables }).await?;
        // tests that kill a part find it here
        let id = part.id().map(|id| id.to_string()).unwrap_or_default();
        folder.write_private(&format!("{name}.pid"), &id)?;
        self.0.push(part);
        Ok(())
    }

    /// Waits until one of them ends by itself.
    pub(crate) async fn unexpected_end(&mut self) -> PartError {
        let ends = self.0.iter_mut().map(|part| Box::pin(part.unexpected_end()));
        futures_util::future::select_all(ends).await.0
    }

    /// Stops the doors first and what they stand on last.
    pub(crate) async fn stop(mut self) {
        while let Some(part) = self.0.pop() {
            let patience = if part.name() == "protocol-node" { NODE_PATIENCE } else { PATIENCE };
            part.stop(patience).await;
        }
    }
}

fn ports_are_free(ports: Ports) -> Result<(), String> {
    for (part, port) in ports.all() {
        // bound and let go: the part will bind it in a moment
        if let Err(error) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            return Err(format!(
                "port {port}, for the {part}, cannot be used ({error}); choose other ports with --port-base or TOWPATH_PORT_BASE"
            ));
        }
    }
    Ok(())
}

/// The node's program, which lies beside this one.
fn node_program() -> Result<PathBuf, Box<dyn Error>> {
    let program = std::env::current_exe()?.with_file_name("protocol-node");
    if program.is_file() {
        return Ok(program);
    }
    Err(format!("{} is not built; `make dev` builds it", program.display()).into())
}

fn aws_settings(ports: Ports) -> AwsSettings {
    AwsSettings {
        endpoint: Some(format!("http://127.0.0.1:{}", ports.aws)),
        region: Some(REGION.to_owned()),
        static_credentials: Some((ACCESS_KEY.to_owned(), SECRET_KEY.to_owned())),
        bucket: BUCKET.to_owned(),
        bucket_owner: Some("000000000000".to_owned()),
        table: TABLE.to_owned(),
        ..AwsSettings::default()
    }
}

/// The settings of functions and node: the same variables as in production.
fn variables_for(
    aws: &AwsSettings,
    secrets: &Secrets,
    ports: Ports,
    certificate: &certificate::Files,
) -> Vec<(String, String)> {
    let (first, last) = ports.ftps_passive;
    let pairs = [
        ("AWS_ENDPOINT_URL", aws.endpoint.clone().unwrap_or_default()),
        ("AWS_REGION", REGION.to_owned()),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", SECRET_KEY.to_owned()),
        ("TOWPATH_BUCKET", aws.bucket.clone()),
        ("TOWPATH_BUCKET_OWNER", aws.bucket_owner.clone().unwrap_or_default()),
        ("TOWPATH_TABLE", aws.table.clone()),
        ("TOWPATH_EVENTS_QUEUE_URL", aws.events_queue_url.clone()),
        ("TOWPATH_SLOW_EVENTS_QUEUE_URL", aws.slow_events_queue_url.clone()),
        ("TOWPATH_JOBS_QUEUE_URL", aws.jobs_queue_url.clone()),
        ("TOWPATH_SEALING_SECRET", secrets.sealing.clone()),
        ("TOWPATH_HOST_KEY_SECRET", secrets.host_key.clone()),
        ("TOWPATH_SIGNING_PASSPHRASE", secrets.signing.clone()),
        ("TOWPATH_API_URL", format!("http://127.0.0.1:{}", ports.api)),
        ("TOWPATH_SFTP_LISTEN", format!("127.0.0.1:{}", ports.sftp)),
        ("TOWPATH_METRICS_LISTEN", format!("127.0.0.1:{}", ports.metrics)),
        ("TOWPATH_FTPS_LISTEN", format!("127.0.0.1:{}", ports.ftps)),
        ("TOWPATH_FTPS_IMPLICIT_LISTEN", format!("127.0.0.1:{}", ports.ftps_implicit)),
        ("TOWPATH_FTPS_PASSIVE_PORTS", format!("{first}-{last}")),
        ("TOWPATH_FTPS_CERTIFICATE_FILE", certificate.certificate.display().to_string()),
        ("TOWPATH_FTPS_KEY_FILE", certificate.key.display().to_string()),
        ("TOWPATH_HTTPS_LISTEN", format!("127.0.0.1:{}", ports.https)),
        ("TOWPATH_HTTPS_CERTIFICATE_FILE", certificate.certificate.display().to_string()),
        ("TOWPATH_HTTPS_KEY_FILE", certificate.key.display().to_string()),
        ("TOWPATH_HTTPS_URL", ports.https_url()),
        ("TOWPATH_TICKET_SECRET", secrets.tickets.clone()),
        ("TOWPATH_SFTP_HOST", "127.0.0.1".to_owned()),
        ("TOWPATH_SFTP_PORT", ports.sftp.to_string()),
        ("TOWPATH_API_LISTEN", format!("127.0.0.1:{}", ports.api)),
        ("TOWPATH_WEBHOOK_LOOPBACK", "1".to_owned()),
        ("TOWPATH_DRAIN_SECONDS", "10".to_owned()),
        ("TOWPATH_LOG_FORMAT", "text".to_owned()),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
