//! Every promise, compared with what is there when everything is quiet.

use crate::groups::{Found, Group};
use crate::ledger::Ledger;
use crate::parts::Parts;
use crate::stage::{HOME, Stage};
use app::settler::SettlingStores;
use app::sweep::Sweep;
use app::vfs::Resuming;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use store::aws::Aws;
use store::clock;
use store::nodes::Nodes;
use store::objects::Objects;

/// How long nothing may move while something is left to do: more than the lease, a sweep, and the time after which a
/// message is given again.
const STANDSTILL: Duration = Duration::from_secs(60);
/// What an upload without a clear end had reserved stays reserved until the sweep has surely counted it: three leases of an
/// intent, after the last of those that are taken together within a minute.
const UNTIL_SWEPT: Duration = Duration::from_secs(200);

/// Records that stay, and those that expire: claims, interrupted uploads, intents that were given up, the last requests of API
/// keys, and events. Whatever else is in the table was left behind.
const KEPT: [&str; 9] = ["ORG#", "ORGANIZATIONS", "USER#", "CRED#", "AUTH#", "ADMIN#", "DEPLOYMENT", "USAGE#", "LINK#"];
const EXPIRING: [&str; 11] = [
    "GONE#",
    "PARTIAL#",
    "INTENT#",
    "NODES",
    "NODE#",
    "CLOSE",
    "KEYLOG#",
    "EVENT#",
    "EVENTDAYS#",
    "DELIVERY#",
    "HOOKHEALTH#",
];

/// All checks; every part must run. Panics with everything that is wrong.
pub(crate) async fn everything(stage: &Stage, ledger: &Ledger) {
    let aws = stage.parts.aws().await;
    let expected = ledger.expected();
    quiet(&aws, stage, expected.least()).await;
    let mut wrong = stage.receiver.wrong();
    wrong.extend(expected.compare(&stage.receiver.told()));
    let bucket = Bucket::read(&aws, &stage.parts).await;
    wrong.extend(bucket.compare(&aws, &ledger.groups()).await);
    wrong.extend(table(&aws, &bucket).await);
    wrong.extend(audit_log(&aws, stage).await);
    wrong.extend(multipart_uploads(&aws, &stage.parts, &ledger.large_uploads()).await);
    wrong.extend(stage.parts.panics());
    println!(
        "{} operations acknowledged, {} without an answer, {} objects, {} events",
        ledger.done(),
        ledger.unknown(),
        bucket.files.len(),
        stage.receiver.told().len()
    );
    assert!(wrong.is_empty(), "{} promises broken:\n{}", wrong.len(), wrong.join("\n"));
}

