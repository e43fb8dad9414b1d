//! Stale reads: an eventually consistent DynamoDB read may answer what the same request answered before. Only answers
//! that were really given are repeated, so a stale answer is always one that was true once.

use crate::faults::{FaultControl, Kind, Service};
use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use s3s::Body;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

const REMEMBERED: usize = 1024;

#[derive(Default)]
pub(crate) struct StaleReads(Mutex<Memory>);

#[derive(Default)]
struct Memory {
    generation: u64,
    answers: HashMap<(String, Bytes), (HeaderMap, Bytes)>,
    order: VecDeque<(String, Bytes)>,
}

impl StaleReads {
    /// Whether this read may be answered from before under the current plan.
    pub(crate) fn applies(&self, faults: &FaultControl, action: &str, body: &[u8]) -> bool {
        if faults.get().dynamodb.stale_read_rate <= 0.0 {
            return false;
        }
        let read = matches!(action, "GetItem" | "Query" | "Scan" | "BatchGetItem");
        read && !serde_json::from_slice(body).is_ok_and(|body| consistent(action, &body))
    }

    /// An answer from before, if the dice say so and there is one.
    pub(crate) fn instead(&self, faults: &FaultControl, action: &str, body: &Bytes) -> Option<Response<Body>> {
        let memory = self.memory(faults);
        let (headers, answer) = memory.answers.get(&(action.to_owned(), body.clone()))?;
        let rate = faults.get().dynamodb.stale_read_rate;
        faults.happens(Service::DynamoDb, Kind::StaleRead, rate).then(|| {
            let mut response = Response::new(Body::from(answer.clone()));
            *response.headers_mut() = headers.clone();
            response
        })
    }

    pub(crate) async fn remember(
        &self,
        faults: &FaultControl,
        action: &str,
        asked: Bytes,
        answer: Response<Incoming>,
    ) -> Response<Body> {
        if !answer.status().is_success() {
            return answer.map(Body::from);
        }
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let key = (action.to_owned(), asked);
        let mut memory = self.memory(faults);
        if memory.answers.insert(key.clone(), (parts.headers.clone(), body.clone())).is_none() {
            memory.order.push_back(key);
        }
        if memory.order.len() > REMEMBERED
            && let Some(oldest) = memory.order.pop_front()
        {
            memory.answers.remove(&oldest);
        }
        drop(memory);
        Response::from_parts(parts, Body::from(body))
    }

    fn memory(&self, faults: &FaultControl) -> std::sync::MutexGuard<'_, Memory> {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let generation = faults.generation();
        if memory.generation != generation {
            *memory = Memory { generation, ..Memory::default() };
        }
        memory
    }
}

fn consistent(action: &str, body: &serde_json::Value) -> bool {
    let flag = |value: &serde_json::Value| value.get("ConsistentRead").and_then(|flag| flag.as_bool()) == Some(true);
    if action != "BatchGetItem" {
        return flag(body);
    }
    let tables = body.get("RequestItems").and_then(|tables| tables.as_object());
    tables.is_some_and(|tables| tables.values().any(flag))
}
