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
        let storage = folder
            .as_ref()
            .map_or(Storage::Memory, |folder| Storage::Folder(folder.path().join("aws")));
        let aws = OfflineAws::start(Options {
            storage,
            ..Options::default()
        })
        .await
        .unwrap();
        let world = Self {
            s3: s3(&aws, |config| config),
            dynamodb: dynamodb(&aws),
            sqs: sqs(&aws),
            aws,
            folder,
        };
        world.s3.create_bucket().bucket(BUCKET).send().await.unwrap();
        world
    }

    /// Stops and starts again on the same folder.
    pub(crate) async fn restart(self) -> Self {
        let Self {
            aws,
            folder,
            s3,
            dynamodb,
            sqs,
        } = self;
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
