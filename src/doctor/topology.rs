//! What belongs to what in a deployment.

use super::references::Link;
use super::model::{Attr, Deployment, Function, Mapping, Queue, Role};

/// What a function is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Job {
    Api,
    Consumer,
    DeadLetters,
    /// Nothing that is known here.
    Other,
}

impl Deployment {
    /// The queue that a reference means.
    pub(super) fn queue(&self, link: &Attr<Link>) -> Option<&Queue> {
        let link = link.is()?;
        self.queues.iter().find(|queue| link.means(&queue.identity) == Some(true))
    }

    /// The function that a reference means.
    pub(super) fn function(&self, link: &Attr<Link>) -> Option<&Function> {
        let link = link.is()?;
        self.functions.iter().find(|function| link.means(&function.identity) == Some(true))
    }

    /// The role of a function.
    pub(super) fn role(&self, function: &Function) -> Option<&Role> {
        let link = function.role.is()?;
        self.roles.iter().find(|role| link.means(&role.identity) == Some(true))
    }

    /// Where messages of this queue go when they were tried too often.
    pub(super) fn dead_letters_of(&self, queue: &Queue) -> Option<&Queue> {
        self.queue(&queue.redrive.is()?.target)
    }

    /// The queues whose dead letters go to this one.
    pub(super) fn sources_of<'a>(&'a self, dead_letters: &'a Queue) -> impl Iterator<Item = &'a Queue> {
        self.queues.iter().filter(|queue| {
            let target = self.dead_letters_of(queue);
            target.is_some_and(|target| target.identity.address == dead_letters.identity.address)
        })
    }

    /// Whether a queue is there for dead letters: another one, a function or the queue itself says so.
    pub(super) fn holds_dead_letters(&self, queue: &Queue) -> bool {
        let means = |link: &Attr<Link>| link.is().and_then(|link| link.means(&queue.identity)) == Some(true);
        let by_function = self.functions.iter().any(|function| {
            let told = function.environment.is().and_then(|variables| variables.get("DLQ_URL"));
            means(&function.dead_letters) || told.is_some_and(means)
        });
        let by_handler = self.mappings_of(queue).any(|mapping| {
            let handler = self.function(&mapping.function).and_then(|function| function.handler.is());
            handler.is_some_and(|handler| handler == "dead-letters")
        });
        queue.dead_letters
            || queue.redrive_allow != Attr::Absent
            || by_function
            || by_handler
            || self.sources_of(queue).next().is_some()
    }

    /// The queues that orders wait on.
    pub(super) fn work_queues(&self) -> impl Iterator<Item = &Queue> {
        self.queues.iter().filter(|queue| !self.holds_dead_letters(queue))
    }

    pub(super) fn dead_letter_queues(&self) -> impl Iterator<Item = &Queue> {
        self.queues.iter().filter(|queue| self.holds_dead_letters(queue))
    }

    /// What invokes functions with messages of this queue.
    pub(super) fn mappings_of<'a>(&'a self, queue: &'a Queue) -> impl Iterator<Item = &'a Mapping> {
        self.mappings.iter().filter(|mapping| {
            mapping.source.is().and_then(|source| source.means(&queue.identity)) == Some(true)
        })
    }

    /// The mappings with the queue and the function that they connect; of either only if it is part of the deployment.
    pub(super) fn connections(&self) -> impl Iterator<Item = (&Mapping, Option<&Queue>, Option<&Function>)> {
        self.mappings
            .iter()
            .map(|mapping| (mapping, self.queue(&mapping.source), self.function(&mapping.function)))
    }

    pub(super) fn source_of(&self, function: &Function) -> Option<&Queue> {
        self.connections().find_map(|(_, queue, invoked)| {
            let same = invoked.is_some_and(|invoked| invoked.identity.address == function.identity.address);
            if same { queue } else { None }
        })
    }

    /// Whether a function runs this program: its handler names a role, or its environment is what the roles read.
    pub(super) fn is_ours(function: &Function) -> bool {
        if matches!(function.handler.is().map(String::as_str), Some("api" | "consumer" | "dead-letters")) {
            return true;
        }
        let Some(variables) = function.environment.is() else { return false };
        variables.keys().any(|name| name.starts_with("ORDERS_"))
            || ["QUEUE_URL", "TABLE_NAME"].iter().all(|name| variables.contains_key(*name))
    }

    /// Whether this program runs here, as far as can be told: without functions, it runs elsewhere.
    pub(super) fn is_ours_to_judge(&self) -> bool {
        self.functions.is_empty() || self.functions.iter().any(Self::is_ours)
    }

    /// What a function is there for: its handler says so; of foreign ones, the queue that it is fed from.
    pub(super) fn job(&self, function: &Function) -> Job {
        match function.handler.is().map(String::as_str) {
            Some("api") => Job::Api,
            Some("consumer") => Job::Consumer,
            Some("dead-letters") => Job::DeadLetters,
            _ => match self.source_of(function) {
                Some(queue) if self.holds_dead_letters(queue) => Job::DeadLetters,
                Some(_) => Job::Consumer,
                None => Job::Other,
            },
        }
    }
}

impl Queue {
    /// Whether it keeps order. Names say so as well: SQS demands it.
    pub(super) fn is_fifo(&self) -> Option<bool> {
        match &self.fifo {
            Attr::Is(fifo) => Some(*fifo),
            Attr::Unknown(_) => self.identity.name.as_ref().map(|name| name.ends_with(".fifo")),
            Attr::Absent => Some(false),
        }
    }
}
