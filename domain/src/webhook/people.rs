//! An event as people read it: in a chat or in a mail. Names of files come from partners, so nothing here is read as markup.

use crate::audit::path_text;
use crate::event::{Event, Topic};
use crate::iso8601;
use crate::queue_message::{Content, Delivery};
use serde_json::{Value, json};

/// The longest text of one line: chats refuse long ones.
const LONGEST: usize = 1000;

/// A headline, and what there is to know.
pub struct Told {
    /// In one line.
    pub headline: String,
    /// A name and what it is.
    pub facts: Vec<(&'static str, String)>,
}

/// What a delivery tells.
pub fn told(delivery: &Delivery) -> Told {
    match &delivery.content {
        Content::Event { event } => told_of(event),
        Content::Ping { actor, created_at, .. } => Told {
            headline: format!("{}: this webhook works", Topic::WebhookPing),
            facts: vec![("By", plain(&actor.id)), ("At", iso8601::seconds(*created_at).unwrap_or_default())],
        },
    }
}

/// What an event is.
pub fn told_of(event: &Event) -> Told {
    let path = |file: &crate::event::FileSubject| plain(&path_text(file));
    let subject = match (&event.file, event.changed.as_deref()) {
        (Some(file), _) => path(file),
        (None, Some(changed)) if changed.name.is_empty() => plain(&changed.id),
        (None, Some(changed)) => plain(&changed.name),
        (None, None) => plain(&event.actor.id),
    };
    let by = plain(&format!("{:?} {}", event.actor.kind, event.actor.id));
    let mut facts = vec![("By", by), ("At", iso8601::seconds(event.created_at).unwrap_or_default())];
    facts.extend(event.previous.as_ref().map(|previous| ("Before", path(previous))));
    facts.extend(event.file.as_ref().and_then(|file| file.size).map(|size| ("Bytes", size.to_string())));
    facts.extend(event.reason.as_ref().map(|reason| ("Why", plain(reason))));
    facts.extend(event.origin.as_ref().map(|origin| ("From", origin.client_ip.to_string())));
    Told { headline: format!("{}: {subject}", event.topic), facts }
}

impl Told {
    /// As text.
    pub fn text(&self) -> String {
        let facts: Vec<String> = self.facts.iter().map(|(name, what)| format!("{name}: {what}\n")).collect();
        format!("{}\n\n{}", self.headline, facts.concat())
    }
}

/// A Slack message of blocks, all plain text; `text` is what notifications show.
pub fn slack(delivery: &Delivery) -> Value {
    let told = told(delivery);
    let plain_text = |text: String| json!({ "type": "plain_text", "text": text, "emoji": false });
    let facts: Vec<Value> = told.facts.iter().map(|(name, what)| plain_text(format!("{name}: {what}"))).collect();
    json!({
        // here Slack knows no plain text, but these three stand for all of its markup's beginnings
        "text": told.headline.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"),
        "blocks": [
            { "type": "section", "text": plain_text(told.headline.clone()) },
            { "type": "context", "elements": facts },
        ],
    })
}

/// A message with an adaptive card for Microsoft Teams. Its text blocks read Markdown, text runs do not.
pub fn teams(delivery: &Delivery) -> Value {
    let told = told(delivery);
    let line = |runs: Value| json!({ "type": "RichTextBlock", "inlines": runs });
    let run = |text: &str, weight: &str| json!({ "type": "TextRun", "text": text, "weight": weight });
    let mut lines = vec![line(json!([run(&told.headline, "Bolder")]))];
    lines.extend(
        told.facts.iter().map(|(name, what)| line(json!([run(&format!("{name}: "), "Bolder"), run(what, "Default")]))),
    );
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "body": lines,
            },
        }],
    })
}

/// One line of bounded length.
fn plain(text: &str) -> String {
    let mut text: String = text.chars().map(|one| if one.is_control() { ' ' } else { one }).collect();
    text.truncate(text.floor_char_boundary(LONGEST));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::VPath;
    use crate::webhook::tests::event;

    fn delivery(path: &str) -> Delivery {
        let mut event = event(Topic::FileRenamed);
        event.file.as_mut().unwrap().path = VPath::parse(path).unwrap();
        Delivery {
            id: "d".into(),
            organization: event.organization.clone(),
            webhook: "w".into(),
            failed_attempts: 0,
            round: None,
            slow: false,
            not_before: None,
            content: Content::Event { event: Box::new(event) },
        }
    }

    #[test]
    fn a_chat_is_told_what_who_and_when() {
        let delivery = delivery("/in/file 1.txt");
        let slack = slack(&delivery);
        assert_eq!(slack["text"], "file.renamed: /in/file 1.txt");
        assert_eq!(slack["blocks"][0]["text"]["text"], "file.renamed: /in/file 1.txt");
        let facts = slack["blocks"][1]["elements"].to_string();
        assert!(
            facts.contains("By: User ana") && facts.contains("At: 2020-06-02T") && facts.contains("Before: /old.txt")
        );
        let teams = teams(&delivery);
        let card = &teams["attachments"][0];
        assert_eq!(card["contentType"], "application/vnd.microsoft.card.adaptive");
        assert_eq!(card["content"]["body"][0]["inlines"][0]["text"], "file.renamed: /in/file 1.txt");
    }

    #[test]
    fn a_name_is_no_markup() {
        let delivery = delivery("/<!channel> [here](https:x)");
        assert_eq!(slack(&delivery)["text"], "file.renamed: /&lt;!channel&gt; [here](https:x)");
        assert!(!slack(&delivery).to_string().contains("mrkdwn"));
        // what reads Markdown; `RichTextBlock` does not
        assert!(!teams(&delivery).to_string().contains("\"TextBlock\""));
    }
}
