//! `/api/v2/connections`: sessions on all nodes.

mod described;

use crate::http::error::ApiError;
use crate::http::extract::{Own, Segments};
use crate::management::ManagementState;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use domain::connection::{Connection, Transfer};
use domain::event::Protocol;
use domain::id::NodeId;
use serde_json::{Value, json};

pub(super) use described::describe;

pub(super) async fn list(State(state): State<ManagementState>, Own(caller): Own) -> Result<Response, ApiError> {
    let found = state.management().connections(&caller).await?;
    let now = store::clock::now();
    let shown: Vec<Value> = found.iter().map(|(node, connection)| show(node, connection, now.millis())).collect();
    Ok(Json(shown).into_response())
}

pub(super) async fn close(
    State(state): State<ManagementState>,
    Own(caller): Own,
    segments: Segments,
) -> Result<Response, ApiError> {
    let shown = segments.get("id");
    // `SFTP_<session id>`, as it is listed; the id alone will do
    let id = shown.split_once('_').map_or(shown, |(_, id)| id);
    state.management().close_connection(&caller, id).await?;
    Ok(Json(json!({ "message": "Connection closed" })).into_response())
}

/// SFTPGo's names of the doors.
fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Sftp => "SFTP",
        Protocol::Ftps => "FTP",
        Protocol::WebPortal | Protocol::Api => "HTTP",
    }
}

fn show(node: &NodeId, connection: &Connection, now: i64) -> Value {
    let door = protocol(connection.protocol);
    json!({
        "username": connection.user_name,
        "connection_id": format!("{door}_{}", connection.session_id),
        "client_version": connection.client,
        "remote_address": connection.client_ip,
        "connection_time": connection.since,
        "current_time": now,
        "command": "",
        "last_activity": connection.last_activity,
        "protocol": door,
        "active_transfers": connection.transfers.iter().map(transfer).collect::<Vec<_>>(),
        "node": node,
    })
}

fn transfer(transfer: &Transfer) -> Value {
    json!({
        "operation_type": transfer.direction,
        "path": transfer.path,
        "start_time": transfer.since,
        "size": transfer.bytes,
    })
}
