//! Fault injection: the plan, the decisions it leads to, and what was injected so far.

mod plan;
pub(crate) mod shaped;

pub use self::plan::{DynamoDbFaults, FaultPlan, S3Faults, SqsFaults};

use serde::Serialize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// One of the three services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    S3,
    DynamoDb,
    Sqs,
}

/// The part of the plan that all services share.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Common {
    pub(crate) latency: Duration,
    pub(crate) error_rate: f64,
    pub(crate) lost_answer_rate: f64,
    pub(crate) down: bool,
}

/// Requests and injected faults of one service since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ServiceCounters {
    /// Requests that arrived.
    pub requests: u64,
    /// Requests that waited for the planned latency.
    pub delayed: u64,
    /// Injected error answers.
    pub errors: u64,
    /// Requests that were carried out and whose answer was withheld.
    pub lost_answers: u64,
    /// Connections cut because the service was down.
    pub refused: u64,
    /// Injected conflicts.
    pub conflicts: u64,
    /// Answers from before.
    pub stale_reads: u64,
    /// Messages stored twice.
    pub duplicates: u64,
}

/// What happened since the start, for each service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// S3.
    pub s3: ServiceCounters,
    /// DynamoDB.
    pub dynamodb: ServiceCounters,
    /// SQS.
    pub sqs: ServiceCounters,
}

/// A kind of decision and of counter. The number is part of the dice, so it never changes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Request = 0,
    Delay = 1,
    Error = 2,
    LostAnswer = 3,
    Refused = 4,
    Conflict = 5,
    StaleRead = 6,
    Duplicate = 7,
}

const KINDS: usize = 8;

#[derive(Default)]
struct Tally {
    counts: [AtomicU64; KINDS],
    /// Decisions taken since the plan was set, for each kind.
    rolls: [AtomicU64; KINDS],
    /// Bytes a second as f64 bits; 0 is no limit.
    rate: AtomicU64,
}

impl Tally {
    fn count(&self, kind: Kind) -> u64 {
        self.counts.get(kind as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    fn counters(&self) -> ServiceCounters {
        ServiceCounters {
            requests: self.count(Kind::Request),
            delayed: self.count(Kind::Delay),
            errors: self.count(Kind::Error),
            lost_answers: self.count(Kind::LostAnswer),
            refused: self.count(Kind::Refused),
            conflicts: self.count(Kind::Conflict),
            stale_reads: self.count(Kind::StaleRead),
            duplicates: self.count(Kind::Duplicate),
        }
    }
}

/// The current plan and the counters of one instance. Cheap to clone; clones share.
#[derive(Clone, Default)]
pub struct FaultControl {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    plan: RwLock<FaultPlan>,
    s3: Tally,
    dynamodb: Tally,
    sqs: Tally,
    /// Counts the plans, so that what was remembered under one is forgotten under the next.
    generation: AtomicU64,
}

impl std::fmt::Debug for FaultControl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FaultControl").field("plan", &self.get()).finish_non_exhaustive()
    }
}

impl FaultControl {
    /// Takes effect for the next request, also on open connections. The counters go on; the dice start again.
    pub fn set(&self, plan: FaultPlan) {
        for (service, limit) in [
            (Service::S3, plan.s3.bandwidth_mib_s),
            (Service::DynamoDb, plan.dynamodb.bandwidth_mib_s),
            (Service::Sqs, plan.sqs.bandwidth_mib_s),
        ] {
            let tally = self.tally(service);
            let rate = limit.filter(|limit| limit.is_finite() && *limit > 0.0).unwrap_or(0.0) * 1024.0 * 1024.0;
            tally.rate.store(rate.to_bits(), Ordering::Relaxed);
            for roll in &tally.rolls {
                roll.store(0, Ordering::Relaxed);
            }
        }
        *self.shared.plan.write().unwrap_or_else(PoisonError::into_inner) = plan;
        self.shared.generation.fetch_add(1, Ordering::Relaxed);
    }

