//! Records against the offline AWS.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use domain::credential::{Credential, UserName};
use domain::id::{CredentialId, OrganizationId};
use domain::ssh_key::{ParsedKey, SshKey};
use domain::time::Timestamp;
use store::aws::{Aws, AwsSettings};
use store::records::{RecordError, Records};
use store::seal::Sealer;

async fn records() -> (offline_aws::OfflineAws, Records) {
    let offline = offline_aws::OfflineAws::start(offline_aws::Options::default()).await.unwrap();
    let settings = AwsSettings {
        endpoint: Some(offline.endpoint()),
        region: Some("us-east-1".into()),
        static_credentials: Some(("test".into(), "test".into())),
        table: "towpath".into(),
        ..AwsSettings::default()
    };
    let aws = Aws::connect(settings).await.unwrap();
    for _ in 0..2 {
        store::table::create_table(&aws.dynamodb, "towpath").await.unwrap();
    }
    let sealer = Sealer::new("a secret of at least 32 characters").unwrap_or_else(|error| panic!("{error}"));
    (offline, Records::new(&aws, sealer))
}

fn credential(byte: u8, name: &str) -> Credential {
    let organization = OrganizationId::from_random([1; 16]);
    let name = UserName::parse(name).unwrap();
    Credential::new(CredentialId::from_random([byte; 15]), organization, name, Timestamp::from_millis(5))
}

#[tokio::test]
async fn the_slower_of_two_writers_is_told() {
    let (_offline, records) = records().await;
    let made = credential(1, "ana");
    records.create_credential(&made, &[]).await.unwrap();
    let read = records.credential(&made.organization, &made.id).await.unwrap().unwrap();
    assert!(read.value == made && read.rev == 1);
    let mut first = made.clone();
    first.alias = Some("first".into());
    assert!(matches!(records.save_credential(&read, &first, None).await, Ok(2)));
    let mut second = made.clone();
    second.alias = Some("second".into());
    assert!(matches!(records.save_credential(&read, &second, None).await, Err(RecordError::Conflict)));
    // a write whose answer was lost is repeated by the SDK: its own effect is a success
    assert!(matches!(records.save_credential(&read, &first, None).await, Ok(2)));
    let now = records.credential(&made.organization, &made.id).await.unwrap().unwrap();
    assert!(now.value == first && now.rev == 2);
}

#[tokio::test]
async fn a_user_name_belongs_to_one() {
    let (_offline, records) = records().await;
    records.create_credential(&credential(1, "ana"), &[]).await.unwrap();
    let other = credential(2, "ana");
    assert!(matches!(records.create_credential(&other, &[]).await, Err(RecordError::Conflict)));
    assert!(records.credential(&other.organization, &other.id).await.unwrap().is_none(), "nothing of it was written");
}

#[tokio::test]
async fn a_key_that_is_added_while_its_credential_is_deleted_does_not_stay() {
    let (_offline, records) = records().await;
    let made = credential(1, "ana");
    records.create_credential(&made, &[]).await.unwrap();
    let read = records.credential(&made.organization, &made.id).await.unwrap().unwrap();
    let parsed = ParsedKey {
        key_type: domain::ssh_key::KeyType::Ed25519,
        fingerprint: "SHA256:x".into(),
        comment: String::new(),
        line: "ssh-ed25519 x".into(),
        blob: vec![1, 2, 3],
    };
    let key = SshKey::new(made.id.clone(), parsed, Timestamp::from_millis(6));
    records.add_ssh_key(&made, &key).await.unwrap();
    assert!(matches!(records.delete_credential(&read, None).await, Err(RecordError::Conflict)));
    let read = records.credential(&made.organization, &made.id).await.unwrap().unwrap();
    assert_eq!((read.rev, read.value.ssh_keys), (2, 1));
    records.delete_credential(&read, None).await.unwrap();
    assert!(records.ssh_keys(&made.id).await.unwrap().is_empty());
    assert!(matches!(records.add_ssh_key(&made, &key).await, Err(RecordError::Conflict)), "its credential is gone");
}
