//! The issuer's keys, kept and kept up to date.
//!
//! Keys are loaded because a request needs them, never by a clock of their own, which in a Lambda function would stand
//! still between requests. A request waits for a load only if there are no keys, if the keys are older than they may be,
//! or if the issuer may have a new one; otherwise the load happens beside it. One load at a time, in a task of its own,
//! for a client that hangs up must not be able to break it off.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context, ensure};
use metrics::{counter, gauge};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::auth::jwk::{Algorithm, Key, KeySet};
use crate::auth::refusal::Refusal;
use crate::auth::source::{Endpoint, JwksUrl, Source, Stamp};

/// How often keys are loaded.
#[derive(Debug, Clone, Copy)]
pub struct Refresh {
    /// How long keys are good for if their publisher does not say.
    pub default_age: Duration,
    /// Keys are good for no less than this, whatever their publisher says,
    pub min_age: Duration,
    /// and for no more than this.
    pub max_age: Duration,
    /// How long after a token with an unknown key made us look the next one can do so.
    pub unknown_key: Duration,
    /// How long after a load that failed the next one is tried.
    pub retry: Duration,
    /// How long keys are used after they were last found to be published, while nothing can be loaded. It limits every
    /// age.
    pub max_stale: Duration,
}

impl Refresh {
    /// For an address: in step with what its publisher says, and gently.
    pub const URL: Self = Self {
        default_age: Duration::from_secs(5 * 60),
        min_age: Duration::from_secs(60),
        max_age: Duration::from_secs(10 * 60),
        unknown_key: Duration::from_secs(30),
        retry: Duration::from_secs(5),
        max_stale: Duration::from_secs(60 * 60),
    };
    /// For a file, where looking whether it was changed costs next to nothing.
    pub const FILE: Self = Self {
        default_age: Duration::from_secs(2),
        min_age: Duration::from_secs(2),
        unknown_key: Duration::from_secs(2),
        retry: Duration::from_secs(2),
        ..Self::URL
    };
}

/// The keys of one issuer.
#[derive(Debug)]
pub struct Keys {
    source: Source,
    refresh: Refresh,
    held: RwLock<Option<Held>>,
    /// Whoever holds it loads.
    loads: Arc<Mutex<Loads>>,
    failing: AtomicBool,
}

#[derive(Debug, Clone)]
struct Held {
    set: Arc<KeySet>,
    /// From here on it is time to load them again,
    due: Instant,
    /// from here on requests wait for that,
    stale: Instant,
    /// and from here on they are not used any more.
    expires: Instant,
}

#[derive(Debug, Default)]
struct Loads {
    /// When the last load ended.
    ended: Option<Instant>,
    /// When a token with an unknown key last made us look.
    unknown_key: Option<Instant>,
    /// The state of the file that was read last.
    stamp: Option<Stamp>,
}

/// Why keys are loaded.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Why {
    Age,
    UnknownKey,
}

impl Keys {
    /// Keys from a JWKS file, which is read again when it was changed.
    pub fn of_file(path: &Path, refresh: Refresh) -> Arc<Self> {
        Self::of(Source::File(path.to_owned()), refresh)
    }

    /// Keys from an address. Fails if this system says of no certificate that it is to be trusted.
    pub fn of_url(url: JwksUrl, refresh: Refresh) -> anyhow::Result<Arc<Self>> {
        Ok(Self::of(Source::Url(Box::new(Endpoint::new(url)?)), refresh))
    }

    fn of(source: Source, refresh: Refresh) -> Arc<Self> {
        let (held, loads, failing) = Default::default();
        Arc::new(Self { source, refresh, held, loads, failing })
    }

    /// Loads the keys for the first time. If that fails, it is tried again when a request needs them.
    pub async fn load(&self) -> anyhow::Result<()> {
        let mut loads = self.loads.lock().await;
        self.load_with(&mut loads, Why::Age).await
    }

    /// The key for a token whose header says this.
    pub(super) async fn find(
        self: &Arc<Self>,
        algorithm: Algorithm,
        kid: Option<&str>,
    ) -> Result<Arc<Key>, Refusal> {
        let set = self.current().await.ok_or(Refusal::NoKeys)?;
        match set.find(algorithm, kid) {
            Err(Refusal::UnknownKey) => {
                self.reload(Why::UnknownKey).await;
                let held = self.held().ok_or(Refusal::NoKeys)?;
                held.set.find(algorithm, kid)
            }
            found => found,
        }
    }

    /// The keys, after seeing to it that they are not too old.
    async fn current(self: &Arc<Self>) -> Option<Arc<KeySet>> {
        let now = Instant::now();
        match self.held() {
            Some(held) if now < held.due => Some(held.set),
            // While loads fail, nobody waits for them: for as long as they are used, old keys are better than none.
            Some(held) if now < held.stale || self.failing.load(Ordering::Relaxed) => {
                if let Ok(loads) = self.loads.clone().try_lock_owned() {
                    self.begin(loads, Why::Age);
                }
                Some(held.set)
            }
            _ => {
                self.reload(Why::Age).await;
                self.held().map(|held| held.set)
            }
        }
    }

