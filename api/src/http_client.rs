//! The HTTP client that this program uses for outgoing requests. Each caller adds further settings.

use anyhow::Context;
use hyper_rustls::ConfigBuilderExt;

/// Sets ring as the TLS provider of the process. Libraries that create their own clients use this provider.
pub fn install_tls_provider() {
    // An error means that a provider is already set.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A client that trusts the system's certificates, follows no redirects and ignores proxy variables.
///
/// The TLS provider is named explicitly, because a process may contain several providers.
pub fn builder() -> anyhow::Result<reqwest::ClientBuilder> {
    let tls = rustls::ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .context("cannot set up TLS")?
        .with_native_roots()
        .context("cannot read the certificates that this system trusts")?
        .with_no_client_auth();
    Ok(reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .http1_only()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .user_agent(concat!("orders/", env!("CARGO_PKG_VERSION"))))
}
