//! Hosts from which logins of the organization have failed, and their bans. (Bans of a whole address belong to nobody's
//! organization, and end by themselves.)

use super::{Caller, Management, ManagementError, announced};
use domain::defender::Host;
use domain::event::{ChangedHow, ChangedKind};
use domain::right::Right;
use domain::time::Timestamp;
use std::collections::BTreeMap;
use store::clock;

/// A host as an organization sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DefendedHost {
    /// Which.
    pub host: Host,
    /// The highest score of a credential there.
    pub score: u32,
    /// Until when the last of its credentials is banned there.
    pub banned_until: Option<Timestamp>,
}

impl Management {
    /// The hosts that have a score or a ban, by address.
    pub async fn defended_hosts(&self, caller: &Caller) -> Result<Vec<DefendedHost>, ManagementError> {
        caller.require(Right::SeeDefender)?;
        let mut hosts: BTreeMap<Host, DefendedHost> = BTreeMap::new();
        for known in self.scores.known(&caller.organization, clock::now()).await? {
            let new = DefendedHost { host: known.host, score: 0, banned_until: None };
            let host = hosts.entry(known.host).or_insert(new);
            host.score = host.score.max(known.score);
            host.banned_until = host.banned_until.max(known.banned_until);
        }
        Ok(hosts.into_values().collect())
    }

    /// One of them.
    pub async fn defended_host(&self, caller: &Caller, host: Host) -> Result<DefendedHost, ManagementError> {
        let all = self.defended_hosts(caller).await?;
        all.into_iter().find(|known| known.host == host).ok_or(ManagementError::NotFound("host"))
    }

    /// Forgets the scores of a host and ends its bans, on all nodes within seconds.
    pub async fn forgive_host(&self, caller: &Caller, host: Host) -> Result<(), ManagementError> {
        caller.require(Right::ForgiveHosts)?;
        let known = self.scores.forget(&caller.organization, host).await?;
        if !known {
            return Err(ManagementError::NotFound("host"));
        }
        let forgiven = announced::changed(ChangedKind::Host, ChangedHow::Deleted, host, host);
        Ok(self.announce(announced::by(caller, forgiven)).await?)
    }
}
