//! What a scrape shows, in the text form of OpenMetrics. Names end in Prometheus' units; each says
//! in the text itself what it is.

use crate::door::Doors;
use app::budget::Budget;
use app::meters::Meters;
use domain::event::Protocol;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use std::fmt;

/// Reads everything when it is asked for it.
pub(super) struct Numbers {
    pub(super) doors: Doors,
    pub(super) budget: Budget,
    pub(super) meters: Meters,
}

impl fmt::Debug for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Numbers")
    }
}

type Rows<'a, T> = &'a [(&'a [(&'a str, &'a str)], T)];

fn counters(encoder: &mut DescriptorEncoder, name: &str, help: &str, rows: Rows<'_, u64>) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, ConstCounter::new(0_u64).metric_type())?;
    if let [([], value)] = rows {
        return ConstCounter::new(*value).encode(family);
    }
    for (labels, value) in rows {
        ConstCounter::new(*value).encode(family.encode_family(labels)?)?;
    }
    Ok(())
}

fn gauges(encoder: &mut DescriptorEncoder, name: &str, help: &str, rows: Rows<'_, i64>) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, ConstGauge::new(0_i64).metric_type())?;
    if let [([], value)] = rows {
        return ConstGauge::new(*value).encode(family);
    }
    for (labels, value) in rows {
        ConstGauge::new(*value).encode(family.encode_family(labels)?)?;
    }
    Ok(())
}

impl Collector for Numbers {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let to = &mut encoder;
        let open = i64::try_from(self.doors.open_connections()).unwrap_or(i64::MAX);
        gauges(to, "towpath_connections", "Open connections of clients, logged in or not", &[(&[], open)])?;
        let refused = self.doors.refused_connections();
        counters(to, "towpath_connections_refused", "Connections that a limit refused", &[(&[], refused)])?;

        let (unbelieved, headless) = self.doors.connections_without_header();
        counters(
            to,
            "towpath_proxy_connections_closed",
            "Connections closed where PROXY headers are required, by reason",
            &[(&[("reason", "untrusted")], unbelieved), (&[("reason", "header")], headless)],
        )?;

        let files = &self.meters.files;
        counters(
            to,
            "towpath_transfer_bytes",
            "Bytes of files, as clients sent and received them",
            &[
                (&[("direction", "upload")], files.received_bytes.get()),
                (&[("direction", "download")], files.sent_bytes.get()),
            ],
        )?;
        counters(
            to,
            "towpath_uploads",
            "Uploads by their end; failed are also those that their client took back",
            &[
                (&[("result", "stored")], files.uploads_stored.get()),
                (&[("result", "failed")], files.uploads_failed.get()),
                (&[("result", "interrupted")], files.uploads_interrupted.get()),
            ],
        )?;
        counters(to, "towpath_downloads", "Downloads that were closed", &[(&[], files.downloads.get())])?;
        let (sftp, ftps) = (self.meters.logins.at(Protocol::Sftp), self.meters.logins.at(Protocol::Ftps));
        counters(
            to,
            "towpath_logins",
            "Attempts to log in, by door and result",
            &[
                (&[("door", "sftp"), ("result", "accepted")], sftp.accepted.get()),
                (&[("door", "sftp"), ("result", "refused")], sftp.refused.get()),
                (&[("door", "sftp"), ("result", "unavailable")], sftp.unavailable.get()),
                (&[("door", "ftps"), ("result", "accepted")], ftps.accepted.get()),
                (&[("door", "ftps"), ("result", "refused")], ftps.refused.get()),
                (&[("door", "ftps"), ("result", "unavailable")], ftps.unavailable.get()),
            ],
        )?;

        let pools = self.budget.pools();
        let bytes = |bytes: usize| i64::try_from(bytes).unwrap_or(i64::MAX);
        let labels = pools.map(|pool| [("pool", pool.name)]);
        let all: Vec<(&[(&str, &str)], i64)> =
            labels.iter().zip(pools).map(|(labels, pool)| (&labels[..], bytes(pool.all))).collect();
        gauges(to, "towpath_memory_budget_bytes", "Memory for transfers, by pool", &all)?;
        let used: Vec<(&[(&str, &str)], i64)> = labels
            .iter()
            .zip(pools)
            .map(|(labels, pool)| (&labels[..], bytes(pool.all.saturating_sub(pool.free))))
            .collect();
        gauges(to, "towpath_memory_reserved_bytes", "Memory for transfers that is in use, by pool", &used)?;
        let version: &[(&str, &str)] = &[("version", env!("CARGO_PKG_VERSION"))];
        gauges(to, "towpath_build_info", "The version that runs", &[(version, 1)])
    }
}
