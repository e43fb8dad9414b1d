//! Rules about dependencies that cargo itself does not check: who may use what, under which licence, from where.
//! `make test-full` checks licences and sources once more with cargo-deny.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends at what it did not expect")]

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

const OURS: [&str; 9] =
    ["domain", "store", "app", "transfers", "functions", "protocol-node", "offline-aws", "dev", "tests"];

/// Licences that let us ship under Apache-2.0 without further duties than their notice.
const LICENCES: [&str; 12] = [
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "OpenSSL",
    "Unicode-3.0",
    "Zlib",
];

fn metadata() -> Value {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--format-version=1", "--offline", "--filter-platform", "x86_64-unknown-linux-gnu"]);
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Every package with the names of what it needs to be built and run (not of what only its tests need).
fn needs(metadata: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let name_of: BTreeMap<String, String> =
        metadata["packages"].as_array().unwrap().iter().map(|one| (text(&one["id"]), text(&one["name"]))).collect();
    let mut needs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for node in metadata["resolve"]["nodes"].as_array().unwrap() {
        let entry = needs.entry(name_of[&text(&node["id"])].clone()).or_default();
        for dependency in node["deps"].as_array().unwrap() {
            let kinds = dependency["dep_kinds"].as_array().unwrap();
            if kinds.iter().any(|kind| kind["kind"].is_null()) {
                entry.insert(name_of[&text(&dependency["pkg"])].clone());
            }
        }
    }
    needs
}

/// Everything below a package.
fn all_below(needs: &BTreeMap<String, BTreeSet<String>>, package: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![package.to_owned()];
    while let Some(one) = open.pop() {
        for need in needs.get(&one).into_iter().flatten() {
            if found.insert(need.clone()) {
                open.push(need.clone());
            }
        }
    }
    found
}

#[test]
fn packages_depend_downwards_only() {
    let needs = needs(&metadata());
    let allowed: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("domain", &[][..]),
        ("offline-aws", &[][..]),
        ("store", &["domain"][..]),
        ("app", &["domain", "store"][..]),
        ("transfers", &["domain", "store", "app"][..]),
        ("functions", &["domain", "store", "app", "transfers"][..]),
        ("protocol-node", &["domain", "store", "app", "transfers"][..]),
        ("dev", &["domain", "store", "app", "functions", "protocol-node", "offline-aws"][..]),
        ("tests", &[][..]),
    ]);
    for package in OURS {
        for need in &needs[package] {
            let ours = OURS.contains(&need.as_str());
            assert!(!ours || allowed[package].contains(&need.as_str()), "{package} must not depend on {need}");
            let sdk = need.starts_with("aws-sdk-") || need == "aws-config";
            assert!(!sdk || package == "store", "{package} must not use {need}: only store talks to AWS");
        }
    }
}

#[test]
fn domain_decides_and_does_no_io() {
    for need in all_below(&needs(&metadata()), "domain") {
        let forbidden = ["tokio", "hyper", "axum", "russh", "reqwest", "rusqlite", "tracing"];
        assert!(!forbidden.contains(&need.as_str()) && !need.starts_with("aws-"), "domain must not reach {need}");
    }
}

#[test]
fn every_dependency_is_from_crates_io_under_a_licence_that_we_accept() {
    let accepted = |licence: &str| LICENCES.contains(&licence.trim().trim_matches(['(', ')']));
    for package in metadata()["packages"].as_array().unwrap() {
        let name = text(&package["name"]);
        if OURS.contains(&name.as_str()) {
            continue;
        }
        let source = text(&package["source"]);
        assert_eq!(source, "registry+https://github.com/rust-lang/crates.io-index", "{name}");
        // `A OR B`: our choice; `A AND B`: both. Older crates write `/` for OR.
        let licence = text(&package["license"]).replace('/', " OR ");
        let fine = licence.split(" AND ").all(|part| part.split(" OR ").any(accepted));
        assert!(fine, "{name} has the licence `{licence}`");
    }
}
