//! Caches the issuer's keys and keeps them fresh. `token` finds keys here, and the readiness check asks whether any
//! keys are loaded.
//!
//! Requests trigger the loading of keys. A timer would not work in a Lambda function, where timers stop between
//! requests. A request waits for a load only if there are no keys, if the keys are too old, or if the issuer may have a
//! new key; otherwise the load runs in the background. Only one load runs at a time. It runs in a separate task, so
//! that a client that disconnects cannot cancel it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context, ensure};
use metrics::{counter, gauge};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::auth::jwk::{KeySet, SignatureAlgorithm, VerificationKey};
use crate::auth::refusal::AuthRefusal;
use crate::auth::source::{FileStamp, JwksEndpoint, JwksUrl, KeySource};

/// The intervals that decide when keys are loaded again and how long they may be used.
#[derive(Debug, Clone, Copy)]
pub struct KeyRefresh {
    /// How long keys are fresh if the issuer's answer has no `Cache-Control`.
    pub default_age: Duration,
    /// The minimum time for which keys are fresh.
    pub min_age: Duration,
    /// The maximum time for which keys are fresh.
    pub max_age: Duration,
    /// The minimum time between two loads that are caused by tokens with an unknown key.
    pub unknown_key: Duration,
    /// How long to wait after a failed load before the next load.
    pub retry: Duration,
    /// How long keys may be used after the last successful load. Keys are never fresh for longer than this time.
    pub max_stale: Duration,
}

impl KeyRefresh {
    /// The intervals for a URL.
    pub const URL: Self = Self {
        default_age: Duration::from_secs(5 * 60),
        min_age: Duration::from_secs(60),
        max_age: Duration::from_secs(10 * 60),
        unknown_key: Duration::from_secs(30),
        retry: Duration::from_secs(5),
        max_stale: Duration::from_secs(60 * 60),
    };
    /// The intervals for keys in a file. They are short, because checking a file for a change is cheap.
    pub const FILE: Self = Self {
        default_age: Duration::from_secs(2),
        min_age: Duration::from_secs(2),
        unknown_key: Duration::from_secs(2),
        retry: Duration::from_secs(2),
        ..Self::URL
    };
}

/// The cached keys of one issuer of tokens.
#[derive(Debug)]
pub struct IssuerKeys {
    source: KeySource,
    refresh: KeyRefresh,
    held: RwLock<Option<LoadedKeys>>,
    /// When keys were loaded, and the stamp of their file. A load holds the lock until it ends, so only one load runs
    /// at a time.
    loads: Arc<Mutex<LoadHistory>>,
    failing: AtomicBool,
}

#[derive(Debug, Clone)]
struct LoadedKeys {
    set: Arc<KeySet>,
    /// The time from which a request starts a load in the background.
    due: Instant,
    /// The time from which requests wait for a load instead of using the keys.
    stale: Instant,
    /// The time from which the keys must not be used.
    expires: Instant,
}

#[derive(Debug, Default)]
struct LoadHistory {
    /// When the last load ended.
    ended: Option<Instant>,
    /// When a token with an unknown key last started a load.
    unknown_key: Option<Instant>,
    /// The modification time and length of the file that the current keys were loaded from.
    stamp: Option<FileStamp>,
}

/// Why keys are loaded.
#[derive(Debug, Clone, Copy, PartialEq)]
enum LoadReason {
    Age,
    UnknownKey,
}

impl IssuerKeys {
    /// The keys of a JWKS file, which is read again when it changes.
    pub fn of_file(path: &Path, refresh: KeyRefresh) -> Arc<Self> {
        Self::of(KeySource::File(path.to_owned()), refresh)
    }

    /// The keys at a URL. Fails if the system's trusted certificates cannot be read.
    pub fn of_url(url: JwksUrl, refresh: KeyRefresh) -> anyhow::Result<Arc<Self>> {
        Ok(Self::of(KeySource::Url(Box::new(JwksEndpoint::new(url)?)), refresh))
    }

