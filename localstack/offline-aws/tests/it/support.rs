//! Instances and clients for the tests. Every scenario runs in memory and in a folder.

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use offline_aws::{OfflineAws, Options, Storage};

/// One instance and clients for it.
pub(crate) struct World {
    pub(crate) aws: OfflineAws,
    pub(crate) s3: aws_sdk_s3::Client,
    pub(crate) dynamodb: aws_sdk_dynamodb::Client,
    pub(crate) sqs: aws_sdk_sqs::Client,
    folder: Option<tempfile::TempDir>,
}

pub(crate) const BUCKET: &str = "bucket";

pub(crate) fn credentials() -> Credentials {
    Credentials::new("test", "test", None, None, "static")
}

impl World {
    pub(crate) async fn memory() -> Self {
        Self::start(None).await
    }

    pub(crate) async fn folder() -> Self {
        Self::start(Some(tempfile::tempdir().unwrap())).await
    }

    async fn start(folder: Option<tempfile::TempDir>) -> Self {
        let storage = folder.as_ref().map_or(Storage::Memory, |folder| Storage::Folder(folder.path().join("aws")));
        let aws = OfflineAws::start(Options { storage, ..Options::default() }).await.unwrap();
        let world = Self { s3: s3(&aws, |config| config), dynamodb: dynamodb(&aws), sqs: sqs(&aws), aws, folder };
        world.s3.create_bucket().bucket(BUCKET).send().await.unwrap();
        world
    }

    /// Stops and starts again on the same folder.
    pub(crate) async fn restart(self) -> Self {
        let Self { aws, folder, s3, dynamodb, sqs } = self;
        drop((s3, dynamodb, sqs));
        aws.stop().await;
        assert!(folder.is_some(), "only a folder survives a restart");
        Self::start(folder).await
    }
}

pub(crate) fn s3(
    aws: &OfflineAws,
    change: impl FnOnce(aws_sdk_s3::config::Builder) -> aws_sdk_s3::config::Builder,
) -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(credentials())
        .endpoint_url(aws.endpoint())
        .force_path_style(true);
    aws_sdk_s3::Client::from_conf(change(config).build())
}

pub(crate) fn dynamodb(aws: &OfflineAws) -> aws_sdk_dynamodb::Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(aws_sdk_dynamodb::config::BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(credentials())
        .endpoint_url(aws.endpoint());
    aws_sdk_dynamodb::Client::from_conf(config.build())
}

pub(crate) fn sqs(aws: &OfflineAws) -> aws_sdk_sqs::Client {
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(aws_sdk_sqs::config::BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(credentials())
        .endpoint_url(aws.endpoint());
    aws_sdk_sqs::Client::from_conf(config.build())
}

/// Defines a test that runs the scenario in memory and one that runs it in a folder.
macro_rules! in_both {
    ($($scenario:ident),+ $(,)?) => {
        $(
            mod $scenario {
                #[tokio::test]
                async fn memory() {
                    super::$scenario($crate::support::World::memory().await).await;
                }

                #[tokio::test]
                async fn folder() {
                    super::$scenario($crate::support::World::folder().await).await;
                }
            }
        )+
    };
}
pub(crate) use in_both;

/// The error code of a failed call, whatever the operation.
pub(crate) fn code<T, E, R>(result: Result<T, aws_sdk_s3::error::SdkError<E, R>>) -> String
where
    T: std::fmt::Debug,
    E: aws_sdk_s3::error::ProvideErrorMetadata + std::fmt::Debug,
    R: std::fmt::Debug,
{
    let error = result.unwrap_err();
    let code = error.as_service_error().and_then(|error| error.code()).map(str::to_owned);
    code.unwrap_or_else(|| panic!("not a service error: {error:?}"))
}

/// The HTTP status of a failed call.
pub(crate) fn status<T, E>(
    result: Result<T, aws_sdk_s3::error::SdkError<E, aws_sdk_s3::config::http::HttpResponse>>,
) -> u16
where
    T: std::fmt::Debug,
    E: std::fmt::Debug,
{
    let error = result.unwrap_err();
    error.raw_response().map_or_else(|| panic!("no answer: {error:?}"), |response| response.status().as_u16())
}

impl World {
    pub(crate) async fn put(&self, key: &str, body: impl Into<Vec<u8>>) -> String {
        let body = aws_sdk_s3::primitives::ByteStream::from(body.into());
        let put = self.s3.put_object().bucket(BUCKET).key(key).body(body).send().await.unwrap();
        put.e_tag().unwrap().to_owned()
    }

    pub(crate) async fn get(&self, key: &str) -> Vec<u8> {
        let got = self.s3.get_object().bucket(BUCKET).key(key).send().await.unwrap();
        got.body.collect().await.unwrap().to_vec()
    }

    /// Without retries, so that an error is seen as it was answered.
    pub(crate) fn once(&self) -> aws_sdk_s3::Client {
        s3(&self.aws, |config| config.retry_config(aws_sdk_s3::config::retry::RetryConfig::disabled()))
    }

    pub(crate) async fn stats(&self) -> serde_json::Value {
        let url = format!("{}/_offline/stats", self.aws.endpoint());
        let body = reqwest::get(url).await.unwrap().text().await.unwrap();
        serde_json::from_str(&body).unwrap()
    }
}

impl World {
    /// The folder of an instance that has one.
    pub(crate) fn path(&self) -> std::path::PathBuf {
        self.folder.as_ref().unwrap().path().join("aws")
    }
}
