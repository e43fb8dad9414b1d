//! The configuration file that `TOWPATH_CONFIG` names, in TOML: `key = value` lines. The key of a variable is its name in
//! lower case, without `TOWPATH_`; [`KEYS`] is the list.
//!
//! Rule: the file is right as a whole or the node does not start. A key that is unknown, or whose value is of another type,
//! is an error that names file, line and key, and never the value. Secrets may stand in a file that its owner alone can read.

use super::ConfigError;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use zeroize::Zeroizing;

/// Far more than all settings with comments.
const MAX_BYTES: u64 = 1 << 20;

/// Rights of anybody but the owner.
const OTHERS: u32 = 0o077;

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// `"…"`.
    Text,
    /// A whole number.
    Number,
    /// `true` or `false`: `1` or `0` of the variable.
    Switch,
    /// `["…", "…"]`: with commas between them in the variable.
    List,
    /// As [`Self::Text`], and nobody else's business.
    Secret,
}

/// Every variable that may stand in a file.
const KEYS: &[(&str, Kind)] = &[
    ("AWS_REGION", Kind::Text),
    ("TOWPATH_BUCKET", Kind::Text),
    ("TOWPATH_BUCKET_OWNER", Kind::Text),
    ("TOWPATH_TABLE", Kind::Text),
    ("TOWPATH_EVENTS_QUEUE_URL", Kind::Text),
    ("TOWPATH_SEALING_SECRET", Kind::Secret),
    ("TOWPATH_HOST_KEY_SECRET", Kind::Secret),
    ("TOWPATH_SFTP_LISTEN", Kind::Text),
    ("TOWPATH_FTPS_CERTIFICATE_FILE", Kind::Text),
    ("TOWPATH_FTPS_KEY_FILE", Kind::Text),
    ("TOWPATH_FTPS_LISTEN", Kind::Text),
    ("TOWPATH_FTPS_IMPLICIT_LISTEN", Kind::Text),
    ("TOWPATH_FTPS_PASSIVE_PORTS", Kind::Text),
    ("TOWPATH_FTPS_PASSIVE_ADDRESS", Kind::Text),
    ("TOWPATH_FTPS_SESSION_REUSE", Kind::Text),
    ("TOWPATH_FTPS_CLIENT_CERTIFICATES", Kind::Text),
    ("TOWPATH_PROXY_PROTOCOL", Kind::Text),
    ("TOWPATH_FTPS_PROXY_PROTOCOL", Kind::Text),
    ("TOWPATH_PROXY_TRUSTED", Kind::List),
    ("TOWPATH_HTTPS_LISTEN", Kind::Text),
    ("TOWPATH_HTTPS_TLS", Kind::Text),
    ("TOWPATH_HTTPS_CERTIFICATE_FILE", Kind::Text),
    ("TOWPATH_HTTPS_KEY_FILE", Kind::Text),
    ("TOWPATH_HTTPS_PROXY_PROTOCOL", Kind::Text),
    ("TOWPATH_TICKET_SECRET", Kind::Secret),
    ("TOWPATH_METRICS_LISTEN", Kind::Text),
    ("TOWPATH_MEMORY_BUDGET_MIB", Kind::Number),
    ("TOWPATH_MAX_CONNECTIONS", Kind::Number),
    ("TOWPATH_MAX_CONNECTIONS_PER_ADDRESS", Kind::Number),
    ("TOWPATH_MAX_LOGGING_IN", Kind::Number),
    ("TOWPATH_LOGIN_SECONDS", Kind::Number),
    ("TOWPATH_IDLE_SECONDS", Kind::Number),
    ("TOWPATH_DRAIN_SECONDS", Kind::Number),
    ("TOWPATH_RESUME_HOURS", Kind::Number),
    ("TOWPATH_LEASE_SECONDS", Kind::Number),
    ("TOWPATH_SWEEP_SECONDS", Kind::Number),
    ("TOWPATH_DEFENDER", Kind::Text),
    ("TOWPATH_STOP_ON_STDIN_EOF", Kind::Switch),
    ("TOWPATH_READY_FILE", Kind::Text),
    ("TOWPATH_LOG", Kind::Text),
    ("TOWPATH_LOG_FORMAT", Kind::Text),
];

/// What a file says. No Debug output: it may hold secrets.
pub(super) struct File {
    path: PathBuf,
    values: BTreeMap<&'static str, Value>,
}

struct Value {
    text: Zeroizing<String>,
    line: usize,
}

