//! Changes of accounts and settings are announced, whatever happens to the queue, and without what is secret.

use crate::world::World;
use app::bootstrap::{BootstrapRequest, bootstrap};
use app::management::{Caller, CredentialChange, FolderDescription, Management, OrganizationChange, WebhookChange};
use domain::admin::{AdminName, Permission, Permissions};
use domain::credential::{State, UserName};
use domain::event::{ChangedHow, ChangedKind, Event, Topic};
use domain::folder::FolderName;
use domain::id::CredentialId;
use domain::ssh_key;
use domain::webhook::address::AddressPolicy;
use offline_aws::FaultPlan;
use store::clock;
use store::intents::LEASE_MILLIS;
use store::records::Records;
use store::seal::Sealer;
use zeroize::Zeroizing;

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";
const SECRET: &str = "a very long secret";

/// The management of a new deployment, and its admin.
async fn management(world: &World) -> (Management, Caller) {
    let sealer = Sealer::new("a secret of at least 32 characters").unwrap();
    let records = Records::new(&world.aws, sealer);
    let request = BootstrapRequest {
        organization: "Test".into(),
        user: UserName::parse("root-of-all").unwrap(),
        admin: AdminName::parse("admin").unwrap(),
        operator: AdminName::parse("operator").unwrap(),
        passwords: None,
        keep_secrets: false,
    };
    let made = bootstrap(&records, &request).await.unwrap();
    let management = Management::new(records, &world.aws, AddressPolicy::PublicAndLoopback);
    let everything = Permissions::of([Permission::Everything]);
    (management, Caller::admin(made.organization, "admin".to_owned(), everything))
}

async fn partner(management: &Management, caller: &Caller, name: &str) -> CredentialId {
    let change = CredentialChange { user_name: Some(UserName::parse(name).unwrap()), ..CredentialChange::default() };
    management.create_credential(caller, change).await.unwrap().record.value.id
}

/// `topic kind how name fields`
fn told(event: &Event) -> String {
    let changed = event.changed.as_ref().unwrap();
    let how = match changed.how {
        ChangedHow::Created => "+",
        ChangedHow::Updated => "~",
        ChangedHow::Deleted => "-",
    };
    format!("{} {how}{:?} {} {}", event.topic, changed.kind, changed.name, changed.fields.join(","))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_says_who_changed_what_and_no_value() {
    let world = World::start().await;
    let (management, admin) = management(&world).await;
    let id = partner(&management, &admin, "ana-partner").await;
    let change = CredentialChange {
        password: Some(Zeroizing::new(SECRET.to_owned())),
        state: Some(State::Inactive),
        ..CredentialChange::default()
    };
    management.change_credential(&admin, &id, change, |_| true).await.unwrap();
    // nothing is different
    let same = CredentialChange { state: Some(State::Inactive), ..CredentialChange::default() };
    management.change_credential(&admin, &id, same, |_| true).await.unwrap();
    management.rotate_password(&admin, &id, Some(Zeroizing::new(SECRET.repeat(2)))).await.unwrap();
    let key = management.add_ssh_key(&admin, &id, ssh_key::parse(KEY).unwrap()).await.unwrap();
    management.remove_ssh_key(&admin, &id, &key.id).await.unwrap();
    let name = FolderName::parse("inbox").unwrap();
    let description = || FolderDescription { tree: None, description: String::new(), extra: Default::default() };
    management.create_folder(&admin, name.clone(), description()).await.unwrap();
    management.delete_folder(&admin, &name).await.unwrap();
    let hook = WebhookChange {
        alias: Some(Some("erp".into())),
        url: Some("https://erp.example.com".into()),
        authorization_header: Some(Some(Zeroizing::new(SECRET.to_owned()))),
        ..WebhookChange::default()
    };
    let hook = management.create_webhook(&admin, hook).await.unwrap().record.value.id;
    management.rotate_webhook_secret(&admin, &hook).await.unwrap();
    let close = OrganizationChange { close_sessions_on_change: Some(true), ..OrganizationChange::default() };
    management.change_organization(&admin, close, |_| true).await.unwrap();
    management.delete_credential(&admin, &id, |_| true).await.unwrap();

    let events = world.events().await;
    let all: Vec<String> = events.iter().map(told).collect();
    assert_eq!(
        all,
        [
            "admin.changed +Credential ana-partner ",
            "user.password-updated ~Credential ana-partner ",
            "admin.changed ~Credential ana-partner state",
            "user.password-updated ~Credential ana-partner ",
            "admin.changed +PublicKey ana-partner ",
            "admin.changed -PublicKey ana-partner ",
            "admin.changed +Folder inbox ",
            "admin.changed -Folder inbox ",
            "admin.changed +Webhook erp ",
            "admin.changed ~Webhook erp previous_secret,secret",
            "admin.changed ~Organization Test close_sessions_on_change",
            "admin.changed -Credential ana-partner ",
        ]
    );
    assert!(events.iter().all(|event| event.actor.id == "admin" && event.file.is_none()));
    assert!(events.iter().all(|event| !serde_json::to_string(event).unwrap().contains(SECRET)));
    world.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_could_not_be_announced_is_announced_by_the_sweep() {
    let world = World::start().await;
    let (management, admin) = management(&world).await;
    let mut plan = FaultPlan::default();
    plan.sqs.down = true;
    world.offline.faults().set(plan);
    let id = partner(&management, &admin, "ana-partner").await;
    world.offline.faults().set(FaultPlan::default());
    assert!(management.credential(&admin, &id).await.is_ok(), "the change is answered all the same");
    assert_eq!(world.events().await, []);
    let swept = world.sweep().round(clock::now().plus_millis(2 * LEASE_MILLIS)).await;
    assert_eq!((swept.settled, swept.failed), (1, 0));
    let events = world.events().await;
    let changed = events[0].changed.as_ref().unwrap();
    assert_eq!((events.len(), events[0].topic, changed.kind), (1, Topic::AdminChanged, ChangedKind::Credential));
    world.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_fails_is_not_announced() {
    let world = World::start().await;
    let (management, admin) = management(&world).await;
    partner(&management, &admin, "ana-partner").await;
    let again =
        CredentialChange { user_name: Some(UserName::parse("ana-partner").unwrap()), ..CredentialChange::default() };
    assert!(management.create_credential(&admin, again).await.is_err());
    assert_eq!(world.events().await.len(), 1);
    world.nothing_left().await;
}
