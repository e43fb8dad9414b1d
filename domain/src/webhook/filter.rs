//! Filters of a webhook: which events of its topics it wants to hear of. All must hold.

use crate::event::{ActorKind, Event, FileSubject};
use crate::invalid::Invalid;
use regex_lite::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

/// How many filters a webhook may have.
pub const MAX_FILTERS: usize = 20;
/// The most characters of a value.
pub const MAX_VALUE: usize = 1_000;
/// How many of them may be regular expressions, and the most bytes that one may take when it is compiled. Matching takes time in
/// proportion to that and to the text, for each event, in a function that others wait for.
pub const MAX_EXPRESSIONS: usize = 3;
const EXPRESSION_BYTES: usize = 8 * 1024;

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Field {
    /// The path of the file or folder, as deliveries name it, but not encoded: `in/orders.csv`, a folder with a slash at its end.
    Path,
    /// Who did it: the user name of a credential, the name of an admin, the id of a key or a share link.
    ActorId,
    /// What kind of actor: `User`, `Admin`, `ShareLink`, `IAM`, `System`.
    ActorType,
}

/// How it is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operator {
    /// The same text.
    Is,
    /// Another text.
    IsNot,
    /// The text is in it.
    Contains,
    /// The text is not in it.
    NotContains,
    /// It begins with the text.
    StartsWith,
    /// It ends with the text.
    EndsWith,
    /// A regular expression is found in it.
    Matches,
}

/// One filter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    field: Field,
    operator: Operator,
    value: String,
}

impl Filter {
    /// A filter, if its value can be used.
    pub fn new(field: Field, operator: Operator, value: &str) -> Result<Self, Invalid> {
        if value.is_empty() || value.chars().count() > MAX_VALUE {
            return Err(Invalid::new(format!("must have 1 to {MAX_VALUE} characters")));
        }
        // deliveries name paths without the first slash, people often with it
        let from_root = matches!(operator, Operator::Is | Operator::IsNot | Operator::StartsWith);
        let value = if field == Field::Path && from_root { value.trim_start_matches('/') } else { value };
        if operator == Operator::Matches {
            expression(value)
                .map_err(|error| Invalid::new(format!("is no regular expression that can be used: {error}")))?;
        }
        Ok(Self { field, operator, value: value.to_owned() })
    }

    /// What is looked at.
    pub fn field(&self) -> Field {
        self.field
    }

    /// How it is compared.
    pub fn operator(&self) -> Operator {
        self.operator
    }

    /// With what.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether it lets an event pass. Of a rename one of its paths is enough.
    pub fn passes(&self, event: &Event) -> bool {
        match self.field {
            Field::ActorId => self.holds(&event.actor.id),
            Field::ActorType => self.holds(kind_of(event.actor.kind)),
            Field::Path => {
                let mut paths = event.file.iter().chain(&event.previous).map(path_of).peekable();
                if paths.peek().is_none() {
                    return self.holds("");
                }
                paths.any(|path| self.holds(&path))
            }
        }
    }

    fn holds(&self, text: &str) -> bool {
        let value = self.value.as_str();
        match self.operator {
            Operator::Is => text == value,
            Operator::IsNot => text != value,
            Operator::Contains => text.contains(value),
            Operator::NotContains => !text.contains(value),
            Operator::StartsWith => text.starts_with(value),
            Operator::EndsWith => text.ends_with(value),
            // it was one when it was set
            Operator::Matches => expression(value).is_ok_and(|expression| expression.is_match(text)),
        }
    }
}

/// Whether a webhook may have these.
pub fn check(filters: &[Filter]) -> Result<(), Invalid> {
    let expressions = filters.iter().filter(|filter| filter.operator == Operator::Matches).count();
    if expressions > MAX_EXPRESSIONS {
        return Err(Invalid::new(format!("may hold at most {MAX_EXPRESSIONS} regular expressions")));
    }
    Ok(())
}

/// Compiled; without a way to go back, so that no text makes it slow.
fn expression(text: &str) -> Result<Regex, regex_lite::Error> {
    RegexBuilder::new(text).size_limit(EXPRESSION_BYTES).nest_limit(20).build()
}

fn path_of(file: &FileSubject) -> String {
    let slash = if file.folder { "/" } else { "" };
    format!("{}{slash}", file.path.relative())
}

