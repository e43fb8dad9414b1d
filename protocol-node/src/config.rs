//! The settings of a node, read once, at the start: from the environment, and what it does not say, from the file that
//! `TOWPATH_CONFIG` names. An error names the variable, or the file's line and key.

mod file;
mod source;

use crate::door::{Limits, Proxy};
use crate::host_keys::MIN_SECRET_BYTES;
use crate::{ftps, https};
use file::File;
use source::Source;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;
use store::aws::AwsSettings;
use zeroize::Zeroizing;

/// Below this there is no room for one part of an upload beside everything else.
pub const MIN_MEMORY_BUDGET_MIB: usize = app::budget::Budget::LEAST_MIB;

/// People type passwords; a second factor comes on paper.
const LOGIN_SECONDS: RangeInclusive<u64> = 5..=600;
/// Clients keep connections for the next file; a day is for those that look once a day.
const IDLE_SECONDS: RangeInclusive<u64> = 10..=86_400;
/// A lease below this could pass while DynamoDB answers slowly; one above would keep a crash's leftovers for hours.
const LEASE_SECONDS: RangeInclusive<u64> = 10..=3600;
/// What is kept costs storage: a year is more than anybody waits.
const RESUME_HOURS: RangeInclusive<u64> = 0..=8760;
/// A sweep costs 16 small queries.
const SWEEP_SECONDS: RangeInclusive<u64> = 1..=3600;

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Everything that can be set. Has no `Debug`: it holds secrets.
pub struct Config {
    /// AWS and the names of what is used there.
    pub aws: AwsSettings,
    /// `TOWPATH_SFTP_LISTEN`, `0.0.0.0:2222`: where SFTP is offered. Port 0 takes any.
    pub sftp_listen: SocketAddr,
    /// `TOWPATH_PROXY_PROTOCOL`, `TOWPATH_PROXY_TRUSTED`: whether connections of SFTP begin with a PROXY header.
    pub sftp_proxy: Proxy,
    /// `TOWPATH_FTPS_…`: how FTPS is offered; not at all without a certificate.
    pub ftps: Option<ftps::Settings>,
    /// `TOWPATH_HTTPS_…`: the door for large bodies that the API sends here; none without `TOWPATH_HTTPS_LISTEN`.
    pub https: Option<https::Settings>,
    /// `TOWPATH_METRICS_LISTEN`, none: where `/healthz`, `/readyz` and `/metrics` are answered over HTTP.
    pub metrics_listen: Option<SocketAddr>,
    /// `TOWPATH_HOST_KEY_SECRET`: what the host keys are derived from, the same on all nodes.
    pub host_key_secret: Zeroizing<Vec<u8>>,
    /// `TOWPATH_SEALING_SECRET`: what sealed records are sealed with.
    pub sealing_secret: Zeroizing<String>,
    /// `TOWPATH_MEMORY_BUDGET_MIB`, 512: memory for transfers, in MiB.
    pub memory_budget_mib: usize,
    /// `TOWPATH_MAX_CONNECTIONS` (10,000), `TOWPATH_MAX_CONNECTIONS_PER_ADDRESS` (200), `TOWPATH_MAX_LOGGING_IN` (1,000),
    /// `TOWPATH_LOGIN_SECONDS` (60), `TOWPATH_IDLE_SECONDS` (900).
    pub limits: Limits,
    /// `TOWPATH_DRAIN_SECONDS`, 30: how long transfers may go on after the signal to stop.
    pub drain: Duration,
    /// `TOWPATH_RESUME_HOURS`, 24: how long an upload whose connection broke can be continued; 0 throws it away at once.
    pub resume: Duration,
    /// `TOWPATH_LEASE_SECONDS`, 180: how long an operation that gives no sign of life is left alone.
    pub lease: Duration,
    /// `TOWPATH_SWEEP_SECONDS`, 30: how often the node looks for interrupted operations.
    pub sweep: Duration,
    /// `TOWPATH_DEFENDER`, `on`: whether wrong passwords lead to bans.
    pub defender: bool,
    /// `TOWPATH_STOP_ON_STDIN_EOF`, `0`: `1` stops the node when its standard input ends, and so with its supervisor.
    pub stop_on_stdin_eof: bool,
    /// `TOWPATH_READY_FILE`: written once the node accepts connections; holds what the `listening` line says.
    pub ready_file: Option<PathBuf>,
    /// `TOWPATH_LOG`, `info`: a filter of `tracing-subscriber`.
    pub log: String,
    /// `TOWPATH_LOG_FORMAT`, `json`: or `text`.
    pub log_format: LogFormat,
}

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// It has no default.
    #[error("{variable} is not set{in_file}")]
    Missing {
        /// Which.
        variable: &'static str,
        /// Where else it could be.
        in_file: String,
    },
    /// Its value is not shown, as it may be a secret.
    #[error("{name} must be {expected}")]
    Invalid {
        /// Which: the variable, or its place in the file.
        name: String,
        /// What it should be.
        expected: String,
    },
    /// The file cannot be used.
    #[error("{0}")]
    File(String),
}

