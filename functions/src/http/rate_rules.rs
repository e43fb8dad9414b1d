//! An organization's rules for routes and addresses, asked of each request with a key or a token, before it has an effect.
//!
//! The rules are remembered for [`KNOWN_FOR`], so that requests do not cost a read each; a change counts here at once, and in other
//! instances after that. At most [`MOST_KNOWN`] organizations are remembered.

use domain::id::OrganizationId;
use domain::rate::RateStatus;
use domain::rate::rule::RateRule;
use futures_util::future::try_join_all;
use http::Method;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use store::records::{RecordError, Records};
use tokio::time::Instant;

const KNOWN_FOR: Duration = Duration::from_secs(10);
const MOST_KNOWN: usize = 1000;

/// The rules of one organization, and since when they are known.
type Known = (Instant, Arc<[RateRule]>);

/// The rules of organizations. Cheap to clone.
#[derive(Clone)]
pub(crate) struct RateRules {
    records: Records,
    known: Arc<Mutex<HashMap<OrganizationId, Known>>>,
}

/// A request that is counted.
pub(crate) struct Asked<'a> {
    /// Whose it is.
    pub(crate) organization: &'a OrganizationId,
    /// The key or account.
    pub(crate) caller: &'a str,
    /// How.
    pub(crate) method: &'a Method,
    /// What.
    pub(crate) path: &'a str,
    /// From where.
    pub(crate) address: IpAddr,
}

impl RateRules {
    /// In these records.
    pub(crate) fn new(records: Records) -> Self {
        Self { records, known: Arc::default() }
    }

    /// Counts a request for every rule that is about it. Answers the first that it exceeds.
    pub(crate) async fn exceeded(&self, asked: &Asked<'_>) -> Result<Option<RateStatus>, RecordError> {
        let rules = self.rules(asked.organization).await?;
        let now = store::clock::now();
        let about = rules.iter().filter(|rule| rule.is_about(asked.method.as_str(), asked.path, asked.address));
        let counted = about.map(|rule| async move {
            let subject = rule.subject(asked.caller, asked.address);
            self.records.count_for_rule(asked.organization, rule, &subject, now).await
        });
        Ok(try_join_all(counted).await?.into_iter().find_map(Result::err))
    }

    /// The rules have changed, perhaps.
    pub(crate) fn forget(&self, organization: &OrganizationId) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(organization);
    }

    async fn rules(&self, organization: &OrganizationId) -> Result<Arc<[RateRule]>, RecordError> {
        if let Some((since, rules)) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(organization)
            && since.elapsed() < KNOWN_FOR
        {
            return Ok(Arc::clone(rules));
        }
        let asked_at = Instant::now();
        let found = self.records.organization(organization).await?;
        let rules: Arc<[RateRule]> = found.map(|found| found.value.rate_rules).unwrap_or_default().into();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        known.insert(organization.clone(), (asked_at, Arc::clone(&rules)));
        Ok(rules)
    }
}