/// The key of a variable.
fn key(variable: &str) -> String {
    variable.strip_prefix("TOWPATH_").unwrap_or(variable).to_ascii_lowercase()
}

impl File {
    /// Reads it.
    pub(super) fn read(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |error: std::io::Error| {
            ConfigError::File(format!("TOWPATH_CONFIG: {} cannot be read: {error}", path.display()))
        };
        let file = std::fs::File::open(path).map_err(unreadable)?;
        let mode = file.metadata().map_err(unreadable)?.mode();
        let mut text = Zeroizing::new(String::new());
        file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
        if text.len() as u64 > MAX_BYTES {
            return Err(ConfigError::File(format!("TOWPATH_CONFIG: {} is over {MAX_BYTES} bytes", path.display())));
        }
        let read = Self::parse(path, &text)?;
        match read.secret() {
            Some(secret) if mode & OTHERS != 0 => Err(ConfigError::File(format!(
                "{} holds a secret (`{}`) and can be used by others than its owner (mode {:03o}): `chmod 600` it, or set {secret} in the environment",
                path.display(),
                key(secret),
                mode & 0o777,
            ))),
            _ => Ok(read),
        }
    }

    fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let wrong = |at: usize, problem: &dyn Display| {
            ConfigError::File(format!("{} line {}: {problem}", path.display(), line_of(text, at)))
        };
        // the parser's own words say what it expected and not what is there
        let table =
            DeTable::parse(text).map_err(|error| wrong(error.span().map_or(0, |span| span.start), &error.message()))?;
        let mut values = BTreeMap::new();
        for (name, value) in table.get_ref() {
            let at = name.span().start;
            let name: &str = name.get_ref();
            let Some((variable, kind)) = KEYS.iter().find(|(variable, _)| key(variable) == name) else {
                return Err(wrong(at, &unknown(name)));
            };
            let Some(text_of) = kind.text(value) else {
                return Err(wrong(at, &format!("`{name}` must be {}", kind.expected())));
            };
            values.insert(*variable, Value { text: Zeroizing::new(text_of), line: line_of(text, at) });
        }
        Ok(Self { path: path.to_owned(), values })
    }

    /// The value of a variable, as the environment would have it.
    pub(super) fn get(&self, variable: &str) -> Option<&str> {
        self.values.get(variable).map(|value| value.text.as_str())
    }

    /// What a variable is called here, and where it stands.
    pub(super) fn name_of(&self, variable: &str) -> Option<String> {
        let value = self.values.get(variable)?;
        Some(format!("{} line {}: `{}`", self.path.display(), value.line, key(variable)))
    }

    /// Where a variable that is not set could be, if it may stand here.
    pub(super) fn place_for(&self, variable: &str) -> Option<String> {
        let (variable, _) = KEYS.iter().find(|(known, _)| *known == variable)?;
        Some(format!(", nor `{}` in {}", key(variable), self.path.display()))
    }

    /// A secret that stands in it.
    fn secret(&self) -> Option<&'static str> {
        let secrets = KEYS.iter().filter(|(_, kind)| *kind == Kind::Secret);
        secrets.map(|(variable, _)| *variable).find(|variable| self.values.contains_key(variable))
    }
}

impl Kind {
    fn text(self, value: &Spanned<DeValue<'_>>) -> Option<String> {
        match (self, value.get_ref()) {
            (Self::Text | Self::Secret, DeValue::String(text)) => Some(text.as_ref().to_owned()),
            (Self::Number, DeValue::Integer(number)) => {
                i64::from_str_radix(number.as_str(), number.radix()).ok().map(|number| number.to_string())
            }
            (Self::Switch, DeValue::Boolean(on)) => Some(u8::from(*on).to_string()),
            (Self::List, DeValue::Array(items)) => {
                let items: Option<Vec<&str>> = items.iter().map(|item| item.get_ref().as_str()).collect();
                items.map(|items| items.join(","))
            }
            _ => None,
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Text | Self::Secret => "text in quotes",
            Self::Number => "a whole number without quotes",
            Self::Switch => "true or false",
            Self::List => "a list of texts, such as [\"10.0.1.0/24\", \"10.0.2.0/24\"]",
        }
    }
}

