//! Connects the parts of a deployment: queues, their dead-letter queues, Lambda functions, IAM roles. The rules use these
//! methods.

use super::model::{
    Attribute, Deployment, DynamoTable, EventSourceMapping, IamRole, LambdaFunction, SqsQueue,
};
use super::references::{ResourceIdentity, ResourceReference};

/// The role of `orders` that a function runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FunctionJob {
    Api,
    Consumer,
    DeadLetters,
    Expiry,
    Relay,
    WebhookSender,
    /// The function runs a different program.
    Other,
}

impl Deployment {
    /// The queue that `link` refers to.
    pub(super) fn queue(&self, link: &Attribute<ResourceReference>) -> Option<&SqsQueue> {
        let link = link.known()?;
        self.queues.iter().find(|queue| link.means(&queue.identity) == Some(true))
    }

    /// The function that `link` refers to.
    pub(super) fn function(&self, link: &Attribute<ResourceReference>) -> Option<&LambdaFunction> {
        let link = link.known()?;
        self.functions.iter().find(|function| link.means(&function.identity) == Some(true))
    }

    pub(super) fn role(&self, function: &LambdaFunction) -> Option<&IamRole> {
        let link = function.role.known()?;
        self.roles.iter().find(|role| link.means(&role.identity) == Some(true))
    }

    /// The dead-letter queue of a queue.
    pub(super) fn dead_letters_of(&self, queue: &SqsQueue) -> Option<&SqsQueue> {
        self.queue(&queue.redrive.known()?.target)
    }

    /// The queues that send their dead letters to the queue `dead_letters`.
    pub(super) fn sources_of<'a>(&'a self, dead_letters: &'a SqsQueue) -> impl Iterator<Item = &'a SqsQueue> {
        self.queues.iter().filter(|queue| {
            let target = self.dead_letters_of(queue);
            target.is_some_and(|target| target.identity.address == dead_letters.identity.address)
        })
    }

    /// Whether a queue holds dead letters. That is the case if it has a redrive allow policy, if a function or another
    /// queue sends dead letters to it, or if a `dead-letters` function receives from it.
    pub(super) fn holds_dead_letters(&self, queue: &SqsQueue) -> bool {
        let means = |link: &Attribute<ResourceReference>| {
            link.known().and_then(|link| link.means(&queue.identity)) == Some(true)
        };
        let by_function = self.functions.iter().any(|function| {
            let named = function.environment.known().and_then(|variables| variables.get("DLQ_URL"));
            means(&function.dead_letters) || named.is_some_and(means)
        });
        let by_handler = self.mappings_of(queue).any(|mapping| {
            let handler = self.function(&mapping.function).and_then(|function| function.handler.known());
            handler.is_some_and(|handler| handler == "dead-letters")
        });
        queue.dead_letters
            || queue.redrive_allow != Attribute::Absent
            || by_function
            || by_handler
            || self.sources_of(queue).next().is_some()
    }

    /// The queues that do not hold dead letters.
    pub(super) fn work_queues(&self) -> impl Iterator<Item = &SqsQueue> {
        self.queues.iter().filter(|queue| !self.holds_dead_letters(queue))
    }

    pub(super) fn dead_letter_queues(&self) -> impl Iterator<Item = &SqsQueue> {
        self.queues.iter().filter(|queue| self.holds_dead_letters(queue))
    }