    fn of(source: KeySource, refresh: KeyRefresh) -> Arc<Self> {
        let (held, loads, failing) = Default::default();
        Arc::new(Self { source, refresh, held, loads, failing })
    }

    /// Loads the keys for the first time. If the load fails, a later request that needs keys tries again.
    pub async fn load(&self) -> anyhow::Result<()> {
        let mut loads = self.loads.lock().await;
        self.load_with(&mut loads, LoadReason::Age).await
    }

    /// Finds the key for a token whose header names `algorithm` and the key id `kid`. An unknown key triggers a load,
    /// because the issuer may have published a new key.
    pub(super) async fn find(
        self: &Arc<Self>,
        algorithm: SignatureAlgorithm,
        kid: Option<&str>,
    ) -> Result<Arc<VerificationKey>, AuthRefusal> {
        let set = self.current().await.ok_or(AuthRefusal::NoKeys)?;
        match set.find(algorithm, kid) {
            Err(AuthRefusal::UnknownKey) => {
                self.reload(LoadReason::UnknownKey).await;
                let held = self.held().ok_or(AuthRefusal::NoKeys)?;
                held.set.find(algorithm, kid)
            }
            found => found,
        }
    }

    /// The current keys. Keys that are too old are loaded again first.
    async fn current(self: &Arc<Self>) -> Option<Arc<KeySet>> {
        let now = Instant::now();
        match self.held() {
            Some(held) if now < held.due => Some(held.set),
            // If the keys are too old but loads fail, requests use the old keys instead of waiting for a load.
            Some(held) if now < held.stale || self.failing.load(Ordering::Relaxed) => {
                if let Ok(loads) = self.loads.clone().try_lock_owned() {
                    self.begin(loads, LoadReason::Age);
                }
                Some(held.set)
            }
            _ => {
                self.reload(LoadReason::Age).await;
                self.held().map(|held| held.set)
            }
        }
    }

