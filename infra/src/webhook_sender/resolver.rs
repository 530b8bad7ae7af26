//! Finds the addresses of a receiver, and pins connections to addresses that were checked. The sender resolves the name
//! of the receiver for each attempt. The HTTP client never resolves names.
//!
//! The answer for a name can change after the check. If the client resolved the name itself, it could connect to a
//! private address.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use consumer::webhooks::PostError;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::addresses::refusal;

/// The maximum number of names that are kept. At the maximum, a new name removes all others, which bounds the memory.
const MAX_NAMES: usize = 1000;

#[async_trait]
pub(crate) trait HostLookup: Send + Sync {
    async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

pub(crate) struct SystemLookup;

#[async_trait]
impl HostLookup for SystemLookup {
    async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// The checked addresses of each host name, from the latest check. The HTTP client connects only to these addresses.
#[derive(Debug, Clone, Default)]
pub(crate) struct CheckedAddresses(Arc<Mutex<HashMap<String, Vec<SocketAddr>>>>);

impl CheckedAddresses {
    fn pin(&self, name: &str, addresses: &[IpAddr]) {
        let mut names = self.lock();
        if names.len() >= MAX_NAMES && !names.contains_key(name) {
            names.clear();
        }
        // Port 0 is a placeholder: the client replaces it with the port of the URL.
        let addresses = addresses.iter().map(|address| SocketAddr::new(*address, 0)).collect();
        names.insert(name.to_owned(), addresses);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<SocketAddr>>> {
        // No code panics while it holds the lock.
        self.0.lock().expect("the map is intact")
    }
}

impl Resolve for CheckedAddresses {
    fn resolve(&self, name: Name) -> Resolving {
        let addresses = self.lock().get(name.as_str()).cloned();
        Box::pin(async move {
            let addresses = addresses.ok_or_else(|| io::Error::other("the name was not checked"))?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// Checks the addresses of a host, and pins connections to these addresses. The host must be written as in a parsed
/// URL. If one of the addresses is not public, the host is refused, unless `allow_private` is set.
pub(crate) async fn check(
    host: &str,
    lookup: &dyn HostLookup,
    pinned: &CheckedAddresses,
    allow_private: bool,
) -> Result<(), PostError> {
    // The parser of URLs rewrites every form of an IPv4 address, such as `0x7f.1`, as four numbers.
    if let Ok(address) = host.trim_matches(['[', ']']).parse() {
        return check_address(address, allow_private);
    }
    let addresses = lookup.lookup(host).await;
    let addresses =
        addresses.map_err(|error| PostError::Failed(format!("{host} cannot be resolved: {error}")))?;
    if addresses.is_empty() {
        return Err(PostError::Failed(format!("{host} has no address")));
    }
    addresses.iter().try_for_each(|address| check_address(*address, allow_private))?;
    pinned.pin(host, &addresses);
    Ok(())
}

fn check_address(address: IpAddr, allow_private: bool) -> Result<(), PostError> {
    match refusal(address).filter(|_| !allow_private) {
        Some(kind) => Err(PostError::Refused(format!(
            "nothing is sent to {address}, which is {kind}; ORDERS_WEBHOOKS_ALLOW_PRIVATE allows such addresses"
        ))),
        None => Ok(()),
    }
}
