//! The addresses that webhooks are not sent to, because they are not on the public internet. The sender checks every
//! address of a receiver.
//!
//! The ranges come from IANA's registries of special-purpose addresses for
//! [IPv4](https://www.iana.org/assignments/iana-ipv4-special-registry/iana-ipv4-special-registry.xhtml) and
//! [IPv6](https://www.iana.org/assignments/iana-ipv6-special-registry/iana-ipv6-special-registry.xhtml) and of the
//! [IPv6 address space](https://www.iana.org/assignments/ipv6-address-space/ipv6-address-space.xhtml).
//! `IpAddr::is_global` of the standard library is unstable, and permits some forms that lead to IPv4 addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The first address of a range, the length of its prefix, and its name.
type Range4 = ([u8; 4], u32, &'static str);
type Range6 = ([u16; 8], u32, &'static str);

const RANGES_V4: [Range4; 15] = [
    ([0, 0, 0, 0], 8, "an address of this network"),
    ([10, 0, 0, 0], 8, "a private address"),
    ([100, 64, 0, 0], 10, "a shared address of a provider's network"),
    ([127, 0, 0, 0], 8, "a loopback address"),
    // Clouds serve the metadata of a machine, with its credentials, at 169.254.169.254.
    ([169, 254, 0, 0], 16, "a link-local address"),
    ([172, 16, 0, 0], 12, "a private address"),
    ([192, 0, 0, 0], 24, "a reserved address"),
    ([192, 0, 2, 0], 24, "an address for documentation"),
    ([192, 88, 99, 0], 24, "a reserved address"),
    ([192, 168, 0, 0], 16, "a private address"),
    ([198, 18, 0, 0], 15, "an address for benchmarks"),
    ([198, 51, 100, 0], 24, "an address for documentation"),
    ([203, 0, 113, 0], 24, "an address for documentation"),
    ([224, 0, 0, 0], 4, "a multicast address"),
    // The reserved range includes the broadcast address, 255.255.255.255.
    ([240, 0, 0, 0], 4, "a reserved address"),
];

/// The IPv6 ranges that are refused by name. All other addresses outside of 2000::/3 are refused too.
const RANGES_V6: [Range6; 15] = [
    ([0, 0, 0, 0, 0, 0, 0, 0], 128, "the unspecified address"),
    ([0, 0, 0, 0, 0, 0, 0, 1], 128, "a loopback address"),
    ([0, 0, 0, 0, 0, 0xffff, 0, 0], 96, "an IPv4-mapped address"),
    ([0, 0, 0, 0, 0, 0, 0, 0], 96, "an IPv4-compatible address"),
    ([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96, "a NAT64 address"),
    ([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48, "a NAT64 address"),
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 32, "a Teredo address"),
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, "a reserved address"),
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, "an address for documentation"),
    ([0x2002, 0, 0, 0, 0, 0, 0, 0], 16, "a 6to4 address"),
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, "an address for documentation"),
    // AWS serves the metadata of a machine at fd00:ec2::254.
    ([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, "a unique local address"),
    ([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, "a link-local address"),
    ([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10, "a site-local address"),
    ([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, "a multicast address"),
];

/// The kind of an address to which nothing may be sent, such as "a loopback address". `None` if the address is public.
pub(crate) fn refusal(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => refusal_v4(address),
        IpAddr::V6(address) => refusal_v6(address),
    }
}

fn refusal_v4(address: Ipv4Addr) -> Option<&'static str> {
    let contains = |(first, prefix, _): &&Range4| {
        (address.to_bits() ^ Ipv4Addr::from(*first).to_bits()).leading_zeros() >= *prefix
    };
    RANGES_V4.iter().find(contains).map(|(_, _, name)| *name)
}

fn refusal_v6(address: Ipv6Addr) -> Option<&'static str> {
    let contains = |(first, prefix, _): &&Range6| {
        (address.to_bits() ^ Ipv6Addr::from(*first).to_bits()).leading_zeros() >= *prefix
    };
    let is_global_unicast = address.segments()[0] >> 13 == 1;
    let named = RANGES_V6.iter().find(contains).map(|(_, _, name)| *name);
    named.or((!is_global_unicast).then_some("a reserved address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_an_address_that_is_not_public_is_refused() {
        let refused = [
            ("0.0.0.0", "an address of this network"),
            ("0.1.2.3", "an address of this network"),
            ("10.0.0.1", "a private address"),
            ("100.64.0.1", "a shared address of a provider's network"),
            ("100.127.255.255", "a shared address of a provider's network"),
            ("127.0.0.1", "a loopback address"),
            ("127.255.255.254", "a loopback address"),
            ("169.254.169.254", "a link-local address"),
            ("172.16.0.1", "a private address"),
            ("172.31.255.255", "a private address"),
            ("192.0.0.8", "a reserved address"),
            ("192.0.2.1", "an address for documentation"),
            ("192.88.99.1", "a reserved address"),
            ("192.168.1.1", "a private address"),
            ("198.19.0.1", "an address for benchmarks"),
            ("198.51.100.1", "an address for documentation"),
            ("203.0.113.1", "an address for documentation"),
            ("224.0.0.1", "a multicast address"),
            ("239.255.255.255", "a multicast address"),
            ("240.0.0.1", "a reserved address"),
            ("255.255.255.255", "a reserved address"),
            ("::", "the unspecified address"),
            ("::1", "a loopback address"),
            ("::ffff:127.0.0.1", "an IPv4-mapped address"),
            ("::ffff:8.8.8.8", "an IPv4-mapped address"),
            ("::127.0.0.1", "an IPv4-compatible address"),
            ("::ffff:0:127.0.0.1", "a reserved address"),
            ("64:ff9b::7f00:1", "a NAT64 address"),
            ("64:ff9b:1::7f00:1", "a NAT64 address"),
            ("100::1", "a reserved address"),
            ("2001::1", "a Teredo address"),
            ("2001:2::1", "a reserved address"),
            ("2001:20::1", "a reserved address"),
            ("2001:db8::1", "an address for documentation"),
            ("2002:7f00:1::", "a 6to4 address"),
            ("3fff::1", "an address for documentation"),
            ("4000::1", "a reserved address"),
            ("5f00::1", "a reserved address"),
            ("fc00::1", "a unique local address"),
            ("fd00:ec2::254", "a unique local address"),
            ("fe80::1", "a link-local address"),
            ("fec0::1", "a site-local address"),
            ("ff02::1", "a multicast address"),
        ];
        for (address, expected) in refused {
            assert_eq!(refusal(address.parse().unwrap()), Some(expected), "{address}");
        }
    }

    #[test]
    fn public_addresses_next_to_the_ranges_are_not_refused() {
        let public = [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.1",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2001:200::1",
            "2001:4860:4860::8888",
            "2003::1",
            "2606:4700::1111",
            "2a00::1",
            "3ffe::1",
            "3fff:1000::1",
        ];
        for address in public {
            assert_eq!(refusal(address.parse().unwrap()), None, "{address}");
        }
    }
}