impl Config {
    /// Reads the environment of the process, and the file that it names.
    #[expect(clippy::disallowed_methods, reason = "this is the one place for settings")]
    pub fn from_environment() -> Result<Self, ConfigError> {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    /// Reads any source of variables, and the file that it names. An empty value counts as none.
    pub fn from_lookup(environment: impl Fn(&'static str) -> Option<String>) -> Result<Self, ConfigError> {
        let file = match environment("TOWPATH_CONFIG").filter(|path| !path.is_empty()) {
            Some(path) => Some(File::read(Path::new(&path))?),
            None => None,
        };
        Self::from_source(&Source { environment, file })
    }

    fn from_source<F: Fn(&'static str) -> Option<String>>(source: &Source<F>) -> Result<Self, ConfigError> {
        let mib = source.number("TOWPATH_MEMORY_BUDGET_MIB", 512)?;
        if mib < MIN_MEMORY_BUDGET_MIB {
            return Err(source.invalid("TOWPATH_MEMORY_BUDGET_MIB", format!("at least {MIN_MEMORY_BUDGET_MIB}")));
        }
        let secret = source.required("TOWPATH_HOST_KEY_SECRET")?.into_bytes();
        if secret.len() < MIN_SECRET_BYTES {
            let expected = format!("at least {MIN_SECRET_BYTES} bytes");
            return Err(source.invalid("TOWPATH_HOST_KEY_SECRET", expected));
        }
        let defaults = Limits::default();
        Ok(Self {
            aws: source.aws()?,
            sftp_listen: source.parsed(
                "TOWPATH_SFTP_LISTEN",
                SocketAddr::from(([0, 0, 0, 0], 2222)),
                "an address and a port, such as 0.0.0.0:2222",
            )?,
            sftp_proxy: source.proxy("TOWPATH_PROXY_PROTOCOL")?,
            ftps: source.ftps()?,
            https: source.https()?,
            metrics_listen: source
                .optional("TOWPATH_METRICS_LISTEN")
                .map(|text| {
                    let expected = "an address and a port, such as 127.0.0.1:9464";
                    text.parse().map_err(|_| source.invalid("TOWPATH_METRICS_LISTEN", expected))
                })
                .transpose()?,
            host_key_secret: Zeroizing::new(secret),
            sealing_secret: Zeroizing::new(source.required("TOWPATH_SEALING_SECRET")?),
            memory_budget_mib: mib,
            limits: Limits {
                connections: source.number("TOWPATH_MAX_CONNECTIONS", defaults.connections)?,
                per_address: source.number("TOWPATH_MAX_CONNECTIONS_PER_ADDRESS", defaults.per_address)?,
                logging_in: source.number("TOWPATH_MAX_LOGGING_IN", defaults.logging_in)?,
                login: source.seconds("TOWPATH_LOGIN_SECONDS", defaults.login.as_secs(), LOGIN_SECONDS)?,
                idle: source.seconds("TOWPATH_IDLE_SECONDS", defaults.idle.as_secs(), IDLE_SECONDS)?,
            },
            drain: Duration::from_secs(source.parsed("TOWPATH_DRAIN_SECONDS", 30, "a number of seconds")?),
            resume: Duration::from_secs(3600 * source.within("TOWPATH_RESUME_HOURS", 24, "hours", RESUME_HOURS)?),
            lease: source.seconds("TOWPATH_LEASE_SECONDS", 180, LEASE_SECONDS)?,
            sweep: source.seconds("TOWPATH_SWEEP_SECONDS", 30, SWEEP_SECONDS)?,
            defender: source.choice("TOWPATH_DEFENDER", &[("on", true), ("off", false)])?,
            stop_on_stdin_eof: source.choice("TOWPATH_STOP_ON_STDIN_EOF", &[("0", false), ("1", true)])?,
            ready_file: source.optional("TOWPATH_READY_FILE").map(PathBuf::from),
            log: source.optional("TOWPATH_LOG").unwrap_or_else(|| "info".to_owned()),
            log_format: source.choice("TOWPATH_LOG_FORMAT", &[("json", LogFormat::Json), ("text", LogFormat::Text)])?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &[(&str, &str)] = &[
        ("TOWPATH_BUCKET", "files"),
        ("TOWPATH_TABLE", "towpath"),
        ("TOWPATH_EVENTS_QUEUE_URL", "http://127.0.0.1:1/q"),
        ("TOWPATH_HOST_KEY_SECRET", "0123456789abcdef0123456789abcdef"),
        ("TOWPATH_SEALING_SECRET", "0123456789abcdef0123456789abcdef"),
    ];

    fn read(changes: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::from_lookup(|name| {
            let all = changes.iter().chain(BASE);
            all.into_iter().find(|(key, _)| *key == name).map(|(_, v)| (*v).to_owned())
        })
    }

    fn missing(variable: &'static str) -> Option<ConfigError> {
        Some(ConfigError::Missing { variable, in_file: String::new() })
    }

    /// With a file and without those that stand in it.
    fn read_with(file: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let lookup = |name| environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Config::from_source(&Source { environment: lookup, file: Some(file::tests::parse(file)?) })
    }

    const SECRETS: &[(&str, &str)] = &[BASE[3], BASE[4]];

    #[test]
    fn the_environment_goes_before_the_file() {
        let file = "bucket = 'files'\ntable = 'towpath'\nevents_queue_url = 'http://127.0.0.1:1/q'\nsweep_seconds = 7\nlog = 'warn'\n";
        let config = read_with(file, &[SECRETS, &[("TOWPATH_LOG", "debug"), ("TOWPATH_SWEEP_SECONDS", "")]].concat());
        let config = config.ok().unwrap();
        assert_eq!((config.aws.bucket.as_str(), config.log.as_str()), ("files", "debug"));
        assert_eq!(config.sweep, Duration::from_secs(7), "an empty variable counts as none");

        // a wrong value is named where it stands
        let wrong = format!("{file}lease_seconds = 9\n");
        let error = read_with(&wrong, SECRETS).err().unwrap().to_string();
        assert_eq!(error, "/etc/towpath.toml line 6: `lease_seconds` must be a number of seconds from 10 to 3600");
        let lease = ("TOWPATH_LEASE_SECONDS", "8");
        let error = read_with(&wrong, &[SECRETS, &[lease]].concat()).err().unwrap().to_string();
        assert_eq!(error, "TOWPATH_LEASE_SECONDS must be a number of seconds from 10 to 3600");
        let error = read_with(file, &[]).err().unwrap().to_string();
        assert_eq!(error, "TOWPATH_HOST_KEY_SECRET is not set, nor `host_key_secret` in /etc/towpath.toml");
    }

    #[test]
    fn the_file_is_found_by_its_variable() {
        let nowhere = read(&[("TOWPATH_CONFIG", "/nowhere/towpath.toml")]).err().unwrap().to_string();
        assert!(nowhere.starts_with("TOWPATH_CONFIG: /nowhere/towpath.toml cannot be read"), "{nowhere}");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("towpath.toml");
        std::fs::write(&path, "max_logging_in = 5\n").unwrap();
        let config = read(&[("TOWPATH_CONFIG", path.to_str().unwrap())]).ok().unwrap();
        assert_eq!(config.limits.logging_in, 5);
    }

    /// The variables that are asked for, the keys of the file and the documentation are the same list.
    #[test]
    fn every_variable_has_a_key_and_is_documented() {
        let asked = std::cell::RefCell::new(std::collections::BTreeSet::new());
        let tls = [
            ("TOWPATH_FTPS_CERTIFICATE_FILE", "/c"),
            ("TOWPATH_FTPS_KEY_FILE", "/k"),
            ("TOWPATH_HTTPS_LISTEN", "127.0.0.1:0"),
            ("TOWPATH_HTTPS_CERTIFICATE_FILE", "/c"),
            ("TOWPATH_HTTPS_KEY_FILE", "/k"),
            ("TOWPATH_TICKET_SECRET", "0123456789abcdef0123456789abcdef"),
        ];
        let read = Config::from_lookup(|name| {
            asked.borrow_mut().insert(name);
            BASE.iter().chain(&tls).find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        });
        assert!(read.is_ok());
        let asked = asked.into_inner();
        let only_environment = ["TOWPATH_CONFIG", "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
        let in_file: std::collections::BTreeSet<_> = file::tests::variables().into_iter().collect();
        let expected: Vec<_> = asked.iter().filter(|name| !only_environment.contains(name)).collect();
        assert_eq!(in_file.iter().collect::<Vec<_>>(), expected);
        let documented = include_str!("../../docs/SETTINGS.md");
        for name in asked {
            assert!(documented.contains(&format!("`{name}`")), "{name} is not in docs/SETTINGS.md");
        }
        let (_, example) = documented.split_once("```toml\n").unwrap();
        let (example, _) = example.split_once("```").unwrap();
        assert!(read_with(example, SECRETS).is_ok(), "the example cannot be used");
    }

    #[test]
    fn defaults() {
        let config = read(&[]).ok().unwrap();
        assert_eq!(config.sftp_listen.port(), 2222);
        assert_eq!(config.memory_budget_mib, 512);
        assert_eq!(config.log_format, LogFormat::Json);
        assert_eq!(config.drain, Duration::from_secs(30));
        assert_eq!((config.lease, config.sweep), (Duration::from_secs(180), Duration::from_secs(30)));
        assert!(!config.stop_on_stdin_eof);
    }

    #[test]
    fn ftps_is_off_without_a_certificate() {
        assert!(read(&[]).ok().unwrap().ftps.is_none());
        let certificate = ("TOWPATH_FTPS_CERTIFICATE_FILE", "/c");
        let key = ("TOWPATH_FTPS_KEY_FILE", "/k");
        assert_eq!(read(&[certificate]).err(), missing("TOWPATH_FTPS_KEY_FILE"));
        assert_eq!(read(&[key]).err(), missing("TOWPATH_FTPS_CERTIFICATE_FILE"));
        let ftps = read(&[certificate, key]).ok().unwrap().ftps.unwrap();
        assert_eq!((ftps.listen.port(), ftps.implicit_listen.port(), ftps.passive_ports.len()), (2121, 2990, 10));
        assert!(ftps.reuse_required && ftps.passive_address.is_none());
        for (name, value) in [
            ("TOWPATH_FTPS_LISTEN", "2121"),
            ("TOWPATH_FTPS_PASSIVE_PORTS", "5-4"),
            ("TOWPATH_FTPS_PASSIVE_PORTS", "1-65535"),
            ("TOWPATH_FTPS_PASSIVE_PORTS", "x"),
            ("TOWPATH_FTPS_PASSIVE_ADDRESS", "::1"),
            ("TOWPATH_FTPS_SESSION_REUSE", "yes"),
            ("TOWPATH_FTPS_CLIENT_CERTIFICATES", "required"),
        ] {
            let error = read(&[certificate, key, (name, value)]).err().unwrap().to_string();
            assert!(error.contains(name), "{error}");
        }
        let one = read(&[certificate, key, ("TOWPATH_FTPS_PASSIVE_PORTS", "0")]).ok().unwrap();
        assert_eq!(one.ftps.unwrap().passive_ports, [0]);
    }

    #[test]
    fn the_https_door_needs_an_address_a_certificate_and_a_secret() {
        assert!(read(&[]).ok().unwrap().https.is_none());
        let listen = ("TOWPATH_HTTPS_LISTEN", "127.0.0.1:8443");
        let certificate = [("TOWPATH_HTTPS_CERTIFICATE_FILE", "/c"), ("TOWPATH_HTTPS_KEY_FILE", "/k")];
        let secret = ("TOWPATH_TICKET_SECRET", "0123456789abcdef0123456789abcdef");
        assert_eq!(read(&[listen, secret]).err(), missing("TOWPATH_HTTPS_CERTIFICATE_FILE"));
        assert_eq!(read(&[listen, secret, certificate[0]]).err(), missing("TOWPATH_HTTPS_KEY_FILE"));
        assert_eq!(read(&[&[listen], &certificate[..]].concat()).err(), missing("TOWPATH_TICKET_SECRET"));
        let https = read(&[&[listen, secret], &certificate[..]].concat()).ok().unwrap().https.unwrap();
        assert!(https.certificate.is_some() && https.proxy == Proxy::Off);
        let balanced = read(&[listen, secret, ("TOWPATH_HTTPS_TLS", "balancer")]).ok().unwrap().https.unwrap();
        assert!(balanced.certificate.is_none());
        for (name, value) in
            [("TOWPATH_HTTPS_LISTEN", "8443"), ("TOWPATH_TICKET_SECRET", "short"), ("TOWPATH_HTTPS_TLS", "off")]
        {
            let error = read(&[&[(name, value), listen, secret], &certificate[..]].concat()).err().unwrap().to_string();
            assert!(error.contains(name) && !error.contains("short"), "{error}");
        }
    }

    #[test]
    fn a_proxy_header_is_required_of_balancers_that_are_named() {
        let (required, trusted) =
            (("TOWPATH_PROXY_PROTOCOL", "required"), ("TOWPATH_PROXY_TRUSTED", "10.0.0.0/8, ::1"));
        let tls = [("TOWPATH_FTPS_CERTIFICATE_FILE", "/c"), ("TOWPATH_FTPS_KEY_FILE", "/k")];
        let modes = |changes: &[(&str, &str)]| {
            let config = read(&[&tls[..], changes].concat()).ok().unwrap();
            [config.sftp_proxy, config.ftps.unwrap().proxy].map(|proxy| proxy != Proxy::Off)
        };
        assert_eq!(modes(&[trusted]), [false, false]);
        assert_eq!(modes(&[required, trusted]), [true, true]);
        assert_eq!(modes(&[required, trusted, ("TOWPATH_FTPS_PROXY_PROTOCOL", "off")]), [true, false]);
        assert_eq!(modes(&[trusted, ("TOWPATH_FTPS_PROXY_PROTOCOL", "required")]), [false, true]);
        assert_eq!(read(&[required]).err(), missing("TOWPATH_PROXY_TRUSTED"));
        for wrong in ["10.0.0.0/33", "balancer", "10.0.0.0/8,", "10.0.0.0/8 ::1", &["::1"; 65].join(",")] {
            let error = read(&[("TOWPATH_PROXY_TRUSTED", wrong)]).err().unwrap().to_string();
            assert!(error.starts_with("TOWPATH_PROXY_TRUSTED must be at most 64 networks"), "{error}");
        }
        assert!(read(&[trusted, ("TOWPATH_PROXY_PROTOCOL", "on")]).is_err());
    }

    #[test]
    fn errors_name_the_variable() {
        for (name, value) in [
            ("TOWPATH_BUCKET", ""),
            ("TOWPATH_SFTP_LISTEN", "here"),
            ("TOWPATH_METRICS_LISTEN", "9464"),
            ("TOWPATH_HOST_KEY_SECRET", "short"),
            ("TOWPATH_MEMORY_BUDGET_MIB", "85"),
            ("TOWPATH_MAX_CONNECTIONS", "0"),
            ("TOWPATH_LOG_FORMAT", "xml"),
            ("TOWPATH_STOP_ON_STDIN_EOF", "yes"),
            ("TOWPATH_DRAIN_SECONDS", "-1"),
            ("TOWPATH_LEASE_SECONDS", "9"),
            ("TOWPATH_SWEEP_SECONDS", "0"),
            ("TOWPATH_RESUME_HOURS", "8761"),
        ] {
            let error = read(&[(name, value)]).err().unwrap().to_string();
            assert!(error.contains(name), "{error}");
            assert!(!error.contains("short"), "{error}");
        }
        let endpoint = ("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
        assert_eq!(read(&[endpoint]).err(), missing("AWS_ACCESS_KEY_ID"));
    }
}