const fn kind_of(kind: ActorKind) -> &'static str {
    match kind {
        ActorKind::User => "User",
        ActorKind::Admin => "Admin",
        ActorKind::ShareLink => "ShareLink",
        ActorKind::Iam => "IAM",
        ActorKind::System => "System",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Topic;
    use crate::path::VPath;
    use crate::webhook::tests::event;
    use proptest::prelude::*;

    fn passes(field: Field, operator: Operator, value: &str, event: &Event) -> bool {
        Filter::new(field, operator, value).unwrap().passes(event)
    }

    fn at(path: &str, folder: bool) -> Event {
        let path = VPath::parse(path).unwrap();
        Event { file: Some(FileSubject { path, folder, size: None }), ..event(Topic::FileCreated) }
    }

    #[test]
    fn paths_are_compared_as_they_are_told_and_not_encoded() {
        let file = at("/in/a b.csv", false);
        for (operator, value, holds) in [
            (Operator::Is, "in/a b.csv", true),
            (Operator::Is, "/in/a b.csv", true),
            (Operator::IsNot, "in/a b.csv", false),
            (Operator::Contains, "a b", true),
            (Operator::NotContains, "a+b", true),
            (Operator::StartsWith, "in/", true),
            (Operator::StartsWith, "/in/", true),
            (Operator::StartsWith, "n/", false),
            (Operator::EndsWith, ".csv", true),
            (Operator::Matches, r"^in/.*\.(csv|txt)$", true),
            (Operator::Matches, r"^/", false),
        ] {
            assert_eq!(passes(Field::Path, operator, value, &file), holds, "{operator:?} {value}");
        }
        assert!(passes(Field::Path, Operator::Is, "in/d/", &at("/in/d", true)));
    }

    #[test]
    fn of_a_rename_one_path_is_enough() {
        let mut renamed = at("/out/x", false);
        renamed.previous = at("/in/x", false).file;
        assert!(passes(Field::Path, Operator::StartsWith, "in/", &renamed));
        assert!(passes(Field::Path, Operator::StartsWith, "out/", &renamed));
        assert!(!passes(Field::Path, Operator::StartsWith, "else/", &renamed));
    }

    #[test]
    fn actors_are_compared_and_what_has_no_path_is_empty() {
        let mut login = event(Topic::Login);
        login.file = None;
        assert!(!passes(Field::Path, Operator::StartsWith, "in/", &login));
        assert!(passes(Field::Path, Operator::NotContains, "in/", &login));
        assert!(passes(Field::ActorType, Operator::Is, "User", &login));
        assert!(passes(Field::ActorType, Operator::IsNot, "Admin", &login));
        assert!(passes(Field::ActorId, Operator::Is, &login.actor.id, &login));
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        let refused = |operator, value: &str| Filter::new(Field::Path, operator, value).unwrap_err().to_string();
        assert_eq!(refused(Operator::Is, ""), "must have 1 to 1000 characters");
        assert_eq!(refused(Operator::Is, &"x".repeat(1001)), "must have 1 to 1000 characters");
        assert!(refused(Operator::Matches, "(").starts_with("is no regular expression that can be used"));
        // one that grows beyond all bounds
        assert!(refused(Operator::Matches, "((a{100}){100}){100}").starts_with("is no regular expression"));
    }

    #[test]
    fn a_webhook_may_have_few_expressions() {
        let of = |operator, many| vec![Filter::new(Field::Path, operator, "in/").unwrap(); many];
        assert!(check(&of(Operator::Is, MAX_FILTERS)).is_ok() && check(&of(Operator::Matches, 3)).is_ok());
        assert_eq!(check(&of(Operator::Matches, 4)).unwrap_err().to_string(), "may hold at most 3 regular expressions");
    }

    #[test]
    fn no_text_makes_an_expression_slow() {
        let text = format!("/{0}/{0}/{0}/{0}", "a".repeat(200));
        // the largest that is taken
        let mut largest = String::from("(a*)*b$");
        while Filter::new(Field::Path, Operator::Matches, &format!("(a*)*{largest}")).is_ok() {
            largest.insert_str(0, "(a*)*");
        }
        let began = std::time::Instant::now();
        assert!(!passes(Field::Path, Operator::Matches, &largest, &at(&text, false)));
        // unoptimised, on a busy machine; optimised it takes a fiftieth
        assert!(began.elapsed().as_millis() < 1_000, "{:?} for {} characters", began.elapsed(), largest.len());
    }

    proptest! {
        #[test]
        fn a_filter_and_its_opposite_never_agree(path in "/[a-c/]{1,10}", value in "[a-c/]{1,3}") {
            let file = at(&path, false);
            for (one, other) in [(Operator::Is, Operator::IsNot), (Operator::Contains, Operator::NotContains)] {
                prop_assert_ne!(passes(Field::Path, one, &value, &file), passes(Field::Path, other, &value, &file));
            }
        }
    }
}