/// Waits until nothing is left to do: no intent, nothing in the queue, and the events that must come are there. As long
/// as something moves it may take its time.
async fn quiet(aws: &Aws, stage: &Stage, events: usize) {
    let (mut last, mut since) = (String::new(), Instant::now());
    loop {
        let intents = scan(aws).await.iter().filter(|item| item.pk.starts_with("INTENT#") && !item.expires).count();
        let (waiting, dead) = (messages(aws, "").await, messages(aws, "-dead").await);
        let told = stage.receiver.told().len();
        let leased = leased(aws).await;
        if intents == 0 && waiting == 0 && told >= events && leased.is_empty() {
            assert_eq!(dead, 0, "messages in the dead-letter queue");
            return;
        }
        let now = format!(
            "{intents} intents, {waiting} messages, {dead} dead ones, {told} of {events} events, leases: {leased:?}"
        );
        if now != last {
            (last, since) = (now, Instant::now());
        }
        let patience = if leased.is_empty() { STANDSTILL } else { UNTIL_SWEPT };
        if since.elapsed() > patience {
            // what is missing is said by the checks
            eprintln!("nothing moves any more: {last}");
            assert_eq!((intents, waiting), (0, 0), "intents or messages are left behind");
            assert!(leased.is_empty(), "leases are left behind: {leased:?}");
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// What nodes that are alive have reserved of quotas. (What dead ones had goes with the next that is reserved.)
async fn leased(aws: &Aws) -> Vec<String> {
    let alive = Nodes::new(aws).alive(clock::now()).await.unwrap();
    let request = aws.dynamodb.scan().table_name(&aws.settings.table).consistent_read(true);
    let mut pages = request.into_paginator().items().send();
    let mut leases = Vec::new();
    while let Some(item) = pages.next().await {
        for (name, value) in item.unwrap() {
            let node = name.strip_prefix("lease_bytes@").or_else(|| name.strip_prefix("lease_files@"));
            let amount = value.as_n().map_or("0", String::as_str);
            // a negative one was given back twice
            if amount != "0" && node.is_some_and(|node| alive.iter().any(|alive| alive.as_str() == node)) {
                leases.push(format!("{name}: {amount}"));
            }
        }
    }
    // an item's attributes come in any order, which is no movement
    leases.sort();
    leases
}

/// Messages in the events queue or its dead-letter queue, in whatever condition.
async fn messages(aws: &Aws, suffix: &str) -> u64 {
    let url = format!("{}{suffix}", aws.settings.events_queue_url);
    let request = aws.sqs.get_queue_attributes().queue_url(url).attribute_names("All".into());
    let attributes = request.send().await.unwrap().attributes.unwrap();
    let counts = attributes.iter().filter(|(name, _)| name.as_str().starts_with("ApproximateNumberOfMessages"));
    counts.map(|(_, count)| count.parse::<u64>().unwrap()).sum()
}

struct Item {
    pk: String,
    sk: String,
    bytes: i64,
    files: i64,
    expires: bool,
}

async fn scan(aws: &Aws) -> Vec<Item> {
    let request = aws.dynamodb.scan().table_name(&aws.settings.table).consistent_read(true);
    let mut pages = request.into_paginator().items().send();
    let mut items = Vec::new();
    while let Some(item) = pages.next().await {
        let item = item.unwrap();
        let number = |name: &str| item.get(name).and_then(|value| value.as_n().ok()?.parse().ok()).unwrap_or(0);
        items.push(Item {
            pk: item["pk"].as_s().unwrap().clone(),
            sk: item["sk"].as_s().unwrap().clone(),
            bytes: number("bytes"),
            files: number("files"),
            expires: item.contains_key("ttl"),
        });
    }
    items
}

/// Whatever somebody was told of is in the audit log, once, and on a day that is known to have events.
async fn audit_log(aws: &Aws, stage: &Stage) -> Vec<String> {
    let items = scan(aws).await;
    let days: BTreeSet<String> =
        items.iter().filter_map(|item| Some(format!("{}#{}", item.pk.strip_prefix("EVENTDAYS#")?, item.sk))).collect();
    let (mut wrong, mut recorded) = (Vec::new(), BTreeSet::new());
    for item in &items {
        let Some(place) = item.pk.strip_prefix("EVENT#") else { continue };
        let (day, _shard) = place.rsplit_once('#').unwrap();
        if !days.contains(day) {
            wrong.push(format!("nobody finds the event {}: its day is not known", item.sk));
        }
        let (_time, id) = item.sk.split_once('-').unwrap();
        if !recorded.insert(id) {
            wrong.push(format!("the event {id} is in the audit log twice"));
        }
    }
    let told = stage.receiver.told();
    wrong.extend(
        told.keys().filter(|id| !recorded.contains(id.as_str())).map(|id| format!("the event {id} is in no audit log")),
    );
    wrong
}

/// Usage equals a recount, and nothing else is left in the table.
async fn table(aws: &Aws, bucket: &Bucket) -> Vec<String> {
    let mut wrong = Vec::new();
    let items = scan(aws).await;
    for item in &items {
        let among = |prefixes: &[&str]| prefixes.iter().any(|prefix| item.pk.starts_with(prefix));
        let expected = among(&KEPT) || (item.expires && among(&EXPIRING));
        if !expected {
            wrong.push(format!("a record is left behind: {}", item.pk));
        }
    }
    let usage = items.iter().filter(|item| item.pk.starts_with("USAGE#"));
    let (organization, credentials): (Vec<&Item>, Vec<&Item>) = usage.partition(|item| item.sk == "ORG");
    let recount = (bucket.files.values().sum::<i64>(), i64::try_from(bucket.files.len()).unwrap());
    for (whose, items) in [("the organization's", organization), ("the credentials'", credentials)] {
        let counted = items.iter().fold((0, 0), |(bytes, files), item| (bytes + item.bytes, files + item.files));
        if counted != recount {
            wrong.push(format!("{whose} usage says {counted:?} bytes and files, a recount {recount:?}"));
        }
    }
    wrong
}

/// What every key begins with.
fn prefix(parts: &Parts) -> String {
    format!("{}/files/{HOME}", parts.get("TOWPATH_ORGANIZATION_ID"))
}

/// What is in the bucket, without the organization's prefix.
struct Bucket {
    prefix: String,
    files: BTreeMap<String, i64>,
    /// Folders' markers, without their slash.
    markers: BTreeSet<String>,
}

impl Bucket {
    async fn read(aws: &Aws, parts: &Parts) -> Self {
        let prefix = prefix(parts);
        let mut bucket = Self { prefix, files: BTreeMap::new(), markers: BTreeSet::new() };
        let mut pages = aws.s3.list_objects_v2().bucket(&aws.settings.bucket).into_paginator().send();
        while let Some(page) = pages.next().await {
            for object in page.unwrap().contents() {
                let key = object.key().unwrap().strip_prefix(&bucket.prefix).expect("a key outside the files");
                match key.strip_suffix('/') {
                    Some(folder) => drop(bucket.markers.insert(folder.to_owned())),
                    None => drop(bucket.files.insert(key.to_owned(), object.size().unwrap())),
                }
            }
        }
        bucket
    }

    /// Every file is, byte for byte, a version that may be there, and nothing is missing.
    async fn compare(&self, aws: &Aws, groups: &[Group]) -> Vec<String> {
        let (mut found, mut wrong) = (Found::new(), Vec::new());
        for (name, bytes) in &self.files {
            let key = format!("{}{name}", self.prefix);
            let got = aws.s3.get_object().bucket(&aws.settings.bucket).key(key).send().await.unwrap();
            let Ok(content) = got.body.collect().await.map(|content| content.into_bytes()) else {
                wrong.push(format!("{name} cannot be read to its end"));
                continue;
            };
            let candidates = groups.iter().flat_map(|group| group.candidates(name));
            let mut of_size = candidates.filter(|version| version.bytes as i64 == *bytes);
            match of_size.find(|version| version.content() == content) {
                Some(version) => drop(found.insert(name.clone(), version)),
                None => wrong.push(format!("{name} with {bytes} bytes is nothing that may be there")),
            }
        }
        wrong.extend(groups.iter().filter_map(|group| group.check(&found, &self.markers).err()));
        wrong
    }
}

/// No open multipart upload that nothing accounts for: each belongs to a large upload that broke off (or whose beginning
/// had to be repeated), and the product's own clean-up ends it when its time has come.
async fn multipart_uploads(aws: &Aws, parts: &Parts, large: &[String]) -> Vec<String> {
    let prefix = prefix(parts);
    let open = async || {
        let answer = aws.s3.list_multipart_uploads().bucket(&aws.settings.bucket).send().await.unwrap();
        let keys =
            answer.uploads().iter().map(|upload| upload.key().unwrap().strip_prefix(&prefix).unwrap().to_owned());
        keys.collect::<Vec<_>>()
    };
    let mut wrong = Vec::new();
    // every answer to a beginning that gets lost leaves one, so their number says nothing
    for key in open().await.iter().filter(|key| !large.contains(key)) {
        wrong.push(format!("a multipart upload of {key} is open and belongs to nobody"));
    }
    let (stores, resuming) = (SettlingStores::new(aws), Resuming::new(aws, Duration::from_secs(24 * 3600)));
    let sweep = Sweep::new(Objects::new(aws), stores, resuming);
    // as if a day had passed, and nobody had gone on with an upload
    let (soon, later) = (clock::now().plus_millis(1000), clock::now().plus_millis(25 * 3_600_000));
    while sweep.abort_orphans(soon, later).await.unwrap() > 0 {}
    wrong.extend(open().await.into_iter().map(|key| format!("a multipart upload of {key} is left behind for good")));
    wrong
}
