//! The same load while AWS misbehaves. Nothing is killed, so nothing may fail: whatever AWS does here passes, and the node
//! waits for it.

use crate::ledger::Ledger;
use crate::load::Load;
use crate::parts::NODE;
use crate::stage::Stage;
use crate::{check, seed, setting};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The least that the node takes.
const BUDGET_MIB: u64 = 86;
/// The program, the SDK's connections, the allocator's slack, and for each of a handful of connections 1 MiB of WRITEs
/// and 2 MiB of READs (ARCHITECTURE.md, 8).
const BESIDE_BUDGET_MIB: u64 = 128;

/// Operations that must be acknowledged under every plan: the load gets through, however slowly.
const LEAST_PROGRESS: usize = 5;
/// After a plan the load must go on as before within this: the longest pause of a retry is ten seconds.
const RECOVERY: Duration = Duration::from_secs(60);

/// What goes wrong, and for which share of the time of a plan: a complete outage is ridden out for a minute, no longer.
fn plans() -> Vec<(&'static str, Value)> {
    let both = |rates: Value| json!({"s3": rates, "dynamodb": rates, "sqs": rates});
    vec![
        ("S3 errors", json!({"s3": {"error_rate": 0.1}})),
        ("lost answers", both(json!({"lost_answer_rate": 0.1}))),
        ("a storm of 503s", json!({"s3": {"error_rate": 0.9}})),
        ("S3 gone", json!({"s3": {"down": true}})),
        (
            "slow",
            json!({"s3": {"latency_ms": 900, "bandwidth_mib_s": 6.0},
            "dynamodb": {"latency_ms": 400}, "sqs": {"latency_ms": 800}}),
        ),
        ("conflicts", json!({"s3": {"conflict_rate": 0.2}, "dynamodb": {"conflict_rate": 0.3}})),
        ("throttling", json!({"dynamodb": {"error_rate": 0.5}, "sqs": {"error_rate": 0.5}})),
        ("DynamoDB gone", json!({"dynamodb": {"down": true}})),
        ("SQS gone", json!({"sqs": {"down": true}})),
        ("stale reads and duplicates", json!({"dynamodb": {"stale_read_rate": 0.5}, "sqs": {"duplicate_rate": 0.3}})),
        (
            "everything at once",
            json!({
            "s3": {"error_rate": 0.1, "lost_answer_rate": 0.05, "conflict_rate": 0.05, "latency_ms": 30},
            "dynamodb": {"error_rate": 0.1, "lost_answer_rate": 0.05, "conflict_rate": 0.1},
            "sqs": {"error_rate": 0.2, "lost_answer_rate": 0.1, "duplicate_rate": 0.1}}),
        ),
    ]
}

/// The one failure that is allowed: a large upload whose completion was not answered and whose name holds another client's
/// file by then. Whether it happened cannot be told, and its parts cannot be completed twice.
fn allowed(failure: &str) -> bool {
    failure.contains("in shared:") && failure.contains("the file may have been stored and replaced by somebody else")
}

/// An outage is waited out: little or nothing can be done while it lasts.
fn is_outage(plan: &Value) -> bool {
    let out = |service: &Value| service["down"] == json!(true) || service["error_rate"].as_f64() >= Some(0.9);
    out(&plan["s3"]) || out(&plan["dynamodb"])
}

fn assert_none_failed(ledger: &Ledger, when: &str) {
    let failed: Vec<_> = ledger.refused().into_iter().filter(|failure| !allowed(failure)).collect();
    assert!(failed.is_empty(), "{when}: a retry could have saved these:\n{}", failed.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_aws_does_nothing_fails_that_a_retry_can_save() {
    let (seconds, seed) = (setting("TOWPATH_TEST_FAULT_SECONDS", 4), seed());
    let budget = BUDGET_MIB.to_string();
    let settings = [
        ("TOWPATH_MEMORY_BUDGET_MIB", budget.as_str()),
        ("TOWPATH_LEASE_SECONDS", "30"),
        ("TOWPATH_SWEEP_SECONDS", "2"),
    ];
    let stage = Stage::set(&settings).await;
    let control = format!("{}/_offline/faults", stage.parts.get("AWS_ENDPOINT_URL"));
    let set = async |mut plan: Value| {
        plan["seed"] = json!(seed);
        let answer = reqwest::Client::new().put(&control).body(plan.to_string()).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    };
    let mut load = Load::start(&stage.door, seed);
    load.progress(20, RECOVERY).await;
    for (name, plan) in plans() {
        let (before, began) = (load.ledger.done(), Instant::now());
        let lasting = Duration::from_secs(if is_outage(&plan) { seconds.min(30) } else { seconds });
        let outage = is_outage(&plan);
        set(plan).await;
        while began.elapsed() < lasting {
            load.assert_alive().await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if !outage {
            load.progress((before + LEAST_PROGRESS).saturating_sub(load.ledger.done()), RECOVERY).await;
        }
        let done = load.ledger.done() - before;
        set(json!({})).await;
        load.progress(LEAST_PROGRESS, RECOVERY).await;
        println!("{name}: {done} operations in {:?}", began.elapsed());
        assert_none_failed(&load.ledger, name);
    }
    let ledger = load.end().await;
    assert_none_failed(&ledger, "at the end");
    let peak = stage.parts.peak_mib(NODE);
    println!("the node had at most {peak} MiB");
    assert!(peak < BUDGET_MIB + BESIDE_BUDGET_MIB, "the node had {peak} MiB with a budget of {BUDGET_MIB} MiB");
    check::everything(&stage, &ledger).await;
}