fn unknown(name: &str) -> String {
    if name.starts_with("aws_") {
        return format!(
            "`{name}` cannot stand here: the AWS SDK looks for it in the environment, or in files of its own"
        );
    }
    format!(
        "there is no setting `{name}`; a key is a variable's name in lower case, without TOWPATH_, and there are no sections"
    )
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    pub(in crate::config) fn parse(text: &str) -> Result<File, ConfigError> {
        File::parse(Path::new("/etc/towpath.toml"), text)
    }

    pub(in crate::config) fn variables() -> Vec<&'static str> {
        KEYS.iter().map(|(variable, _)| *variable).collect()
    }

    #[test]
    fn values_are_what_the_environment_would_have() {
        let file = parse(
            "# a node\nsftp_listen = '0.0.0.0:22'\nmemory_budget_mib = 1_024\nmax_logging_in = 0x10\nstop_on_stdin_eof = true\n\
             proxy_trusted = [\n  \"10.0.1.0/24\",\n  \"10.0.2.0/24\",\n]\naws_region = \"eu-west-1\"\n",
        )
        .ok()
        .unwrap();
        for (variable, value) in [
            ("TOWPATH_SFTP_LISTEN", Some("0.0.0.0:22")),
            ("TOWPATH_MEMORY_BUDGET_MIB", Some("1024")),
            ("TOWPATH_MAX_LOGGING_IN", Some("16")),
            ("TOWPATH_STOP_ON_STDIN_EOF", Some("1")),
            ("TOWPATH_PROXY_TRUSTED", Some("10.0.1.0/24,10.0.2.0/24")),
            ("AWS_REGION", Some("eu-west-1")),
            ("TOWPATH_LOG", None),
        ] {
            assert_eq!(file.get(variable), value, "{variable}");
        }
        assert_eq!(file.name_of("AWS_REGION").unwrap(), "/etc/towpath.toml line 10: `aws_region`");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line_and_without_its_value() {
        for (text, expected) in [
            ("log = 'info'\nsftp_listn = 'xyzzy'\n", "line 2: there is no setting `sftp_listn`"),
            ("TOWPATH_LOG = 'xyzzy'\n", "line 1: there is no setting `TOWPATH_LOG`"),
            ("\n[sftp]\nlisten = 'xyzzy'\n", "line 2: there is no setting `sftp`"),
            ("sftp.listen = 'xyzzy'\n", "line 1: there is no setting `sftp`"),
            ("config = 'xyzzy'", "line 1: there is no setting `config`"),
            ("aws_secret_access_key = 'xyzzy'\n", "line 1: `aws_secret_access_key` cannot stand here"),
            ("memory_budget_mib = '512'\n", "line 1: `memory_budget_mib` must be a whole number without quotes"),
            ("memory_budget_mib = 1.5\n", "line 1: `memory_budget_mib` must be a whole number"),
            ("log = true\n", "line 1: `log` must be text in quotes"),
            ("stop_on_stdin_eof = 1\n", "line 1: `stop_on_stdin_eof` must be true or false"),
            ("proxy_trusted = '10.0.0.0/8'\n", "line 1: `proxy_trusted` must be a list of texts"),
            ("proxy_trusted = ['10.0.0.0/8', 1]\n", "line 1: `proxy_trusted` must be a list of texts"),
            ("log = 'a'\n\nlog = 'b'\n", "line 3: "),
            ("log = 'a'\nsealing_secret = \"xyzzy\n", "line 2: "),
            ("log = 'a'\nsealing_secret = xyzzy\n", "line 2: "),
        ] {
            let error = parse(text).err().unwrap().to_string();
            assert!(error.starts_with("/etc/towpath.toml "), "{error}");
            assert!(error.contains(expected), "{text}: {error}");
            assert!(!error.contains("xyzzy"), "{error}");
        }
    }

    #[test]
    fn secrets_are_for_the_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("towpath.toml");
        let read = |text: &str, mode| {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            File::read(&path).map(drop).map_err(|error| error.to_string())
        };
        let secret = "log = 'info'\nsealing_secret = 'xyzzy'\n";
        for mode in [0o644, 0o640, 0o660, 0o604, 0o620, 0o601] {
            let error = read(secret, mode).unwrap_err();
            assert!(
                error.contains(&format!("(`sealing_secret`) and can be used by others than its owner (mode {mode:o})")),
                "{error}"
            );
            assert!(error.contains("chmod 600") && !error.contains("xyzzy"), "{error}");
            assert_eq!(read("log = 'info'\n", mode), Ok(()), "without secrets anybody may read it");
        }
        assert_eq!(read(secret, 0o600), Ok(()));
        assert_eq!(read(secret, 0o400), Ok(()));
        assert!(File::read(&folder.path().join("nothing")).err().unwrap().to_string().contains("cannot be read"));
        assert!(read(&"#".repeat(1 << 21), 0o600).unwrap_err().contains("is over"));
    }
}