    /// The keys, unless they have expired.
    fn held(&self) -> Option<Held> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        held.as_ref().filter(|held| Instant::now() < held.expires).cloned()
    }

    /// Loads the keys now, whether it is time or not.
    pub async fn reload_now(&self) -> anyhow::Result<()> {
        let mut loads = self.loads.lock().await;
        // A file is read even if it looks unchanged.
        self.load_with(&mut loads, Why::UnknownKey).await
    }

    /// Whether there are keys, after seeing to it that they are not too old: without, no token can be verified.
    pub(crate) async fn are_there(self: &Arc<Self>) -> bool {
        let set = self.current().await;
        // The first load happens before metrics are recorded.
        gauge!("orders_jwks_keys").set(set.as_ref().map_or(0, |set| set.len()) as f64);
        set.is_some()
    }

    /// Loads the keys, unless that has just happened.
    async fn reload(self: &Arc<Self>, why: Why) {
        let asked = Instant::now();
        let loads = self.loads.clone().lock_owned().await;
        // Another request's load that ended while this one waited has done what this one came for.
        if loads.ended.is_none_or(|ended| ended < asked)
            && let Some(load) = self.begin(loads, why)
        {
            // It has no result; should it panic, the keys are as they were.
            let _ = load.await;
        }
    }

    /// Begins a load, unless it is too early for one.
    fn begin(self: &Arc<Self>, mut loads: OwnedMutexGuard<Loads>, why: Why) -> Option<JoinHandle<()>> {
        let now = Instant::now();
        let (last, pause) = match why {
            Why::Age if self.failing.load(Ordering::Relaxed) => (loads.ended, self.refresh.retry),
            Why::Age => (None, Duration::ZERO),
            Why::UnknownKey => (loads.unknown_key, self.refresh.unknown_key),
        };
        if last.is_some_and(|last| now < last + pause) {
            return None;
        }
        if why == Why::UnknownKey {
            loads.unknown_key = Some(now);
        }
        let keys = Arc::clone(self);
        Some(tokio::spawn(async move {
            // Told where it begins and where it ends; in between every load fails the same way.
            let _ = keys.load_with(&mut loads, why).await;
        }))
    }

    async fn load_with(&self, loads: &mut Loads, why: Why) -> anyhow::Result<()> {
        let loaded = self.loaded(loads, why).await;
        loads.ended = Some(Instant::now());
        counter!("orders_jwks_loads_total", "result" => if loaded.is_ok() { "ok" } else { "failed" })
            .increment(1);
        let failed_before = self.failing.swap(loaded.is_err(), Ordering::Relaxed);
        match &loaded {
            Err(error) if !failed_before => {
                let going_on = if self.held().is_some() {
                    format!("with the keys from before, for up to {} s", self.refresh.max_stale.as_secs())
                } else {
                    "without keys".to_owned()
                };
                let error = format!("{error:#}");
                tracing::warn!(error, "cannot load the keys of the issuer; going on {going_on}");
            }
            Ok(()) if failed_before => tracing::info!("the keys of the issuer can be loaded again"),
            _ => {}
        }
        if let Err(error) = &loaded {
            self.drop_expired(loads, error);
        }
        loaded
    }

    /// Drops keys that were used for as long as they may be.
    fn drop_expired(&self, loads: &mut Loads, error: &anyhow::Error) {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        if held.as_ref().is_some_and(|held| Instant::now() >= held.expires) {
            *held = None;
            loads.stamp = None;
            gauge!("orders_jwks_keys").set(0);
            let (error, seconds) = (format!("{error:#}"), self.refresh.max_stale.as_secs());
            tracing::error!(
                error,
                seconds,
                "the keys of the issuer could not be loaded for too long: no token is accepted until they can"
            );
        }
    }

    async fn loaded(&self, loads: &mut Loads, why: Why) -> anyhow::Result<()> {
        // Two changes may have the same stamp. A token with an unknown key is reason enough to look inside.
        let unless = loads.stamp.filter(|_| why == Why::Age);
        let (set, age) = match self.source.load(unless).await? {
            Some(published) => {
                let set = KeySet::parse(&published.json).context("what is published as a key set")?;
                self.check_count(&set)?;
                loads.stamp = published.stamp;
                (Some(Arc::new(set)), published.max_age.unwrap_or(self.refresh.default_age))
            }
            None => (None, self.refresh.default_age),
        };
        let Refresh { min_age, max_age, max_stale, .. } = self.refresh;
        let age = age.clamp(min_age, max_age).min(max_stale);
        let now = Instant::now();
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        // A stamp is kept only of a file whose keys are held.
        if let Some(set) = set.or_else(|| held.take().map(|held| held.set)) {
            gauge!("orders_jwks_keys").set(set.len() as f64);
            *held =
                Some(Held { set, due: now + age.mul_f64(0.8), stale: now + age, expires: now + max_stale });
        }
        Ok(())
    }

    /// A set without a key that can be used takes all keys away, as the issuer says. But it is no set to begin with.
    fn check_count(&self, set: &KeySet) -> anyhow::Result<()> {
        let before = self.held().map_or(0, |held| held.set.len());
        if set.len() == 0 && before > 0 {
            tracing::error!(
                "the issuer publishes no key that can be used any more: no token is accepted until it does"
            );
        }
        ensure!(
            set.len() > 0 || self.held().is_some(),
            "it has no key that can be used for RS256, ES256 or EdDSA"
        );
        Ok(())
    }
}
