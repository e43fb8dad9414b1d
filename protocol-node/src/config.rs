//! The settings of a node, read from the environment once, at the start. An error names the variable.

use crate::door::{Limits, Proxy};
use crate::ftps;
use crate::host_keys::MIN_SECRET_BYTES;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use store::aws::AwsSettings;
use zeroize::Zeroizing;

/// Below this there is no room for one part of an upload beside everything else.
pub const MIN_MEMORY_BUDGET_MIB: usize = app::budget::Budget::LEAST_MIB;

/// A lease below this could pass while DynamoDB answers slowly; one above would keep a crash's leftovers for hours.
const LEASE_SECONDS: RangeInclusive<u64> = 10..=3600;
/// What is kept costs storage: a year is more than anybody waits.
const RESUME_HOURS: RangeInclusive<u64> = 0..=8760;
/// A sweep costs 16 small queries.
const SWEEP_SECONDS: RangeInclusive<u64> = 1..=3600;

/// Each passive port is a socket, and a few are shared by all sessions.
const MAX_PASSIVE_PORTS: usize = 1024;

/// Balancers have a subnet in each zone.
const MAX_NETWORKS: usize = 64;

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
    /// `TOWPATH_METRICS_LISTEN`, none: where `/healthz`, `/readyz` and `/metrics` are answered over HTTP.
    pub metrics_listen: Option<SocketAddr>,
    /// `TOWPATH_HOST_KEY_SECRET`: what the host keys are derived from, the same on all nodes.
    pub host_key_secret: Zeroizing<Vec<u8>>,
    /// `TOWPATH_SEALING_SECRET`: what sealed records are sealed with.
    pub sealing_secret: Zeroizing<String>,
    /// `TOWPATH_MEMORY_BUDGET_MIB`, 512: memory for transfers, in MiB.
    pub memory_budget_mib: usize,
    /// `TOWPATH_MAX_CONNECTIONS` (10,000), `TOWPATH_MAX_CONNECTIONS_PER_ADDRESS` (200), `TOWPATH_MAX_LOGGING_IN` (1,000).
    pub limits: Limits,
    /// `TOWPATH_DRAIN_SECONDS`, 30: how long transfers may go on after the signal to stop.
    pub drain: Duration,
    /// `TOWPATH_RESUME_HOURS`, 24: how long an upload whose connection broke can be continued; 0 throws it away at once.
    pub resume: Duration,
    /// `TOWPATH_LEASE_SECONDS`, 180: how long an operation that gives no sign of life is left alone.
    pub lease: Duration,
    /// `TOWPATH_SWEEP_SECONDS`, 30: how often the node looks for interrupted operations.
    pub sweep: Duration,
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
    #[error("{0} is not set")]
    Missing(&'static str),
    /// Its value is not shown, as it may be a secret.
    #[error("{variable} must be {expected}")]
    Invalid {
        /// Which.
        variable: &'static str,
        /// What it should be.
        expected: String,
    },
}

