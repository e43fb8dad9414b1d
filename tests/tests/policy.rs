//! Rules about dependencies that cargo itself does not check: who may use what, under which licence, from where.
//! `make test-full` checks licences and sources once more with cargo-deny. And that the tests that docs/SEMANTICS.md names exist.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends at what it did not expect")]

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
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

/// How the tests' names in docs/SEMANTICS.md begin, and where they are found. Others are use cases, in `app/tests/it`.
const PLACES: [(&str, &str); 11] = [
    ("e2e", "tests/tests/e2e"),
    ("crash", "tests/tests/crash"),
    ("functions", "functions/tests/it"),
    ("domain", "domain/src"),
    ("store", "store/src"),
    ("app", "app/src"),
    ("sftp", "protocol-node/src/sftp"),
    ("ssh", "protocol-node/src/ssh"),
    ("ftps", "protocol-node/src/ftps"),
    ("https", "protocol-node/src/https"),
    ("door", "protocol-node/src/door"),
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Whether a test of this name is in the text.
fn has_test(source: &str, name: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let head = format!("fn {name}(");
    let heads = (0..lines.len()).filter(|at| lines[*at].trim_start_matches("async ").starts_with(&head));
    heads.into_iter().any(|at| {
        let above = lines[..at].iter().rev();
        let mut above = above.take_while(|line| line.starts_with("#[") || line.starts_with("//"));
        above.any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"))
    })
}

#[test]
fn every_sentence_about_files_names_a_test_that_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let told = fs::read_to_string(root.join("docs/SEMANTICS.md")).unwrap();
    let is_name = |text: &&str| {
        text.contains("::") && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_:".contains(c))
    };
    let mut checked = 0;
    for line in told.lines() {
        let names: Vec<&str> = line.split('`').skip(1).step_by(2).filter(is_name).collect();
        let without = line.starts_with("* ") && names.is_empty() && !line.ends_with("not tested yet");
        assert!(!without, "docs/SEMANTICS.md names no test: {line}");
        for name in names {
            let (modules, test) = name.rsplit_once("::").unwrap();
            let (first, rest) = modules.split_once("::").unwrap_or((modules, ""));
            let place = PLACES.iter().find(|(begin, _)| *begin == first);
            let (folder, modules) = place.map_or(("app/tests/it", modules), |(_, folder)| (*folder, rest));
            // inline modules `tests` are no files; the files that are called so, and mod.rs, are no more of the name
            let parts = |text: &str| -> Vec<String> {
                let all = text.trim_end_matches(".rs").split(['/', ':']);
                all.filter(|part| !["", "tests", "mod"].contains(part)).map(str::to_owned).collect()
            };
            let folder = root.join(folder);
            let mut files = Vec::new();
            sources(&folder, &mut files);
            let alone = folder.with_extension("rs");
            files.extend(alone.exists().then_some(alone));
            let is_there = |file: &&PathBuf| {
                let below = file.strip_prefix(&folder).map(|below| below.to_string_lossy().into_owned());
                parts(&below.unwrap_or_default()) == parts(modules)
            };
            let mut candidates = files.iter().filter(is_there);
            let exists = candidates.any(|file| has_test(&fs::read_to_string(file).unwrap(), test));
            assert!(exists, "docs/SEMANTICS.md names `{name}`, which is no test");
            checked += 1;
        }
    }
    assert!(checked > 200, "{checked} names were found");
}
