//! The API's document is true: it names the routes that there are, and is the one that is committed. (That answers are as it says,
//! every other test shows: `support/agrees.rs`.)

use crate::support::agrees::fits;
use crate::support::{World, raw, send};
use functions::openapi::{document, older, printed};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// Every method of every path, `GET /api/v2/users/{username}`.
fn described() -> BTreeSet<String> {
    let document = document();
    let paths = document.get("paths").unwrap().as_object().unwrap();
    let calls =
        paths.iter().flat_map(|(path, calls)| calls.as_object().unwrap().keys().map(move |method| (path, method)));
    calls.map(|(path, method)| format!("{} {path}", method.to_uppercase())).collect()
}

#[tokio::test]
async fn every_route_is_described_and_everything_described_is_a_route() {
    let world = World::start().await;
    let mut routes = BTreeSet::new();
    // what is for browsers alone
    let left_out: BTreeSet<&str> = functions::docs::PARTS.into_iter().chain(functions::share::PAGES).collect();
    let served: BTreeSet<&str> = world.paths.iter().map(String::as_str).collect();
    assert!(left_out.is_subset(&served), "{left_out:?}");
    for path in served.difference(&left_out) {
        // a method that no route has is answered with those that it has
        let answer = raw(&world.router, "TRACE", &path.replace(['{', '}'], ""), "", &[]).await;
        assert_eq!(answer.status(), 405, "{path}");
        let methods = answer.headers()["allow"].to_str().unwrap();
        let methods = methods.split(',').filter(|method| *method != "HEAD");
        routes.extend(methods.map(|method| format!("{method} {path}")));
    }
    let described = described();
    assert!(routes.len() > 100, "{routes:?}");
    let missing: Vec<_> = routes.difference(&described).collect();
    assert!(
        missing.is_empty(),
        "not in the API's document (add them to `described.rs` beside their handlers): {missing:#?}"
    );
    let invented: Vec<_> = described.difference(&routes).collect();
    assert!(invented.is_empty(), "in the API's document, and no route of any function: {invented:#?}");
}

#[test]
fn what_is_committed_is_what_the_code_says() {
    let document = document();
    for (name, document) in [("openapi-3.0.json", older(&document)), ("openapi.json", document)] {
        let committed = std::fs::read_to_string(Path::new("../docs").join(name)).unwrap();
        assert!(committed == printed(&document), "docs/{name} is not what the code says: `make openapi` writes it");
    }
}

/// Every value of a kind of key anywhere in a document.
fn all<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                if name == key {
                    found.push(inner);
                }
                all(inner, key, found);
            }
        }
        Value::Array(values) => values.iter().for_each(|inner| all(inner, key, found)),
        _ => {}
    }
}

#[test]
fn what_the_documents_name_is_there() {
    let newer = document();
    for document in [&newer, &older(&newer)] {
        let mut references = Vec::new();
        all(document, "$ref", &mut references);
        assert!(references.len() > 500);
        for reference in references {
            let pointer = reference.as_str().unwrap().strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
        let (mut names, mut tags) = (Vec::new(), Vec::new());
        all(&document["paths"], "operationId", &mut names);
        all(&document["paths"], "tags", &mut tags);
        assert_eq!(
            names.iter().map(|name| name.to_string()).collect::<BTreeSet<_>>().len(),
            names.len(),
            "twice the same name"
        );
        let plain = |name: &str| {
            name.starts_with(|first: char| first.is_ascii_lowercase())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
        };
        assert!(names.iter().all(|name| plain(name.as_str().unwrap())), "{names:?}");
        let known: Vec<&Value> = document["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
        assert!(tags.iter().all(|tags| tags.as_array().unwrap().iter().all(|tag| known.contains(&tag))), "{tags:?}");
    }
    let text = older(&newer).to_string();
    for word in ["\"null\"", "\"examples\"", "\"webhooks\"", "\"const\""] {
        assert!(!text.contains(word), "3.0 has no {word}");
    }
}

#[test]
fn examples_are_as_their_schemas_say() {
    let document: &'static Value = Box::leak(Box::new(document()));
    let mut shown = 0;
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for (name, schema) in schemas {
        for example in schema["examples"].as_array().into_iter().flatten() {
            fits(schema, example).unwrap_or_else(|problem| panic!("the example of {name}: {problem}"));
            shown += 1;
        }
    }
    let mut contents = Vec::new();
    all(document, "application/json", &mut contents);
    for content in contents {
        if let Some(example) = content.get("example") {
            fits(&content["schema"], example).unwrap_or_else(|problem| panic!("{content}: {problem}"));
            shown += 1;
        }
    }
    assert!(shown > 30, "{shown}");
}

#[tokio::test]
async fn the_document_and_its_page_are_for_everybody() {
    let world = World::start().await;
    let served = send(&world.router, "GET", "/openapi.json", "", &[]).await.expect(200);
    assert_eq!(served.body, document());
    assert_eq!(served.header("cache-control"), "public, max-age=300");
    assert_eq!(send(&world.router, "GET", "/openapi-3.0.json", "", &[]).await.expect(200).body, older(&document()));
    let page = raw(&world.router, "GET", "/docs", "", &[]).await;
    assert_eq!(page.status(), 200);
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; ") && !policy.contains("script-src 'self' '"));
    let page = axum::body::to_bytes(page.into_body(), 100_000).await.unwrap();
    let page = String::from_utf8(page.to_vec()).unwrap();
    assert!(!page.contains("http:") && !page.contains("https:") && !page.contains("<script>"), "everything is ours");
    for part in functions::docs::PARTS {
        assert!(page.contains(&format!("\"{part}\"")), "{part} is not used");
        let answer = raw(&world.router, "GET", part, "", &[]).await;
        assert_eq!(answer.status(), 200, "{part}");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
        let compressed = answer.headers().get("content-encoding").is_some();
        let body = axum::body::to_bytes(answer.into_body(), 1_000_000).await.unwrap();
        assert_eq!(compressed, body.starts_with(b"\x1f\x8b"), "{part}");
    }
}
