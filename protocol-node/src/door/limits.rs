//! How many connections there may be, over all doors.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The limits of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections in all.
    pub connections: usize,
    /// Connections from one address (IPv6: from one /64, which is what one customer has).
    pub per_address: usize,
    /// Connections that have not logged in yet.
    pub logging_in: usize,
    /// From the connection to the login.
    pub login: Duration,
    /// A logged-in client that asks nothing for so long is disconnected, even if it answers keepalives.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            per_address: 200,
            logging_in: 1_000,
            login: Duration::from_secs(60),
            idle: Duration::from_secs(900),
        }
    }
}

/// Counts connections.
#[derive(Debug)]
pub(crate) struct Counter {
    limits: Limits,
    all: Arc<Semaphore>,
    logging_in: Arc<Semaphore>,
    addresses: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// Which limit a new connection would exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Exceeded {
    #[error("TOWPATH_MAX_CONNECTIONS is reached")]
    Connections,
    #[error("TOWPATH_MAX_CONNECTIONS_PER_ADDRESS is reached")]
    PerAddress,
    #[error("TOWPATH_MAX_LOGGING_IN is reached")]
    LoggingIn,
}

/// A connection that is counted, and not yet under its client's address.
#[derive(Debug)]
pub(crate) struct Entered {
    all: OwnedSemaphorePermit,
    logging_in: OwnedSemaphorePermit,
}

/// A connection's place.
#[derive(Debug)]
pub(crate) struct Place {
    _all: OwnedSemaphorePermit,
    _address: AddressPlace,
    /// To be dropped at the login.
    pub(crate) logging_in: Option<OwnedSemaphorePermit>,
}

#[derive(Debug)]
struct AddressPlace {
    address: IpAddr,
    addresses: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Counter {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            all: Arc::new(Semaphore::new(limits.connections)),
            logging_in: Arc::new(Semaphore::new(limits.logging_in)),
            addresses: Arc::default(),
        }
    }

    /// Connections that have a place.
    pub(crate) fn open(&self) -> usize {
        self.limits.connections.saturating_sub(self.all.available_permits())
    }

    /// The first half of a place: a connection whose client is not known yet, as one behind a balancer.
    pub(crate) fn enter(&self) -> Result<Entered, Exceeded> {
        let take =
            |semaphore: &Arc<Semaphore>, exceeded| Arc::clone(semaphore).try_acquire_owned().map_err(|_| exceeded);
        let all = take(&self.all, Exceeded::Connections)?;
        Ok(Entered { all, logging_in: take(&self.logging_in, Exceeded::LoggingIn)? })
    }

    /// The other half: its client is at `address`.
    pub(crate) fn admit(&self, entered: Entered, address: IpAddr) -> Result<Place, Exceeded> {
        let address = customer(address);
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let count = addresses.entry(address).or_default();
        if *count >= self.limits.per_address {
            return Err(Exceeded::PerAddress);
        }
        *count += 1;
        drop(addresses);
        Ok(Place {
            _all: entered.all,
            _address: AddressPlace { address, addresses: Arc::clone(&self.addresses) },
            logging_in: Some(entered.logging_in),
        })
    }
}

impl Drop for AddressPlace {
    fn drop(&mut self) {
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = addresses.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                addresses.remove(&self.address);
            }
        }
    }
}

fn customer(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_given_back() {
        let counter = Counter::new(Limits { connections: 3, per_address: 2, logging_in: 3, ..Limits::default() });
        let one: IpAddr = "2001:db8::1".parse().unwrap();
        let same: IpAddr = "2001:db8::ffff:2".parse().unwrap();
        let other: IpAddr = "192.0.2.1".parse().unwrap();
        let admit = |address| counter.admit(counter.enter()?, address);
        let first = admit(one).unwrap();
        let second = admit(same).unwrap();
        assert_eq!(admit(one).unwrap_err(), Exceeded::PerAddress);
        // a client that is not known yet has a place of those in all
        let entered = counter.enter().unwrap();
        assert_eq!(counter.enter().unwrap_err(), Exceeded::Connections);
        let third = counter.admit(entered, other).unwrap();
        assert_eq!(admit(other).unwrap_err(), Exceeded::Connections);
        drop((first, second, third));
        let mut place = admit(one).unwrap();
        place.logging_in = None;
        drop(place);
        assert!(counter.addresses.lock().unwrap().is_empty());
        assert_eq!(counter.all.available_permits(), 3);
    }
}
