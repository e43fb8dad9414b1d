//! Large folders: pages that are fetched ahead by guesses make a whole listing, whatever the names look like.

use crate::world::{WHOLE, World, path, put};
use app::vfs::EntryKind;
use bytes::Bytes;
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

#[tokio::test(flavor = "multi_thread")]
async fn what_stays_is_listed_once_whatever_changes_meanwhile() {
    let world = World::start().await;
    let ana = world.session(Level::Full);
    let name = |n: usize| format!("order-{n:05}.xml");
    fill(&world, "busy", &(0..9_500).map(name).collect::<Vec<_>>()).await;
    // of every hundred names one goes, one is renamed to the other end of the folder, and one comes
    let (goes, moves, comes) = (|n| n % 100 == 13, |n| n % 100 == 57, |n: usize| format!("{}.new", name(n)));
    let other_end = |n: usize| format!("order-{:05}.moved", 9_500 - n);
    let change = async |page: usize| {
        let mut changes = Vec::new();
        for n in (0..9_500).filter(|n| n / 100 % 10 == page) {
            let at = |name: &str| path(&format!("/busy/{name}"));
            let ana = ana.clone();
            changes.push(async move {
                if goes(n) {
                    ana.delete_file(&at(&name(n))).await.unwrap();
                } else if moves(n) {
                    ana.rename(&at(&name(n)), &at(&other_end(n)), false).await.unwrap();
                } else if n % 100 == 99 {
                    put(&ana, &format!("/busy/{}", comes(n)), &Bytes::from_static(b"new"), WHOLE).await.unwrap();
                }
            });
        }
        futures_util::stream::iter(changes).buffer_unordered(8).for_each(|()| async {}).await;
    };
    let mut listing = ana.list(&path("/busy")).await.unwrap();
    let mut listed = Vec::new();
    // beside the pages, and between them
    for at in 0.. {
        let (page, ()) = tokio::join!(listing.next_page(), change(at));
        match page.unwrap() {
            Some(page) => listed.extend(page.into_iter().map(|entry| entry.name)),
            None => break,
        }
    }
    let once: BTreeSet<&String> = listed.iter().collect();
    assert_eq!(once.len(), listed.len(), "a name is shown twice");
    let stays: Vec<String> = (0..9_500).filter(|n| !goes(*n) && !moves(*n)).map(name).collect();
    let lost: Vec<&String> = stays.iter().filter(|name| !once.contains(name)).collect();
    assert!(lost.is_empty(), "{lost:?}");
    // what is over is shown as it is: 95 went and 95 came
    assert_eq!(list(&world, "/busy").await.0.len(), 9_500);
}
