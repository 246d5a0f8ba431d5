//! Which addresses are ours.

use std::io;
use std::net::IpAddr;

/// The listen addresses one by one: 0.0.0.0 and :: become those of the
/// machine's interfaces. Link-local ones are left out, for they mean nothing
/// without the interface's name.
pub(crate) fn expand(listen: &[IpAddr]) -> io::Result<Vec<IpAddr>> {
    let mut addresses = Vec::new();
    for wanted in listen {
        if wanted.is_unspecified() {
            let found = if_addrs::get_if_addrs()?;
            let mut found: Vec<IpAddr> = found
                .into_iter()
                .filter(|interface| !interface.is_link_local())
                .map(|interface| interface.ip())
                .filter(|ip| ip.is_ipv4() == wanted.is_ipv4())
                .collect();
            // What others can reach first: it is what we call ourselves.
            found.sort_by_key(|ip| (ip.is_loopback(), *ip));
            addresses.extend(found);
        } else {
            addresses.push(*wanted);
        }
    }
    let mut seen = Vec::new();
    addresses.retain(|ip| {
        let fresh = !seen.contains(ip);
        seen.push(*ip);
        fresh
    });
    Ok(addresses)
}

/// The machine's name, where it has one.
pub(crate) fn host_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let name = name.trim().to_lowercase();
    let usual = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    (!name.is_empty() && name != "(none)" && name.bytes().all(usual)).then_some(name)
}

/// As it stands in a URI: IPv6 in brackets.
pub(crate) fn uri_host(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn wildcards_become_addresses_and_none_comes_twice() {
        let given = [
            Ipv4Addr::LOCALHOST.into(),
            Ipv4Addr::UNSPECIFIED.into(),
            Ipv6Addr::LOCALHOST.into(),
        ];
        let expanded = expand(&given).unwrap();
        assert_eq!(expanded[0], given[0]);
        assert!(!expanded.iter().any(IpAddr::is_unspecified));
        let loopbacks = expanded.iter().filter(|ip| **ip == given[0]).count();
        assert_eq!(loopbacks, 1);
        assert_eq!(uri_host(given[2]), "[::1]");
    }
}
