//! Which addresses a delivery may go to: public ones. Everything that could be something of ours (the instance metadata
//! service, a database, the node's side port) is refused, however it is written.

use crate::invalid::Invalid;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The policy of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressPolicy {
    /// Public addresses by https: what production uses.
    #[default]
    PublicOnly,
    /// The same, and loopback by http for development.
    PublicAndLoopback,
}

impl AddressPolicy {
    /// Whether a delivery may go to `address`.
    pub fn check(self, address: IpAddr) -> Result<(), Invalid> {
        let loopback = address.is_loopback() && self.allows_loopback();
        let public = match address {
            IpAddr::V4(address) => is_public_v4(address),
            IpAddr::V6(address) => is_public_v6(address),
        };
        if loopback || public { Ok(()) } else { Err(Invalid::new("must be at a public address")) }
    }

    /// The development switch.
    pub fn allows_loopback(self) -> bool {
        self == Self::PublicAndLoopback
    }
}

/// The special-purpose registry of IPv4 (RFC 6890 and later entries).
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = matches!(
        (a, b, c),
        (0 | 10 | 127, ..)                  // this network, private, loopback
            | (100, 64..=127, _)            // CGNAT
            | (169, 254, _)                 // link-local, instance metadata
            | (172, 16..=31, _)             // private
            | (192, 168, _)                 // private
            | (192, 0, 0 | 2)               // protocol assignments, documentation
            | (192, 88, 99)                 // 6to4 relay
            | (192, 31, 196) | (192, 52, 193) | (192, 175, 48) // AS112, AMT
            | (198, 18 | 19, _)             // benchmarking
            | (198, 51, 100) | (203, 0, 113) // documentation
            | (224..=255, ..) // multicast, reserved, broadcast
    );
    !special
}

/// Only global unicast (2000::/3) without the ranges in it that lead elsewhere: mapped and translated IPv4 addresses lie
/// outside of it or are named here, so `::ffff:10.0.0.1`, `64:ff9b::a00:1` and `2002:a00:1::` are all refused.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let special = matches!(
        (a, b),
        (0x2001, 0..=0x01ff)       // protocol assignments, Teredo, ORCHID
            | (0x2001, 0x0db8)     // documentation
            | (0x2002, _)          // 6to4
            | (0x3fff, 0..=0x0fff) // documentation
    );
    a & 0xe000 == 0x2000 && !special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_ours_is_refused() {
        for bad in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "239.1.1.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:8.8.8.8",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "2001::1",
        ] {
            assert!(AddressPolicy::PublicOnly.check(bad.parse().unwrap()).is_err(), "{bad}");
        }
        for good in ["8.8.8.8", "100.63.0.1", "172.32.0.1", "2606:4700::1111", "2a00::1"] {
            assert!(AddressPolicy::PublicOnly.check(good.parse().unwrap()).is_ok(), "{good}");
        }
    }

    /// The first and the last address of each range, and the public ones around it: RFC 6890 and what came after it.
    #[test]
    fn each_range_ends_where_its_rfc_says() {
        let refused = |text: &str| AddressPolicy::PublicOnly.check(text.parse().unwrap()).is_err();
        for (first, last, before, after) in [
            ("0.0.0.0", "0.255.255.255", None, Some("1.0.0.0")), // RFC 791
            ("10.0.0.0", "10.255.255.255", Some("9.255.255.255"), Some("11.0.0.0")), // RFC 1918
            ("100.64.0.0", "100.127.255.255", Some("100.63.255.255"), Some("100.128.0.0")), // RFC 6598
            ("127.0.0.0", "127.255.255.255", Some("126.255.255.255"), Some("128.0.0.0")), // RFC 1122
            ("169.254.0.0", "169.254.255.255", Some("169.253.255.255"), Some("169.255.0.0")), // RFC 3927
            ("172.16.0.0", "172.31.255.255", Some("172.15.255.255"), Some("172.32.0.0")), // RFC 1918
            ("192.0.0.0", "192.0.0.255", Some("191.255.255.255"), Some("192.0.1.0")), // RFC 6890
            ("192.0.2.0", "192.0.2.255", Some("192.0.1.255"), Some("192.0.3.0")), // RFC 5737
            ("192.88.99.0", "192.88.99.255", Some("192.88.98.255"), Some("192.88.100.0")), // RFC 7526
            ("192.168.0.0", "192.168.255.255", Some("192.167.255.255"), Some("192.169.0.0")), // RFC 1918
            ("198.18.0.0", "198.19.255.255", Some("198.17.255.255"), Some("198.20.0.0")), // RFC 2544
            ("198.51.100.0", "198.51.100.255", Some("198.51.99.255"), Some("198.51.101.0")), // RFC 5737
            ("203.0.113.0", "203.0.113.255", Some("203.0.112.255"), Some("203.0.114.0")), // RFC 5737
            ("224.0.0.0", "255.255.255.255", Some("223.255.255.255"), None), // RFC 5771, RFC 1112
            ("::", "1fff:ffff::", None, Some("2003::")),         // outside of RFC 4291's 2000::/3
            ("::ffff:0.0.0.0", "::ffff:255.255.255.255", None, None), // RFC 4291, mapped
            ("64:ff9b::", "64:ff9b::ffff:ffff", None, None),     // RFC 6052, NAT64
            ("64:ff9b:1::", "64:ff9b:1:ffff::", None, None),     // RFC 8215
            ("100::", "100::ffff:ffff:ffff:ffff", None, None),   // RFC 6666
            ("2001::", "2001:1ff:ffff::", None, Some("2001:200::")), // RFC 2928, with Teredo
            ("2001:db8::", "2001:db8:ffff::", Some("2001:db7::"), Some("2001:db9::")), // RFC 3849
            ("2002::", "2002:ffff::", Some("2001:ffff::"), Some("2003::")), // RFC 3056, 6to4
            ("3fff::", "3fff:fff:ffff::", Some("3ffe::"), Some("3fff:1000::")), // RFC 9637
            ("4000::", "fbff::", None, None),                    // outside of 2000::/3
            ("fc00::", "fdff:ffff::", None, None),               // RFC 4193
            ("fe80::", "febf:ffff::", None, None),               // RFC 4291, link-local
            ("ff00::", "ffff:ffff::", None, None),               // RFC 4291, multicast
        ] {
            assert!(refused(first) && refused(last), "{first} to {last}");
            for public in [before, after].into_iter().flatten() {
                assert!(!refused(public), "{public}, beside {first} to {last}");
            }
        }
    }

    #[test]
    fn development_adds_loopback_and_nothing_else() {
        let policy = AddressPolicy::PublicAndLoopback;
        assert!(policy.check("127.0.0.1".parse().unwrap()).is_ok());
        assert!(policy.check("::1".parse().unwrap()).is_ok());
        assert!(policy.check("10.0.0.1".parse().unwrap()).is_err());
        assert!(policy.check("::ffff:127.0.0.1".parse().unwrap()).is_err());
    }
}
