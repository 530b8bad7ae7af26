//! A deployment as the rules see it, whatever it was read from.
//!
//! Every reader fills it with what it has seen. What is not stated, and what is stated but cannot be told, are different
//! things: the first means the default of the service, the second that a rule cannot judge.

use std::collections::{BTreeMap, BTreeSet};

use super::references::{Identity, Link};

/// A property of something.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) enum Attr<T> {
    /// Not stated: the default of the service holds.
    #[default]
    Absent,
    /// Stated, but it cannot be told what; and why not.
    Unknown(String),
    Is(T),
}

impl<T> Attr<T> {
    pub(super) fn is(&self) -> Option<&T> {
        if let Self::Is(value) = self { Some(value) } else { None }
    }

    pub(super) fn then<R>(self, then: impl FnOnce(T) -> Attr<R>) -> Attr<R> {
        match self {
            Self::Absent => Attr::Absent,
            Self::Unknown(why) => Attr::Unknown(why),
            Self::Is(value) => then(value),
        }
    }
}

/// What a rule may need to look at. A reader says what it cannot see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Area {
    /// Queues.
    Queues,
    /// Functions and what invokes them.
    Functions,
    /// What roles may do.
    Permissions,
    /// The table.
    Tables,
    /// Alarms.
    Alarms,
    /// A service that answers.
    Service,
    /// The environment of a process.
    Environment,
}

/// A deployment.
#[derive(Debug, Default)]
pub(super) struct Deployment {
    pub(super) queues: Vec<Queue>,
    pub(super) functions: Vec<Function>,
    pub(super) mappings: Vec<Mapping>,
    pub(super) roles: Vec<Role>,
    pub(super) tables: Vec<Table>,
    pub(super) alarms: Vec<Alarm>,
    pub(super) service: Option<Service>,
    pub(super) environment: Vec<Fault>,
    /// What was looked at.
    pub(super) seen: BTreeSet<Area>,
    /// What should be looked at as well and cannot be, and why.
    pub(super) blind: BTreeMap<Area, String>,
    /// Parts that cannot be seen: where and why.
    pub(super) unseen: Vec<(String, String)>,
}

#[derive(Debug, Default, Clone)]
pub(super) struct Queue {
    pub(super) identity: Identity,
    /// Whether it is known to hold dead letters, besides what other queues say.
    pub(super) dead_letters: bool,
    pub(super) fifo: Attr<bool>,
    pub(super) visibility: Attr<f64>,
    pub(super) retention: Attr<f64>,
    pub(super) wait: Attr<f64>,
    pub(super) max_size: Attr<f64>,
    pub(super) managed_encryption: Attr<bool>,
    pub(super) key: Attr<String>,
    pub(super) redrive: Attr<Redrive>,
    pub(super) redrive_allow: Attr<RedriveAllow>,
    pub(super) content_deduplication: Attr<bool>,
    pub(super) deduplication_scope: Attr<String>,
    pub(super) throughput_limit: Attr<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Redrive {
    pub(super) target: Attr<Link>,
    pub(super) max_receives: Attr<f64>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct RedriveAllow {
    pub(super) permission: Attr<String>,
    pub(super) sources: Vec<Link>,
}

#[derive(Debug, Default, Clone)]
pub(super) struct Function {
    pub(super) identity: Identity,
    pub(super) handler: Attr<String>,
    pub(super) timeout: Attr<f64>,
    pub(super) reserved: Attr<f64>,
    pub(super) environment: Attr<BTreeMap<String, Attr<Link>>>,
    /// Where asynchronous invocations that failed go.
    pub(super) dead_letters: Attr<Link>,
    pub(super) tracing: Attr<String>,
    pub(super) role: Attr<Link>,
    pub(super) log_format: Attr<String>,
    pub(super) log_level: Attr<String>,
}

/// An event source mapping of a queue.
#[derive(Debug, Default, Clone)]
pub(super) struct Mapping {
    pub(super) address: String,
    pub(super) source: Attr<Link>,
    pub(super) function: Attr<Link>,
    pub(super) batch_size: Attr<f64>,
    pub(super) window: Attr<f64>,
    pub(super) response_types: Attr<Vec<String>>,
    pub(super) max_concurrency: Attr<f64>,
    /// The patterns of its filter.
    pub(super) filter: Attr<Vec<String>>,
}

#[derive(Debug, Default, Clone)]
pub(super) struct Role {
    pub(super) identity: Identity,
    pub(super) statements: Vec<Statement>,
    /// Policies that it has and that cannot be told: where and why.
    pub(super) unknown: Vec<(String, String)>,
}

#[derive(Debug, Clone)]
pub(super) struct Statement {
    /// The policy that it is in.
    pub(super) address: String,
    pub(super) allow: bool,
    pub(super) actions: Vec<String>,
    pub(super) resources: Vec<Link>,
    /// Whether it says `NotAction` or `NotResource`.
    pub(super) inverted: bool,
}

#[derive(Debug, Default, Clone)]
pub(super) struct Table {
    pub(super) identity: Identity,
    /// The names of its keys, the hash key first.
    pub(super) keys: Attr<Vec<String>>,
    /// The same for each index.
    pub(super) indexes: Attr<BTreeMap<String, Vec<String>>>,
    pub(super) recovery: Attr<bool>,
    pub(super) protection: Attr<bool>,
}

#[derive(Debug, Default, Clone)]
pub(super) struct Alarm {
    pub(super) address: String,
    pub(super) metrics: Vec<Metric>,
    pub(super) comparison: Attr<String>,
    pub(super) threshold: Attr<f64>,
    pub(super) missing_data: Attr<String>,
    pub(super) actions: Attr<usize>,
    pub(super) enabled: Attr<bool>,
}

#[derive(Debug, Default, Clone)]
pub(super) struct Metric {
    pub(super) name: Attr<String>,
    pub(super) namespace: Attr<String>,
    pub(super) statistic: Attr<String>,
    pub(super) dimensions: Attr<BTreeMap<String, Attr<Link>>>,
}

/// A running API, from outside.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) url: String,
    /// Whether only this machine can reach it, as far as its address says.
    pub(super) local: bool,
    /// Whether what is sent to it can be read on the way.
    pub(super) in_the_clear: bool,
    /// Why it is not ready, if it says so.
    pub(super) not_ready: Attr<String>,
    /// What a request without a token is answered.
    pub(super) without_token: Attr<u16>,
    pub(super) metrics: Attr<u16>,
}

/// What is wrong with the environment of a process.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    /// The rule that it breaks.
    pub(super) rule: &'static str,
    /// The role that reads it.
    pub(super) role: String,
    pub(super) variable: String,
    pub(super) fault: String,
}