    /// The loaded keys. `None` if no keys are loaded, or if the keys have expired.
    fn held(&self) -> Option<LoadedKeys> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        held.as_ref().filter(|held| Instant::now() < held.expires).cloned()
    }

    /// Loads the keys now, even if they are fresh.
    pub async fn reload_now(&self) -> anyhow::Result<()> {
        let mut loads = self.loads.lock().await;
        // The reason `UnknownKey` makes the load read a file even if the file's stamp is unchanged.
        self.load_with(&mut loads, LoadReason::UnknownKey).await
    }

    /// Whether any keys are loaded. Without keys, no token can be verified. Keys that are too old are loaded again
    /// first.
    pub(crate) async fn are_available(self: &Arc<Self>) -> bool {
        let set = self.current().await;
        self.count();
        set.is_some()
    }

    /// Sets the metric of the loaded keys. The first load happens before a metrics recorder is installed, and keys can expire
    /// without a load.
    pub fn count(&self) {
        gauge!("orders_jwks_keys").set(self.held().map_or(0, |held| held.set.len()) as f64);
    }

    /// Loads the keys and waits until the load has ended. Starts no load if another one ends while this call waits for
    /// the lock.
    async fn reload(self: &Arc<Self>, why: LoadReason) {
        let asked = Instant::now();
        let loads = self.loads.clone().lock_owned().await;
        // Another request may have loaded the keys while this request waited for the lock.
        if loads.ended.is_none_or(|ended| ended < asked)
            && let Some(load) = self.begin(loads, why)
        {
            // An error means that the load panicked. It can be ignored, because the keys are then unchanged.
            let _ = load.await;
        }
    }

    /// Starts a load in a task of its own. Returns `None` if the last load was too recent.
    fn begin(
        self: &Arc<Self>,
        mut loads: OwnedMutexGuard<LoadHistory>,
        why: LoadReason,
    ) -> Option<JoinHandle<()>> {
        let now = Instant::now();
        let (last, pause) = match why {
            LoadReason::Age if self.failing.load(Ordering::Relaxed) => (loads.ended, self.refresh.retry),
            LoadReason::Age => (None, Duration::ZERO),
            LoadReason::UnknownKey => (loads.unknown_key, self.refresh.unknown_key),
        };
        if last.is_some_and(|last| now < last + pause) {
            return None;
        }
        if why == LoadReason::UnknownKey {
            loads.unknown_key = Some(now);
        }
        let keys = Arc::clone(self);
        Some(tokio::spawn(async move {
            // The error can be ignored here, because `load_with` has logged it.
            let _ = keys.load_with(&mut loads, why).await;
        }))
    }

    async fn load_with(&self, loads: &mut LoadHistory, why: LoadReason) -> anyhow::Result<()> {
        let loaded = self.loaded(loads, why).await;
        loads.ended = Some(Instant::now());
        counter!("orders_jwks_loads_total", "result" => if loaded.is_ok() { "ok" } else { "failed" })
            .increment(1);
        let failed_before = self.failing.swap(loaded.is_err(), Ordering::Relaxed);
        match &loaded {
            Err(error) if !failed_before => {
                let consequence = if self.held().is_some() {
                    format!("using the old keys for up to {} s", self.refresh.max_stale.as_secs())
                } else {
                    "there are no keys, so no token is accepted".to_owned()
                };
                let error = format!("{error:#}");
                tracing::warn!(error, "cannot load the keys of the issuer; {consequence}");
            }
            Ok(()) if failed_before => tracing::info!("the keys of the issuer can be loaded again"),
            _ => {}
        }
        if let Err(error) = &loaded {
            self.drop_expired(loads, error);
        }
        loaded
    }

    /// Removes the keys if they have expired. `error` is the reason why no new keys were loaded.
    fn drop_expired(&self, loads: &mut LoadHistory, error: &anyhow::Error) {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        if held.as_ref().is_some_and(|held| Instant::now() >= held.expires) {
            *held = None;
            loads.stamp = None;
            gauge!("orders_jwks_keys").set(0);
            let (error, seconds) = (format!("{error:#}"), self.refresh.max_stale.as_secs());
            tracing::error!(
                error,
                seconds,
                "the keys of the issuer have expired: no token is accepted until new ones can be loaded"
            );
        }
    }

    async fn loaded(&self, loads: &mut LoadHistory, why: LoadReason) -> anyhow::Result<()> {
        // A file may change although its stamp stays the same. So if a token has an unknown key, the file is read in
        // any case.
        let unless = loads.stamp.filter(|_| why == LoadReason::Age);
        let (set, age) = match self.source.load(unless).await? {
            Some(published) => {
                let set = KeySet::parse(&published.json).context("invalid key set")?;
                self.check_count(&set)?;
                loads.stamp = published.stamp;
                (Some(Arc::new(set)), published.max_age.unwrap_or(self.refresh.default_age))
            }
            None => (None, self.refresh.default_age),
        };
        let KeyRefresh { min_age, max_age, max_stale, .. } = self.refresh;
        let age = age.clamp(min_age, max_age).min(max_stale);
        let now = Instant::now();
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        // If no set was loaded, the file is unchanged, and the current keys are kept. There are current keys, because a
        // stamp is stored only together with keys.
        if let Some(set) = set.or_else(|| held.take().map(|held| held.set)) {
            gauge!("orders_jwks_keys").set(set.len() as f64);
            *held = Some(LoadedKeys {
                set,
                due: now + age.mul_f64(0.8),
                stale: now + age,
                expires: now + max_stale,
            });
        }
        Ok(())
    }

    /// Checks a newly loaded set. The first set must contain a usable key. A later set without usable keys is accepted
    /// and replaces the current keys, because the issuer may have revoked them.
    fn check_count(&self, set: &KeySet) -> anyhow::Result<()> {
        let before = self.held().map_or(0, |held| held.set.len());
        if set.len() == 0 && before > 0 {
            tracing::error!(
                "the issuer no longer publishes a usable key: no token is accepted until it publishes one"
            );
        }
        ensure!(
            set.len() > 0 || self.held().is_some(),
            "the set has no usable key for RS256, ES256 or EdDSA"
        );
        Ok(())
    }
}
