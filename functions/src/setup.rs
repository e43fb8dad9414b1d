//! The first accounts of a deployment, as a custom resource of its template: CloudFormation calls this function when it makes,
//! changes or deletes the resource, and waits until it is answered at an address of its own.
//!
//! Passwords come from Secrets Manager, where the template has them made; so none is ever in an answer or an output. A second call
//! finds the accounts and changes nothing; deleting the resource deletes nothing, as the table is kept, too.
//!
//! Source: AWS CloudFormation User Guide, "Custom resource request and response reference".

use crate::config::{Config, ConfigError};
use app::bootstrap::{BootstrapRequest, Bootstrapped, bootstrap};
use app::management::{FieldProblem, ManagementError};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use store::aws::Aws;
use store::records::Records;

/// How long the answer may take, and how often it is tried: CloudFormation waits an hour for one that does not come.
const ANSWERING: Duration = Duration::from_secs(10);
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(500);

/// What the function needs. Cheap to clone.
#[derive(Clone)]
pub struct Setup {
    records: Records,
    request: Arc<BootstrapRequest>,
    client: reqwest::Client,
    /// Whether the answer may go to loopback by http: offline.
    offline: bool,
}

/// Why a call is an error of the function, after which Lambda tries again.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Not what CloudFormation sends.
    #[error("this event is not of a custom resource: {0}")]
    UnknownEvent(String),
    /// CloudFormation was not told.
    #[error("CloudFormation could not be answered: {0}")]
    Unanswered(String),
}

/// What CloudFormation asks.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Asked {
    request_type: Kind,
    #[serde(rename = "ResponseURL")]
    response_url: String,
    stack_id: String,
    request_id: String,
    logical_resource_id: String,
    physical_resource_id: Option<String>,
}

#[derive(Deserialize)]
enum Kind {
    Create,
    Update,
    Delete,
}

impl Setup {
    /// Over the table of the settings.
    pub fn build(config: &Config, aws: &Aws) -> Result<Self, ConfigError> {
        let request = Arc::new(config.first_accounts()?);
        let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        let client = client.timeout(ANSWERING).build();
        Ok(Self {
            records: Records::new(aws, config.sealer.clone()),
            request,
            client: client.map_err(|_| ConfigError::Invalid("TLS", "usable: the HTTP client could not be made"))?,
            offline: aws.settings.endpoint.is_some(),
        })
    }

    /// Does what CloudFormation asks, and tells it.
    pub async fn handle_event(&self, event: Value) -> Result<Value, SetupError> {
        let asked = Asked::deserialize(event).map_err(|error| SetupError::UnknownEvent(error.to_string()))?;
        let answer = match asked.request_type {
            Kind::Delete => asked.done(asked.physical_resource_id.clone().unwrap_or_default(), json!({})),
            Kind::Create | Kind::Update => match bootstrap(&self.records, &self.request).await {
                Ok(Bootstrapped { organization, created, .. }) => {
                    tracing::info!(%organization, created, "the first accounts are there");
                    asked.done(organization.to_string(), json!({ "OrganizationId": organization }))
                }
                Err(error) => {
                    tracing::error!(%error, "the first accounts could not be made");
                    asked.failed(&format!("the first accounts could not be made: {}", in_words(&error)))
                }
            },
        };
        self.tell(&asked.response_url, &answer).await?;
        Ok(answer)
    }

    async fn tell(&self, url: &str, answer: &Value) -> Result<(), SetupError> {
        if !url.starts_with("https://") && !self.offline {
            return Err(SetupError::Unanswered("its address is not https".to_owned()));
        }
        let body = answer.to_string();
        let mut problem = String::new();
        for attempt in 1..=TRIES {
            // signed for exactly this, without a content type
            match self.client.put(url).body(body.clone()).send().await {
                Ok(told) if told.status().is_success() => return Ok(()),
                Ok(told) => problem = format!("status {}", told.status()),
                Err(error) => problem = error.without_url().to_string(),
            }
            tracing::warn!(problem, attempt, "CloudFormation was not told yet");
            tokio::time::sleep(PAUSE * attempt).await;
        }
        Err(SetupError::Unanswered(problem))
    }
}

impl Asked {
    fn done(&self, physical: String, data: Value) -> Value {
        json!({ "Status": "SUCCESS", "PhysicalResourceId": if physical.is_empty() { self.own_id() } else { physical },
            "StackId": self.stack_id, "RequestId": self.request_id, "LogicalResourceId": self.logical_resource_id,
            "Data": data })
    }

    fn failed(&self, reason: &str) -> Value {
        let physical = self.physical_resource_id.clone().unwrap_or_else(|| self.own_id());
        json!({ "Status": "FAILED", "Reason": reason, "PhysicalResourceId": physical, "StackId": self.stack_id,
            "RequestId": self.request_id, "LogicalResourceId": self.logical_resource_id })
    }

    /// A name for what never came to be.
    fn own_id(&self) -> String {
        format!("{}-none", self.logical_resource_id)
    }
}

/// With every field that is wrong.
fn in_words(error: &ManagementError) -> String {
    match error {
        ManagementError::Invalid(problems) => {
            let problems: Vec<String> =
                problems.iter().map(|FieldProblem { field, problem }| format!("{field} {problem}")).collect();
            problems.join("; ")
        }
        error => error.to_string(),
    }
}
