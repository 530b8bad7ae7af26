//! Parses and binds the addresses that servers listen on. Every role that serves HTTP or metrics uses this module.

use std::io::ErrorKind;
use std::net::{SocketAddr, ToSocketAddrs};

use tokio::net::TcpListener;

/// Parses `127.0.0.1:8080` or `[::1]:8080`, or resolves a name and a port. A name's first IPv4 address is preferred,
/// because some machines resolve `localhost` to `::1` without having that address. The error text continues a sentence
/// that begins with the address.
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !name.is_empty() && !name.contains(':') => (name, port),
        _ => {
            let examples = "such as 127.0.0.1:8080, localhost:8080 or [::1]:8080";
            return Err(format!("is not an address and a port, {examples}"));
        }
    };
    let port: u16 = port.parse().map_err(|_| "has no port from 0 to 65535 after its colon".to_owned())?;
    let resolved = (name, port).to_socket_addrs();
    let addresses: Vec<_> =
        resolved.map_err(|error| format!("has a name that cannot be resolved: {error}"))?.collect();
    let first = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
    first.copied().ok_or_else(|| "has a name that resolves to no address".to_owned())
}

/// Binds the address. The error names the flag and suggests a remedy.
pub(crate) async fn bind(address: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let hint = match error.kind() {
            ErrorKind::AddrInUse => {
                ": another process listens on this address; stop that process, or choose another port"
            }
            ErrorKind::AddrNotAvailable => ": this machine does not have that address",
            ErrorKind::PermissionDenied => ": this user may not use that port; choose a port above 1023",
            _ => "",
        };
        anyhow::anyhow!("cannot listen on {address} ({flag}): {error}{hint}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_be_a_name() {
        assert_eq!(address("127.0.0.1:8080").unwrap().to_string(), "127.0.0.1:8080");
        assert_eq!(address("[::1]:0").unwrap().to_string(), "[::1]:0");
        let named = address("localhost:8080").unwrap();
        assert!(named.ip().is_loopback() && named.port() == 8080, "{named}");
    }

    #[test]
    fn an_invalid_address_is_refused_with_a_reason() {
        for (text, reason) in [
            ("", "not an address and a port"),
            ("here", "not an address and a port"),
            (":8080", "not an address and a port"),
            ("::1:8080x", "not an address and a port"),
            ("localhost:", "no port"),
            ("localhost:http", "no port"),
            ("127.0.0.1:65536", "no port"),
            ("no such name.invalid:1", "cannot be resolved"),
        ] {
            let error = address(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[tokio::test]
    async fn an_address_in_use_is_reported_with_its_flag_and_one_os_error() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let error = bind(taken.local_addr().unwrap(), "--listen").await.unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("--listen") && text.contains("another process"), "{text}");
        assert_eq!(text.matches("os error").count(), 1, "{text}");
    }
}
