//! Large folders: pages that are fetched ahead by guesses make a whole listing, whatever the names look like.

use crate::world::{World, path};
use app::vfs::EntryKind;
use domain::access::Level;
use futures_util::StreamExt as _;
use std::collections::BTreeSet;

/// Puts empty objects into the folder, as if somebody else had.
async fn fill(world: &World, folder: &str, names: &[String]) {
    let put = |name: &String| {
        let key = format!("{}/files/home/ana/{folder}/{name}", world.organization);
        let request = world.aws.s3.put_object().bucket(&world.aws.settings.bucket).key(key);
        async move { request.send().await.unwrap() }
    };
    futures_util::stream::iter(names).map(put).buffer_unordered(32).for_each(|_| async {}).await;
}

/// What a listing shows, folders with a slash, in the order of the pages; and the requests that it took.
async fn list(world: &World, folder: &str) -> (Vec<String>, u64) {
    let before = world.offline.faults().counters().s3.requests;
    let mut listing = world.session(Level::Full).list(&path(folder)).await.unwrap();
    let (mut all, mut last) = (Vec::new(), String::new());
    while let Some(page) = listing.next_page().await.unwrap() {
        let shown = |entry: app::vfs::Entry| match entry.kind {
            EntryKind::File => entry.name,
            EntryKind::Folder => format!("{}/", entry.name),
        };
        let mut names: Vec<String> = page.into_iter().map(shown).collect();
        names.sort();
        assert!(names.first().unwrap() > &last, "pages come in the order of their names");
        last = names.last().unwrap().clone();
        all.extend(names);
    }
    (all, world.offline.faults().counters().s3.requests - before)
}

fn hash(n: u64) -> u64 {
    n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17).wrapping_mul(0xd6e8_feb8_6659_fd93)
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_count_are_fetched_ahead_in_little_more_requests_than_there_are_pages() {
    let world = World::start().await;
    let numbered: Vec<String> = (0..9_500).map(|n| format!("order-{n:05}.xml")).collect();
    fill(&world, "numbered", &numbered).await;
    let (listed, requests) = list(&world, "/numbered").await;
    assert!(listed == numbered, "{} of {}", listed.len(), numbered.len());
    // ten pages, cut at nine tenths, and one guess behind the end
    assert!((10..=14).contains(&requests), "{requests}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_is_whole_whatever_its_names() {
    let world = World::start().await;
    let mut names: BTreeSet<String> = BTreeSet::new();
    // hashes, a crowd in the middle of them, counters without leading zeros, folders, and letters of other scripts
    names.extend((0..3_000).map(|n| format!("{:08x}", hash(n) as u32)));
    names.extend((0..2_500).map(|n| format!("80{:06x}", hash(n) as u32 & 0xfff)));
    names.extend((0..1_200).map(|n| format!("{n}.csv")));
    names.extend((0..1_100).map(|n| format!("{:04x}/in", hash(n) as u16)));
    names.extend((0..300).map(|n| format!("é{n}ü")));
    let names: Vec<String> = names.into_iter().collect();
    fill(&world, "mixed", &names).await;
    let shown: BTreeSet<String> = names.iter().map(|name| name.replace("/in", "/")).collect();
    let (listed, requests) = list(&world, "/mixed").await;
    assert!(listed.iter().eq(&shown), "{} of {}", listed.len(), shown.len());
    assert!(requests <= 2 * (shown.len() as u64 / 1000 + 4), "{requests}");
}
