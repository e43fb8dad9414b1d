//! `Settings.Network.InboundRules`, of organizations and credentials.

pub(super) mod described;

use crate::http::fields::{Fields, one_of, parsed, text};
use domain::inbound::{InboundRule, MAX_RULES, RuleProtocol, Source};
use serde_json::{Value, json};

/// Reads the rules, if they are given.
pub(super) fn read(fields: &mut Fields) -> Option<Vec<InboundRule>> {
    fields
        .object("Settings", |settings| {
            settings.object("Network", |network| network.objects("InboundRules", MAX_RULES, rule)).flatten()
        })
        .flatten()
}

fn rule(fields: &mut Fields) -> Option<InboundRule> {
    let id = fields.take_nullable("Id", text(100));
    let protocol = fields.take("Protocol", parsed(RuleProtocol::parse)).unwrap_or(RuleProtocol::Any);
    let source = fields.require("Source", parsed(Source::parse));
    let enabled = fields.take("State", one_of::<RuleState>("enabled, disabled")).unwrap_or(RuleState::Enabled);
    fields.take("Action", one_of::<RuleAction>("allow"));
    let description = fields.take_nullable("Description", text(200)).flatten().unwrap_or_default();
    Some(InboundRule {
        id: id.flatten().unwrap_or_else(|| domain::id::uuid_text(store::clock::random())),
        protocol,
        source: source?,
        enabled: matches!(enabled, RuleState::Enabled),
        description,
    })
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum RuleState {
    Enabled,
    Disabled,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum RuleAction {
    Allow,
}

/// The rules as the API shows them.
pub(super) fn show(rules: &[InboundRule]) -> Value {
    let rules: Vec<Value> = rules
        .iter()
        .map(|rule| {
            json!({
                "Id": rule.id,
                "Protocol": rule.protocol.as_str(),
                "Source": rule.source.as_str(),
                "State": if rule.enabled { "enabled" } else { "disabled" },
                "Action": "allow",
                "Description": rule.description,
            })
        })
        .collect();
    json!({ "Network": { "InboundRules": rules } })
}
