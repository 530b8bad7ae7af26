//! HTTP clients and servers for tests. They have no TLS, because reading the system's certificates for each client would be slow.

use std::net::TcpListener;
use std::sync::{Arc, LazyLock};

use axum::Router;

/// A client with the defaults of reqwest. Use this function instead of `Client::new`, which needs a TLS
/// provider that is installed for the whole process.
pub fn client() -> reqwest::Client {
    client_builder().build().unwrap()
}

/// A builder with the defaults of reqwest.
pub fn client_builder() -> reqwest::ClientBuilder {
    static TLS: LazyLock<rustls::ClientConfig> = LazyLock::new(|| {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider);
        let config = config.with_safe_default_protocol_versions().unwrap();
        config.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth()
    });
    reqwest::Client::builder().tls_backend_preconfigured(TLS.clone())
}

/// Serves the router until the runtime of the test ends. Returns its URL, without a path.
pub async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// Ports that were free a moment ago. Use this function only where a port must be known before its server
/// starts.
pub fn free_ports<const N: usize>() -> [u16; N] {
    // All listeners are open at the same time, so the ports differ.
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

/// A port that was free a moment ago. Use this function only where a port must be known before its server
/// starts.
pub fn free_port() -> u16 {
    let [port] = free_ports();
    port
}
