//! What the developer chooses: the port base and the state folder.

use std::path::PathBuf;

/// The first port when nothing is chosen.
const DEFAULT_PORT_BASE: u16 = 8420;
/// How many ports follow each other.
const PORTS: u16 = 10;

/// What the developer chose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Where everything is kept between two starts.
    pub(crate) state: PathBuf,
    /// Whether tokens are signed with a new key from this start on.
    pub(crate) new_signing_key: bool,
    port_base: u16,
}

/// A choice that cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SettingsError {
    #[error("{source} must be a number from 1024 to {}", u16::MAX - PORTS, source = .0)]
    PortBase(&'static str),
    #[error("TOWPATH_SIGNING_PASSPHRASE must be `random` or unset: `make dev` keeps one in its folder")]
    Signing,
    #[error("unknown argument `{0}`; the program takes --port-base <number>")]
    Argument(String),
}

/// The ports, in this order from the base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ports {
    /// REST.
    pub(crate) api: u16,
    /// DynamoDB, S3 and SQS.
    pub(crate) aws: u16,
    /// SFTP.
    pub(crate) sftp: u16,
    /// FTPS, explicit.
    pub(crate) ftps: u16,
    /// FTPS, implicit.
    pub(crate) ftps_implicit: u16,
    /// Large bodies for the API.
    pub(crate) https: u16,
    /// The first and the last port for data connections of FTPS.
    pub(crate) ftps_passive: (u16, u16),
    /// The node's side port.
    pub(crate) metrics: u16,
}

impl Settings {
    /// From the arguments and the environment.
    pub(crate) fn read(
        arguments: impl IntoIterator<Item = String>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, SettingsError> {
        let number = |source, text: &str| {
            let base: Option<u16> = text.parse().ok();
            base.filter(|base| (1024..=u16::MAX - PORTS).contains(base)).ok_or(SettingsError::PortBase(source))
        };
        let mut port_base = match variable("TOWPATH_PORT_BASE").filter(|text| !text.is_empty()) {
            Some(text) => number("TOWPATH_PORT_BASE", &text)?,
            None => DEFAULT_PORT_BASE,
        };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            match argument.split_once('=') {
                Some(("--port-base", text)) => port_base = number("--port-base", text)?,
                None if argument == "--port-base" => {
                    port_base = number("--port-base", &arguments.next().unwrap_or_default())?;
                }
                _ => return Err(SettingsError::Argument(argument)),
            }
        }
        let new_signing_key = match variable("TOWPATH_SIGNING_PASSPHRASE").filter(|text| !text.is_empty()).as_deref() {
            None => false,
            Some("random") => true,
            Some(_) => return Err(SettingsError::Signing),
        };
        let state = variable("TOWPATH_STATE_DIR").filter(|text| !text.is_empty());
        let state = state.map_or_else(|| PathBuf::from(".towpath"), PathBuf::from);
        Ok(Self { state, new_signing_key, port_base })
    }

    /// Which part has which port.
    pub(crate) fn ports(&self) -> Ports {
        let base = self.port_base;
        Ports {
            api: base,
            aws: base + 1,
            sftp: base + 2,
            ftps: base + 3,
            ftps_implicit: base + 4,
            ftps_passive: (base + 5, base + 7),
            https: base + 8,
            metrics: base + 9,
        }
    }
}

impl Ports {
    /// Where the HTTPS door answers.
    pub(crate) fn https_url(self) -> String {
        format!("https://127.0.0.1:{}", self.https)
    }

    /// Every port with the name of its part.
    pub(crate) fn all(self) -> impl Iterator<Item = (&'static str, u16)> {
        let single = [
            ("REST API", self.api),
            ("offline AWS", self.aws),
            ("SFTP", self.sftp),
            ("FTPS", self.ftps),
            ("implicit FTPS", self.ftps_implicit),
            ("HTTPS door", self.https),
            ("node's metrics", self.metrics),
        ];
        let (first, last) = self.ftps_passive;
        single.into_iter().chain((first..=last).map(|port| ("data of FTPS", port)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let arguments = arguments.iter().map(|text| (*text).to_owned());
        Settings::read(arguments, |name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn an_argument_goes_before_the_environment() {
        assert_eq!(read(&[], &[]).unwrap().ports().sftp, 8422);
        assert_eq!(read(&[], &[]).unwrap().ports().all().count(), usize::from(PORTS));
        let both =
            read(&["--port-base", "9000"], &[("TOWPATH_PORT_BASE", "7000"), ("TOWPATH_STATE_DIR", "/x")]).unwrap();
        assert_eq!((both.ports().api, both.state), (9000, PathBuf::from("/x")));
        assert_eq!(read(&["--port-base=9001"], &[]).unwrap().ports().aws, 9002);
    }

    #[test]
    fn errors_name_what_is_wrong() {
        assert_eq!(read(&["--port-base", "80"], &[]), Err(SettingsError::PortBase("--port-base")));
        assert_eq!(read(&[], &[("TOWPATH_PORT_BASE", "x")]), Err(SettingsError::PortBase("TOWPATH_PORT_BASE")));
        let signing =
            |value| read(&[], &[("TOWPATH_SIGNING_PASSPHRASE", value)]).map(|settings| settings.new_signing_key);
        assert_eq!((signing("random"), signing("")), (Ok(true), Ok(false)));
        assert_eq!(signing("of my own"), Err(SettingsError::Signing));
        assert_eq!(read(&["--port"], &[]), Err(SettingsError::Argument("--port".into())));
        assert!(
            SettingsError::PortBase("TOWPATH_PORT_BASE").to_string().contains("TOWPATH_PORT_BASE must be a number")
        );
    }
}
