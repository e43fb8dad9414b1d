//! Sessions on all nodes: who is connected, and the end of one.

use super::{Caller, Management, ManagementError, announced};
use domain::connection::{Close, Connection};
use domain::event::{ChangedHow, ChangedKind};
use domain::id::NodeId;
use domain::right::Right;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use store::clock;

/// Nodes that are asked for their sessions at once.
const NODES_AT_ONCE: usize = 8;

impl Management {
    /// The sessions of the organization, the oldest first, each with its node.
    pub async fn connections(&self, caller: &Caller) -> Result<Vec<(NodeId, Connection)>, ManagementError> {
        caller.require(Right::SeeConnections)?;
        self.all_connections(caller).await
    }

    /// Ends a session, on whichever node it is, within seconds.
    pub async fn close_connection(&self, caller: &Caller, session_id: &str) -> Result<(), ManagementError> {
        caller.require(Right::CloseConnections)?;
        let all = self.all_connections(caller).await?;
        let Some((_, ended)) = all.iter().find(|(_, connection)| connection.session_id == session_id) else {
            return Err(ManagementError::NotFound("connection"));
        };
        let close = Close::Session { organization: caller.organization.clone(), session_id: session_id.to_owned() };
        self.nodes.close(&close, clock::now()).await?;
        let ended = announced::changed(ChangedKind::Session, ChangedHow::Deleted, session_id, &ended.user_name);
        Ok(self.announce(announced::by(caller, ended)).await?)
    }

    async fn all_connections(&self, caller: &Caller) -> Result<Vec<(NodeId, Connection)>, ManagementError> {
        let alive = self.nodes.alive(clock::now()).await?;
        let asked = alive.into_iter().map(|node| async move {
            let found = self.nodes.sessions(&node, &caller.organization).await?;
            Ok::<_, ManagementError>(found.into_iter().map(|one| (node.clone(), one)).collect::<Vec<_>>())
        });
        let pages: Vec<_> = stream::iter(asked).buffer_unordered(NODES_AT_ONCE).try_collect().await?;
        let mut all: Vec<_> = pages.into_iter().flatten().collect();
        all.sort_by(|(_, one), (_, other)| (one.since, &one.session_id).cmp(&(other.since, &other.session_id)));
        Ok(all)
    }
}