    /// The mappings that invoke functions with messages of this queue.
    pub(super) fn mappings_of<'a>(
        &'a self,
        queue: &'a SqsQueue,
    ) -> impl Iterator<Item = &'a EventSourceMapping> {
        self.mappings.iter().filter(|mapping| {
            mapping.source.known().and_then(|source| source.means(&queue.identity)) == Some(true)
        })
    }

    /// The mappings, each with its queue and its function if they are part of the deployment.
    pub(super) fn connections(
        &self,
    ) -> impl Iterator<Item = (&EventSourceMapping, Option<&SqsQueue>, Option<&LambdaFunction>)> {
        self.mappings
            .iter()
            .map(|mapping| (mapping, self.queue(&mapping.source), self.function(&mapping.function)))
    }

    /// Whether a function or a container names a part of the deployment in this variable.
    fn is_named(&self, variable: &str, part: &ResourceIdentity) -> bool {
        let of_functions = self.functions.iter().filter_map(|function| function.environment.known());
        let of_containers = self.containers.iter().map(|container| &container.environment);
        of_functions.chain(of_containers).any(|variables| {
            let named = variables.get(variable).and_then(Attribute::known);
            named.and_then(|named| named.means(part)) == Some(true)
        })
    }

    /// Whether any function or container uses the table as its outbound table, and none uses the table for orders.
    pub(super) fn is_outbound(&self, table: &DynamoTable) -> bool {
        self.is_named("OUTBOUND_TABLE", &table.identity) && !self.is_named("TABLE_NAME", &table.identity)
    }

    /// Whether a container with the role `dead-letters` receives from the queue.
    pub(super) fn is_attended_by_container(&self, queue: &SqsQueue) -> bool {
        self.containers.iter().any(|container| {
            let named = container.environment.get("DLQ_URL").and_then(Attribute::known);
            container.command.known().is_some_and(|command| command == "dead-letters")
                && named.and_then(|named| named.means(&queue.identity)) == Some(true)
        })
    }

    /// Whether the queue holds webhook jobs.
    pub(super) fn has_webhook_jobs(&self, queue: &SqsQueue) -> bool {
        queue.webhook_jobs || self.is_named("WEBHOOK_QUEUE_URL", &queue.identity)
    }

    /// Whether the queue holds webhook jobs, or is the dead-letter queue of a queue that holds webhook jobs. Some rules
    /// apply only to queues of events.
    pub(super) fn is_for_webhooks(&self, queue: &SqsQueue) -> bool {
        self.has_webhook_jobs(queue) || self.sources_of(queue).any(|source| self.has_webhook_jobs(source))
    }

    /// The queues of events that do not hold dead letters.
    pub(super) fn event_queues(&self) -> impl Iterator<Item = &SqsQueue> {
        self.work_queues().filter(|queue| !self.is_for_webhooks(queue))
    }

    pub(super) fn source_of(&self, function: &LambdaFunction) -> Option<&SqsQueue> {
        self.connections().find_map(|(_, queue, invoked)| {
            let same = invoked.is_some_and(|invoked| invoked.identity.address == function.identity.address);
            if same { queue } else { None }
        })
    }

    /// Whether a function runs this program. That is the case if its handler names a role, or if it has variables that
    /// only roles of this program read.
    pub(super) fn is_ours(function: &LambdaFunction) -> bool {
        if matches!(
            function.handler.known().map(String::as_str),
            Some("api" | "consumer" | "dead-letters" | "expiry" | "relay" | "webhook-sender")
        ) {
            return true;
        }
        let Some(variables) = function.environment.known() else { return false };
        variables.keys().any(|name| name.starts_with("ORDERS_"))
            || ["QUEUE_URL", "TABLE_NAME"].iter().all(|name| variables.contains_key(*name))
    }

    /// Whether the rules apply to the deployment. They apply if one of its functions runs this program. They also apply
    /// to a deployment without functions, because the program can run outside Lambda.
    pub(super) fn is_ours_to_judge(&self) -> bool {
        self.functions.is_empty() || self.functions.iter().any(Self::is_ours)
    }

    /// The role of `orders` that a function runs. If the handler does not name the role, the role follows from the queue
    /// that invokes the function.
    pub(super) fn job(&self, function: &LambdaFunction) -> FunctionJob {
        match function.handler.known().map(String::as_str) {
            Some("api") => FunctionJob::Api,
            Some("consumer") => FunctionJob::Consumer,
            Some("dead-letters") => FunctionJob::DeadLetters,
            Some("expiry") => FunctionJob::Expiry,
            Some("relay") => FunctionJob::Relay,
            Some("webhook-sender") => FunctionJob::WebhookSender,
            _ => match self.source_of(function) {
                Some(queue) if self.has_webhook_jobs(queue) => FunctionJob::WebhookSender,
                Some(queue) if self.holds_dead_letters(queue) => FunctionJob::DeadLetters,
                Some(_) => FunctionJob::Consumer,
                None => FunctionJob::Other,
            },
        }
    }
}

impl LambdaFunction {
    /// The queue of webhook deliveries that the function names, if it names one.
    pub(super) fn webhook_queue(&self) -> Option<&Attribute<ResourceReference>> {
        let named = self.environment.known()?.get("WEBHOOK_QUEUE_URL");
        named.filter(|named| **named != Attribute::Absent)
    }
}

impl SqsQueue {
    /// Whether the queue is FIFO. The name shows it, because SQS requires the suffix `.fifo`.
    pub(super) fn is_fifo(&self) -> Option<bool> {
        match &self.fifo {
            Attribute::Known(fifo) => Some(*fifo),
            Attribute::Unknown(_) => self.identity.name.as_ref().map(|name| name.ends_with(".fifo")),
            Attribute::Absent => Some(false),
        }
    }
}
