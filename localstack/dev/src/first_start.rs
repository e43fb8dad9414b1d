//! What must be there before the parts can work: table, bucket, queues, and the first accounts.

use crate::state_folder::Secrets as StateSecrets;
use app::bootstrap::{BootstrapRequest, Secrets, bootstrap};
use domain::admin::AdminName;
use domain::credential::UserName;
use std::error::Error;
use store::aws::{Aws, AwsSettings};
use store::records::Records;
use store::resources::{make_bucket, make_queue};
use store::seal::Sealer;
use store::table::create_table;

/// The queue of events.
const EVENTS_QUEUE: &str = "towpath-events";
const SLOW_EVENTS_QUEUE: &str = "towpath-events-slow";
const JOBS_QUEUE: &str = "towpath-jobs";

/// The first accounts.
pub(crate) struct Accounts {
    /// The organization.
    pub(crate) organization: String,
    /// Names and secrets.
    pub(crate) secrets: Secrets,
}

/// Makes what is missing; answers the settings, now with the queue, and the accounts.
pub(crate) async fn prepare(
    mut settings: AwsSettings,
    secrets: &StateSecrets,
) -> Result<(AwsSettings, Accounts), Box<dyn Error>> {
    let aws = Aws::connect(settings.clone()).await?;
    make_bucket(&aws).await?;
    create_table(&aws.dynamodb, &settings.table).await?;
    settings.events_queue_url = make_queue(&aws, EVENTS_QUEUE).await?;
    settings.slow_events_queue_url = make_queue(&aws, SLOW_EVENTS_QUEUE).await?;
    settings.jobs_queue_url = make_queue(&aws, JOBS_QUEUE).await?;
    let aws = Aws::connect(settings.clone()).await?;
    let records = Records::new(&aws, Sealer::new(&secrets.sealing)?);
    let request = BootstrapRequest {
        organization: "Example".to_owned(),
        user: UserName::parse("example-root")?,
        admin: AdminName::parse("admin")?,
        operator: AdminName::parse("operator")?,
        passwords: None,
        keep_secrets: true,
    };
    let done = bootstrap(&records, &request).await?;
    let secrets = done.secrets.ok_or("the first accounts exist, but their secrets were not kept")?;
    Ok((settings, Accounts { organization: done.organization.to_string(), secrets }))
}
