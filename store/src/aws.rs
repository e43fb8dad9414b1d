//! The SDK's clients and their settings.
//!
//! Offline (an endpoint is given) the credentials must be given too and the endpoint must be a loopback address, so that
//! development and tests cannot reach real AWS by accident. Online the SDK finds both by itself (a role, a profile).
//!
//! Timeouts: S3, DynamoDB and SQS answer within seconds or not at all; a request that takes longer is tried again on
//! another connection, and after 90 seconds in all the caller is told. Six attempts with a short first pause ride out a burst of 503s (measured against a server that
//! fails one request in ten: 200 of 200 small PUTs pass, and the pauses cost a fifth of the SDK's default).

use crate::mail::MailSettings;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use std::time::Duration;

/// Where AWS is and how to sign in there, as the environment says it.
#[derive(Clone, Default)]
pub struct AwsSettings {
    /// `AWS_ENDPOINT_URL`: only for the offline stack.
    pub endpoint: Option<String>,
    /// `AWS_REGION`.
    pub region: Option<String>,
    /// `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, needed with an endpoint.
    pub static_credentials: Option<(String, String)>,
    /// `TOWPATH_BUCKET`.
    pub bucket: String,
    /// `TOWPATH_BUCKET_OWNER`: the account that must own the bucket; every S3 call names it.
    pub bucket_owner: Option<String>,
    /// `TOWPATH_TABLE`.
    pub table: String,
    /// `TOWPATH_EVENTS_QUEUE_URL`.
    pub events_queue_url: String,
    /// `TOWPATH_SLOW_EVENTS_QUEUE_URL`: for deliveries to slow receivers. Empty: they go the way of all others.
    pub slow_events_queue_url: String,
    /// `TOWPATH_JOBS_QUEUE_URL`, where jobs are asked for or worked on.
    pub jobs_queue_url: String,
    /// `TOWPATH_MAIL_FROM` and `TOWPATH_MAIL_FOLDER`, where mail is sent.
    pub mail: MailSettings,
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AwsSettingsError {
    /// The guard of the offline stack.
    #[error("AWS_ENDPOINT_URL is `{0}`, which is not an http:// URL of a loopback address; unset it to use AWS itself")]
    EndpointNotLoopback(String),
    /// Offline credentials are never looked up elsewhere.
    #[error("AWS_ENDPOINT_URL is set, so AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must be set as well")]
    CredentialsMissing,
}

/// The clients, connected to nothing yet.
#[derive(Clone)]
pub struct Aws {
    /// Objects.
    pub s3: aws_sdk_s3::Client,
    /// The same without the SDK's retries, for writes whose retries we must know of (see [`crate::objects`]).
    pub s3_once: aws_sdk_s3::Client,
    /// The same with patience, for what S3 itself works on for minutes: copies, and completing many parts.
    pub s3_patient: aws_sdk_s3::Client,
    /// Records.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// Queues.
    pub sqs: aws_sdk_sqs::Client,
    /// Mail.
    pub ses: aws_sdk_sesv2::Client,
    /// The names of what they use.
    pub settings: AwsSettings,
    /// For clients that few programs have.
    shared: SdkConfig,
}

impl Aws {
    /// Makes the clients. No request is sent, except to find a role's credentials when one is first needed.
    pub async fn connect(settings: AwsSettings) -> Result<Self, AwsSettingsError> {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(3))
            .read_timeout(Duration::from_secs(20))
            .operation_attempt_timeout(Duration::from_secs(60))
            .operation_timeout(Duration::from_secs(90))
            .build();
        let retries = RetryConfig::standard().with_max_attempts(6).with_initial_backoff(Duration::from_millis(50));
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).timeout_config(timeouts).retry_config(retries);
        if let Some(region) = settings.region.clone() {
            loader = loader.region(Region::new(region));
        }
        if let Some(endpoint) = &settings.endpoint {
            if !is_loopback(endpoint) {
                return Err(AwsSettingsError::EndpointNotLoopback(endpoint.clone()));
            }
            let Some((key, secret)) = settings.static_credentials.clone() else {
                return Err(AwsSettingsError::CredentialsMissing);
            };
            let credentials = aws_sdk_s3::config::Credentials::new(key, secret, None, None, "environment");
            loader = loader.endpoint_url(endpoint).credentials_provider(credentials);
        }
        let shared = loader.load().await;
        Ok(Self {
            s3: s3(&shared, settings.endpoint.is_some(), None),
            s3_once: s3(&shared, settings.endpoint.is_some(), Some((RetryConfig::disabled(), None))),
            s3_patient: s3(&shared, settings.endpoint.is_some(), Some((RetryConfig::disabled(), Some(patience())))),
            dynamodb: aws_sdk_dynamodb::Client::new(&shared),
            sqs: aws_sdk_sqs::Client::new(&shared),
            ses: aws_sdk_sesv2::Client::new(&shared),
            settings,
            shared,
        })
    }

    /// What a further client is made of.
    pub(crate) fn shared(&self) -> &SdkConfig {
        &self.shared
    }
}

fn s3(shared: &SdkConfig, path_style: bool, other: Option<(RetryConfig, Option<TimeoutConfig>)>) -> aws_sdk_s3::Client {
    let mut config = aws_sdk_s3::config::Builder::from(shared).force_path_style(path_style);
    if let Some((retries, timeouts)) = other {
        config.set_retry_config(Some(retries));
        if timeouts.is_some() {
            config.set_timeout_config(timeouts);
        }
    }
    aws_sdk_s3::Client::from_conf(config.build())
}

/// A copy of 5 GiB takes S3 one to two minutes.
fn patience() -> TimeoutConfig {
    let whole = Duration::from_secs(300);
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .read_timeout(whole)
        .operation_attempt_timeout(whole)
        .operation_timeout(whole)
        .build()
}

/// Whether the URL is plain http to a loopback address, by number or as `localhost`.
fn is_loopback(endpoint: &str) -> bool {
    let Some(rest) = endpoint.strip_prefix("http://") else {
        return false;
    };
    let authority = rest.split('/').next().unwrap_or_default();
    let host = authority.rsplit_once(':').map_or(authority, |(host, _port)| host);
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_endpoints_pass_the_guard() {
        for good in ["http://127.0.0.1:4566", "http://localhost:1", "http://[::1]:9/", "http://127.9.9.9"] {
            assert!(is_loopback(good), "{good}");
        }
        for bad in [
            "https://s3.amazonaws.com",
            "http://s3.amazonaws.com",
            "http://127.0.0.1.evil.example:80",
            "http://127.0.0.1@evil.example",
            "127.0.0.1:4566",
            "http://10.0.0.1:80",
            "",
        ] {
            assert!(!is_loopback(bad), "{bad}");
        }
    }

    #[tokio::test]
    async fn offline_without_credentials_or_off_loopback_is_refused() {
        let settings = AwsSettings { endpoint: Some("http://127.0.0.1:1".into()), ..AwsSettings::default() };
        assert!(matches!(Aws::connect(settings).await, Err(AwsSettingsError::CredentialsMissing)));
        let settings = AwsSettings { endpoint: Some("http://192.0.2.1:1".into()), ..AwsSettings::default() };
        assert!(matches!(Aws::connect(settings).await, Err(AwsSettingsError::EndpointNotLoopback(_))));
    }
}
