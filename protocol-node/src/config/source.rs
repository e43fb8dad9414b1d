//! Where settings come from: the environment, and what it does not say, from the configuration file. Each value is named in
//! errors as it stands there.

use super::ConfigError;
use super::file::File;
use crate::door::{CertificateFiles, Proxy};
use crate::{ftps, https};
use app::tickets::Tickets;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;
use store::aws::AwsSettings;
use zeroize::Zeroizing;

/// Each passive port is a socket, and a few are shared by all sessions.
const MAX_PASSIVE_PORTS: usize = 1024;

/// Balancers have a subnet in each zone.
const MAX_NETWORKS: usize = 64;

pub(super) struct Source<F> {
    pub(super) environment: F,
    pub(super) file: Option<File>,
}

impl<F: Fn(&'static str) -> Option<String>> Source<F> {
    pub(super) fn optional(&self, variable: &'static str) -> Option<String> {
        let from_file = || self.file.as_ref()?.get(variable).map(str::to_owned);
        self.in_environment(variable).or_else(from_file).filter(|value| !value.is_empty())
    }

    /// An empty value counts as none.
    fn in_environment(&self, variable: &'static str) -> Option<String> {
        (self.environment)(variable).filter(|value| !value.is_empty())
    }

    pub(super) fn missing(&self, variable: &'static str) -> ConfigError {
        let in_file = self.file.as_ref().and_then(|file| file.place_for(variable));
        ConfigError::Missing { variable, in_file: in_file.unwrap_or_default() }
    }

    /// What a value that cannot be used is called, and what it should be. It is not shown, as it may be a secret.
    pub(super) fn invalid(&self, variable: &'static str, expected: impl Into<String>) -> ConfigError {
        let in_file = || self.file.as_ref()?.name_of(variable);
        let name = match self.in_environment(variable) {
            Some(_) => None,
            None => in_file(),
        };
        ConfigError::Invalid { name: name.unwrap_or_else(|| variable.to_owned()), expected: expected.into() }
    }

    pub(super) fn required(&self, variable: &'static str) -> Result<String, ConfigError> {
        self.optional(variable).ok_or_else(|| self.missing(variable))
    }

    pub(super) fn parsed<T: FromStr>(
        &self,
        variable: &'static str,
        default: T,
        expected: &str,
    ) -> Result<T, ConfigError> {
        match self.optional(variable) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| self.invalid(variable, expected.to_owned())),
        }
    }

    pub(super) fn number(&self, variable: &'static str, default: usize) -> Result<usize, ConfigError> {
        let number = self.parsed(variable, default, "a number above 0")?;
        // the upper bound is that of a semaphore, far above anything sensible
        if (1..=usize::MAX >> 3).contains(&number) {
            Ok(number)
        } else {
            Err(self.invalid(variable, "a number above 0".to_owned()))
        }
    }

    /// A whole number of `unit` within limits.
    pub(super) fn within(
        &self,
        variable: &'static str,
        default: u64,
        unit: &str,
        limits: RangeInclusive<u64>,
    ) -> Result<u64, ConfigError> {
        let expected = format!("a number of {unit} from {} to {}", limits.start(), limits.end());
        let number = self.parsed(variable, default, &expected)?;
        if limits.contains(&number) { Ok(number) } else { Err(self.invalid(variable, expected)) }
    }

    pub(super) fn seconds(
        &self,
        variable: &'static str,
        default: u64,
        limits: RangeInclusive<u64>,
    ) -> Result<Duration, ConfigError> {
        self.within(variable, default, "seconds", limits).map(Duration::from_secs)
    }

    /// One of some words; the first is the default.
    pub(super) fn choice<T: Copy>(&self, variable: &'static str, words: &[(&str, T)]) -> Result<T, ConfigError> {
        let text = self.optional(variable);
        let found = match &text {
            None => words.first(),
            Some(text) => words.iter().find(|(word, _)| word == text),
        };
        found.map(|(_, value)| *value).ok_or_else(|| {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.invalid(variable, words.join(" or "))
        })
    }

    /// FTPS needs a certificate with its key; one alone is a mistake.
    pub(super) fn ftps(&self) -> Result<Option<ftps::Settings>, ConfigError> {
        let certificate = self.certificate("TOWPATH_FTPS_CERTIFICATE_FILE", "TOWPATH_FTPS_KEY_FILE")?;
        let Some(certificate) = certificate else { return Ok(None) };
        let listen = |variable, port| {
            let expected = format!("an address and a port, such as 0.0.0.0:{port}");
            self.parsed(variable, SocketAddr::from(([0, 0, 0, 0], port)), &expected)
        };
        let passive_address = match self.optional("TOWPATH_FTPS_PASSIVE_ADDRESS") {
            None => None,
            Some(text) => {
                let address: Result<Ipv4Addr, _> = text.parse();
                Some(address.map_err(|_| self.invalid("TOWPATH_FTPS_PASSIVE_ADDRESS", "an IPv4 address".to_owned()))?)
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
            ask_clients: self.choice("TOWPATH_FTPS_CLIENT_CERTIFICATES", &[("optional", true), ("ignored", false)])?,
        }))
    }

    /// A certificate with its key; one alone is a mistake.
    fn certificate(
        &self,
        certificate: &'static str,
        key: &'static str,
    ) -> Result<Option<CertificateFiles>, ConfigError> {
        match (self.optional(certificate), self.optional(key)) {
            (None, None) => Ok(None),
            (Some(_), None) => Err(self.missing(key)),
            (None, Some(_)) => Err(self.missing(certificate)),
            (Some(certificate), Some(key)) => {
                Ok(Some(CertificateFiles { certificate: certificate.into(), key: key.into() }))
            }
        }
    }

    /// The HTTPS door, where it is said where it listens. Without a certificate of its own, a balancer must end TLS, and that must
    /// be said.
    pub(super) fn https(&self) -> Result<Option<https::Settings>, ConfigError> {
        let listen = "TOWPATH_HTTPS_LISTEN";
        let Some(text) = self.optional(listen) else { return Ok(None) };
        let address = text.parse().map_err(|_| self.invalid(listen, "an address and a port, such as 0.0.0.0:8443"))?;
        let (file, key) = ("TOWPATH_HTTPS_CERTIFICATE_FILE", "TOWPATH_HTTPS_KEY_FILE");
        let certificate = self.certificate(file, key)?;
        let balancer = self.choice("TOWPATH_HTTPS_TLS", &[("node", false), ("balancer", true)])?;
        if certificate.is_none() && !balancer {
            return Err(self.missing(file));
        }
        let secret = Zeroizing::new(self.required("TOWPATH_TICKET_SECRET")?);
        let tickets = Tickets::new(&secret);
        Ok(Some(https::Settings {
            listen: address,
            certificate: certificate.filter(|_| !balancer),
            proxy: match self.optional("TOWPATH_HTTPS_PROXY_PROTOCOL") {
                None => self.proxy("TOWPATH_PROXY_PROTOCOL")?,
                Some(_) => self.proxy("TOWPATH_HTTPS_PROXY_PROTOCOL")?,
            },
            tickets: tickets.map_err(|_| self.invalid("TOWPATH_TICKET_SECRET", "at least 32 characters"))?,
        }))
    }

    /// Whether a door's connections begin with a PROXY header; if so, it must be said whom to believe.
    pub(super) fn proxy(&self, mode: &'static str) -> Result<Proxy, ConfigError> {
        let trusted = self.networks("TOWPATH_PROXY_TRUSTED")?;
        match (self.choice(mode, &[("off", false), ("required", true)])?, trusted) {
            (false, _) => Ok(Proxy::Off),
            (true, Some(trusted)) => Ok(Proxy::Required(trusted.into())),
            (true, None) => Err(self.missing("TOWPATH_PROXY_TRUSTED")),
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
                Err(self.invalid(variable, expected))
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
            _ => {
                Err(self.invalid(variable, format!("a range of at most {MAX_PASSIVE_PORTS} ports, such as {default}")))
            }
        }
    }

    pub(super) fn aws(&self) -> Result<AwsSettings, ConfigError> {
        let endpoint = self.optional("AWS_ENDPOINT_URL");
        let static_credentials = match (self.optional("AWS_ACCESS_KEY_ID"), self.optional("AWS_SECRET_ACCESS_KEY")) {
            // without an endpoint the SDK's own chain finds them, with the session token that may belong to them
            _ if endpoint.is_none() => None,
            (Some(id), Some(secret)) => Some((id, secret)),
            (None, _) => return Err(self.missing("AWS_ACCESS_KEY_ID")),
            (_, None) => return Err(self.missing("AWS_SECRET_ACCESS_KEY")),
        };
        Ok(AwsSettings {
            endpoint,
            region: self.optional("AWS_REGION"),
            static_credentials,
            bucket: self.required("TOWPATH_BUCKET")?,
            bucket_owner: self.optional("TOWPATH_BUCKET_OWNER"),
            table: self.required("TOWPATH_TABLE")?,
            events_queue_url: self.required("TOWPATH_EVENTS_QUEUE_URL")?,
            ..AwsSettings::default()
        })
    }
}