    /// The current plan.
    #[must_use]
    pub fn get(&self) -> FaultPlan {
        self.shared.plan.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Requests and injected faults since the start.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters {
            s3: self.shared.s3.counters(),
            dynamodb: self.shared.dynamodb.counters(),
            sqs: self.shared.sqs.counters(),
        }
    }

    fn tally(&self, service: Service) -> &Tally {
        match service {
            Service::S3 => &self.shared.s3,
            Service::DynamoDb => &self.shared.dynamodb,
            Service::Sqs => &self.shared.sqs,
        }
    }

    pub(crate) fn generation(&self) -> u64 {
        self.shared.generation.load(Ordering::Relaxed)
    }

    pub(crate) fn count(&self, service: Service, kind: Kind) {
        if let Some(count) = self.tally(service).counts.get(kind as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn lost_answers(&self, service: Service) -> u64 {
        self.tally(service).count(Kind::LostAnswer)
    }

    /// Bytes a second for each connection and direction, if limited.
    pub(crate) fn rate(&self, service: Service) -> Option<f64> {
        Some(f64::from_bits(self.tally(service).rate.load(Ordering::Relaxed))).filter(|rate| *rate > 0.0)
    }

    pub(crate) fn common(&self, service: Service) -> Common {
        macro_rules! common {
            ($faults:expr) => {
                Common {
                    latency: Duration::from_millis($faults.latency_ms),
                    error_rate: $faults.error_rate,
                    lost_answer_rate: $faults.lost_answer_rate,
                    down: $faults.down,
                }
            };
        }
        let plan = self.shared.plan.read().unwrap_or_else(PoisonError::into_inner);
        match service {
            Service::S3 => common!(plan.s3),
            Service::DynamoDb => common!(plan.dynamodb),
            Service::Sqs => common!(plan.sqs),
        }
    }

    /// Decides, counts, and says whether the fault is to happen now.
    pub(crate) fn happens(&self, service: Service, kind: Kind, rate: f64) -> bool {
        if rate <= 0.0 {
            return false;
        }
        let tally = self.tally(service);
        let roll = tally.rolls.get(kind as usize).map_or(0, |roll| roll.fetch_add(1, Ordering::Relaxed));
        let seed = self.shared.plan.read().unwrap_or_else(PoisonError::into_inner).seed;
        let happens = dice(seed, service, kind, roll) < rate;
        if happens {
            self.count(service, kind);
        }
        happens
    }
}

/// A number from 0 to below 1 that depends on nothing but its arguments (splitmix64's finalizer).
fn dice(seed: u64, service: Service, kind: Kind, roll: u64) -> f64 {
    let mut mixed = seed ^ ((service as u64) << 60) ^ ((kind as u64) << 52);
    for word in [roll, 0x9e37_79b9_7f4a_7c15] {
        mixed = mixed.wrapping_add(word).wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
    }
    // 53 bits are what an f64 holds exactly
    let high = u32::try_from(mixed >> 32).unwrap_or(0);
    f64::from(high) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dice_are_fair_enough_and_repeatable() {
        let rolls = |seed| (0..10_000).map(move |roll| dice(seed, Service::S3, Kind::Error, roll));
        let low = rolls(7).filter(|value| *value < 0.1).count();
        assert!((900..1100).contains(&low), "{low} of 10,000 below 0.1");
        assert!(rolls(7).eq(rolls(7)));
        assert!(!rolls(7).eq(rolls(8)));
    }

    #[test]
    fn a_plan_with_an_unknown_field_is_refused() {
        assert!(serde_json::from_str::<FaultPlan>(r#"{"s3":{"latency":3}}"#).is_err());
        let plan: FaultPlan = serde_json::from_str(r#"{"s3":{"latency_ms":3}}"#).unwrap();
        assert_eq!(plan.s3.latency_ms, 3);
    }
}