impl Config {
    /// Reads the environment of the process.
    #[expect(clippy::disallowed_methods, reason = "this is the one place for settings")]
    pub fn from_environment() -> Result<Self, ConfigError> {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    /// Reads any source of variables. An empty value counts as none.
    pub fn from_lookup(lookup: impl Fn(&'static str) -> Option<String>) -> Result<Self, ConfigError> {
        let source = Source(lookup);
        let mib = source.number("TOWPATH_MEMORY_BUDGET_MIB", 512)?;
        if mib < MIN_MEMORY_BUDGET_MIB {
            return Err(invalid("TOWPATH_MEMORY_BUDGET_MIB", format!("at least {MIN_MEMORY_BUDGET_MIB}")));
        }
        let secret = source.required("TOWPATH_HOST_KEY_SECRET")?.into_bytes();
        if secret.len() < MIN_SECRET_BYTES {
            let expected = format!("at least {MIN_SECRET_BYTES} bytes");
            return Err(invalid("TOWPATH_HOST_KEY_SECRET", expected));
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
            metrics_listen: source
                .optional("TOWPATH_METRICS_LISTEN")
                .map(|text| {
                    let expected = "an address and a port, such as 127.0.0.1:9464".to_owned();
                    text.parse().map_err(|_| invalid("TOWPATH_METRICS_LISTEN", expected))
                })
                .transpose()?,
            host_key_secret: Zeroizing::new(secret),
            sealing_secret: Zeroizing::new(source.required("TOWPATH_SEALING_SECRET")?),
            memory_budget_mib: mib,
            limits: Limits {
                connections: source.number("TOWPATH_MAX_CONNECTIONS", defaults.connections)?,
                per_address: source.number("TOWPATH_MAX_CONNECTIONS_PER_ADDRESS", defaults.per_address)?,
                logging_in: source.number("TOWPATH_MAX_LOGGING_IN", defaults.logging_in)?,
            },
            drain: Duration::from_secs(source.parsed("TOWPATH_DRAIN_SECONDS", 30, "a number of seconds")?),
            resume: Duration::from_secs(3600 * source.within("TOWPATH_RESUME_HOURS", 24, "hours", RESUME_HOURS)?),
            lease: source.seconds("TOWPATH_LEASE_SECONDS", 180, LEASE_SECONDS)?,
            sweep: source.seconds("TOWPATH_SWEEP_SECONDS", 30, SWEEP_SECONDS)?,
            stop_on_stdin_eof: source.choice("TOWPATH_STOP_ON_STDIN_EOF", &[("0", false), ("1", true)])?,
            ready_file: source.optional("TOWPATH_READY_FILE").map(PathBuf::from),
            log: source.optional("TOWPATH_LOG").unwrap_or_else(|| "info".to_owned()),
            log_format: source.choice("TOWPATH_LOG_FORMAT", &[("json", LogFormat::Json), ("text", LogFormat::Text)])?,
        })
    }
}

struct Source<F>(F);

impl<F: Fn(&'static str) -> Option<String>> Source<F> {
    fn optional(&self, name: &'static str) -> Option<String> {
        (self.0)(name).filter(|value| !value.is_empty())
    }

    fn required(&self, name: &'static str) -> Result<String, ConfigError> {
        self.optional(name).ok_or(ConfigError::Missing(name))
    }

    fn parsed<T: FromStr>(&self, variable: &'static str, default: T, expected: &str) -> Result<T, ConfigError> {
        match self.optional(variable) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| invalid(variable, expected.to_owned())),
        }
    }

    fn number(&self, variable: &'static str, default: usize) -> Result<usize, ConfigError> {
        let number = self.parsed(variable, default, "a number above 0")?;
        // the upper bound is that of a semaphore, far above anything sensible
        if (1..=usize::MAX >> 3).contains(&number) {
            Ok(number)
        } else {
            Err(invalid(variable, "a number above 0".to_owned()))
        }
    }

    /// A whole number of `unit` within limits.
    fn within(
        &self,
        variable: &'static str,
        default: u64,
        unit: &str,
        limits: RangeInclusive<u64>,
    ) -> Result<u64, ConfigError> {
        let expected = format!("a number of {unit} from {} to {}", limits.start(), limits.end());
        let number = self.parsed(variable, default, &expected)?;
        if limits.contains(&number) { Ok(number) } else { Err(invalid(variable, expected)) }
    }

    fn seconds(
        &self,
        variable: &'static str,
        default: u64,
        limits: RangeInclusive<u64>,
    ) -> Result<Duration, ConfigError> {
        self.within(variable, default, "seconds", limits).map(Duration::from_secs)
    }

    /// One of some words; the first is the default.
    fn choice<T: Copy>(&self, variable: &'static str, words: &[(&str, T)]) -> Result<T, ConfigError> {
        let text = self.optional(variable);
        let found = match &text {
            None => words.first(),
            Some(text) => words.iter().find(|(word, _)| word == text),
        };
        found.map(|(_, value)| *value).ok_or_else(|| {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            invalid(variable, words.join(" or "))
        })
    }

    /// FTPS needs a certificate with its key; one alone is a mistake.
    fn ftps(&self) -> Result<Option<ftps::Settings>, ConfigError> {
        let (certificate, key) = ("TOWPATH_FTPS_CERTIFICATE_FILE", "TOWPATH_FTPS_KEY_FILE");
        let certificate = match (self.optional(certificate), self.optional(key)) {
            (None, None) => return Ok(None),
            (Some(_), None) => return Err(ConfigError::Missing(key)),
            (None, Some(_)) => return Err(ConfigError::Missing(certificate)),
            (Some(certificate), Some(key)) => {
                ftps::CertificateFiles { certificate: certificate.into(), key: key.into() }
            }
        };
        let listen = |variable, port| {
            let expected = format!("an address and a port, such as 0.0.0.0:{port}");
            self.parsed(variable, SocketAddr::from(([0, 0, 0, 0], port)), &expected)
        };
        let passive_address = match self.optional("TOWPATH_FTPS_PASSIVE_ADDRESS") {
            None => None,
            Some(text) => {
                let address: Result<Ipv4Addr, _> = text.parse();
                Some(address.map_err(|_| invalid("TOWPATH_FTPS_PASSIVE_ADDRESS", "an IPv4 address".to_owned()))?)
            }
        };
        Ok(Some(ftps::Settings {
            listen: listen("TOWPATH_FTPS_LISTEN", 2121)?,
            implicit_listen: listen("TOWPATH_FTPS_IMPLICIT_LISTEN", 2990)?,
            passive_ports: self.ports("TOWPATH_FTPS_PASSIVE_PORTS", "50000-50009")?,
            passive_address,
            reuse_required: self.choice("TOWPATH_FTPS_SESSION_REUSE", &[("required", true), ("optional", false)])?,
            proxy: match self.optional("TOWPATH_FTPS_PROXY_PROTOCOL") {
                None => self.proxy("TOWPATH_PROXY_PROTOCOL")?,
                Some(_) => self.proxy("TOWPATH_FTPS_PROXY_PROTOCOL")?,
            },
            certificate,
        }))
    }

    /// Whether a door's connections begin with a PROXY header; if so, it must be said whom to believe.
    fn proxy(&self, mode: &'static str) -> Result<Proxy, ConfigError> {
        let trusted = self.networks("TOWPATH_PROXY_TRUSTED")?;
        match (self.choice(mode, &[("off", false), ("required", true)])?, trusted) {
            (false, _) => Ok(Proxy::Off),
            (true, Some(trusted)) => Ok(Proxy::Required(trusted.into())),
            (true, None) => Err(ConfigError::Missing("TOWPATH_PROXY_TRUSTED")),
        }
    }

    /// Networks in CIDR notation, or single addresses, between commas.
    fn networks(&self, variable: &'static str) -> Result<Option<Vec<IpNet>>, ConfigError> {
        let Some(text) = self.optional(variable) else { return Ok(None) };
        let network = |text: &str| {
            let text = text.trim();
            text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).ok()
        };
        let networks: Option<Vec<IpNet>> = text.split(',').map(network).collect();
        match networks {
            Some(networks) if networks.len() <= MAX_NETWORKS => Ok(Some(networks)),
            _ => {
                let expected = format!("at most {MAX_NETWORKS} networks, such as 10.0.1.0/24,10.0.2.0/24");
                Err(invalid(variable, expected))
            }
        }
    }

    /// One port, or a range with both its ends.
    fn ports(&self, variable: &'static str, default: &str) -> Result<Vec<u16>, ConfigError> {
        let text = self.optional(variable).unwrap_or_else(|| default.to_owned());
        let (first, last) = text.split_once('-').unwrap_or((&text, &text));
        let ports: Option<Vec<u16>> =
            first.parse().ok().zip(last.parse().ok()).map(|(first, last)| (first..=last).collect());
        match ports {
            Some(ports) if (1..=MAX_PASSIVE_PORTS).contains(&ports.len()) => Ok(ports),
            _ => Err(invalid(variable, format!("a range of at most {MAX_PASSIVE_PORTS} ports, such as {default}"))),
        }
    }

    fn aws(&self) -> Result<AwsSettings, ConfigError> {
        let endpoint = self.optional("AWS_ENDPOINT_URL");
        let static_credentials = match (self.optional("AWS_ACCESS_KEY_ID"), self.optional("AWS_SECRET_ACCESS_KEY")) {
            // without an endpoint the SDK's own chain finds them, with the session token that may belong to them
            _ if endpoint.is_none() => None,
            (Some(id), Some(secret)) => Some((id, secret)),
            (None, _) => return Err(ConfigError::Missing("AWS_ACCESS_KEY_ID")),
            (_, None) => return Err(ConfigError::Missing("AWS_SECRET_ACCESS_KEY")),
        };
        Ok(AwsSettings {
            endpoint,
            region: self.optional("AWS_REGION"),
            static_credentials,
            bucket: self.required("TOWPATH_BUCKET")?,
            bucket_owner: self.optional("TOWPATH_BUCKET_OWNER"),
            table: self.required("TOWPATH_TABLE")?,
            events_queue_url: self.required("TOWPATH_EVENTS_QUEUE_URL")?,
        })
    }
}

fn invalid(variable: &'static str, expected: String) -> ConfigError {
    ConfigError::Invalid { variable, expected }
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
        assert_eq!(read(&[certificate]).err(), Some(ConfigError::Missing("TOWPATH_FTPS_KEY_FILE")));
        assert_eq!(read(&[key]).err(), Some(ConfigError::Missing("TOWPATH_FTPS_CERTIFICATE_FILE")));
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
        ] {
            let error = read(&[certificate, key, (name, value)]).err().unwrap().to_string();
            assert!(error.contains(name), "{error}");
        }
        let one = read(&[certificate, key, ("TOWPATH_FTPS_PASSIVE_PORTS", "0")]).ok().unwrap();
        assert_eq!(one.ftps.unwrap().passive_ports, [0]);
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
        assert_eq!(read(&[required]).err(), Some(ConfigError::Missing("TOWPATH_PROXY_TRUSTED")));
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
        let error = read(&[endpoint]).err().unwrap();
        assert_eq!(error, ConfigError::Missing("AWS_ACCESS_KEY_ID"));
    }
}
