//! HTTP clients for tests, without TLS. Reading the system's certificates for each client would be slow.

use std::sync::{Arc, LazyLock};

/// A client with reqwest's defaults. Use it instead of `Client::new`, which needs a TLS provider of the process.
pub fn client() -> reqwest::Client {
    client_builder().build().unwrap()
}

/// A builder with reqwest's defaults.
pub fn client_builder() -> reqwest::ClientBuilder {
    static TLS: LazyLock<rustls::ClientConfig> = LazyLock::new(|| {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider);
        let config = config.with_safe_default_protocol_versions().unwrap();
        config.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth()
    });
    reqwest::Client::builder().tls_backend_preconfigured(TLS.clone())
}
