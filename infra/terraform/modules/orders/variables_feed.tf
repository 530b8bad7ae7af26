# Variables of the feed, of webhooks and of what the relay publishes.

variable "feed" {
  description = "Whether there is a feed of recorded events (GET /v1/events). It costs up to two writes for each event, and contains what is recorded after it is turned on."
  type        = bool
  default     = false
}

variable "feed_partitions" {
  description = "The number of partitions of the feed. It cannot change once the feed is in use. A partition takes thousands of events a second, and each makes reading a little dearer."
  type        = number
  default     = 4

  validation {
    condition     = var.feed_partitions >= 1 && var.feed_partitions <= 64
    error_message = "feed_partitions must be 1 to 64."
  }
}

variable "feed_retention_days" {
  description = "How many days the feed keeps events. A reader that stands still for longer misses events."
  type        = number
  default     = 30

  validation {
    condition     = var.feed_retention_days >= 1 && var.feed_retention_days <= 3650
    error_message = "feed_retention_days must be 1 to 3650."
  }
}

variable "relay_timeout" {
  description = "The timeout of a batch of the relay, in seconds."
  type        = number
  default     = 60

  validation {
    condition     = var.relay_timeout >= 5 && var.relay_timeout <= 900
    error_message = "relay_timeout must be 5 to 900."
  }
}

variable "relay_memory" {
  description = "The memory of the relay, in MiB."
  type        = number
  default     = 256

  validation {
    condition     = var.relay_memory >= 128 && var.relay_memory <= 10240
    error_message = "relay_memory must be 128 to 10240."
  }
}

variable "relay_batching_window" {
  description = "Seconds that Lambda gathers events before it invokes the relay. Larger batches are cheaper, and the feed is later."
  type        = number
  default     = 0

  validation {
    condition     = var.relay_batching_window >= 0 && var.relay_batching_window <= 300
    error_message = "relay_batching_window must be 0 to 300."
  }
}

variable "relay_age_threshold" {
  description = "The age of the oldest unread change that raises the alarm relay-age, in seconds."
  type        = number
  default     = 900

  validation {
    condition     = var.relay_age_threshold >= 1 && var.relay_age_threshold <= 43200
    error_message = "relay_age_threshold must be 1 to 43200: the stream keeps changes for 86400 seconds."
  }
}

variable "relay_lag_threshold" {
  description = "The p99 time from the recording of an event to its place in the feed that raises the alarm relay-lag, in seconds."
  type        = number
  default     = 60

  validation {
    condition     = var.relay_lag_threshold >= 1
    error_message = "relay_lag_threshold must be at least 1."
  }
}

variable "webhooks" {
  description = "Whether recorded events are posted to webhook subscriptions (/v1/webhooks). It costs about three requests to SQS for each delivery."
  type        = bool
  default     = false
}

variable "webhook_timeout" {
  description = "The timeout of a batch of webhook deliveries, in seconds. A receiver may take 15 seconds for each of ten."
  type        = number
  default     = 180

  validation {
    condition     = var.webhook_timeout >= 20 && var.webhook_timeout <= 900
    error_message = "webhook_timeout must be 20 to 900."
  }
}

variable "webhook_memory" {
  description = "The memory of the webhook sender, in MiB."
  type        = number
  default     = 256

  validation {
    condition     = var.webhook_memory >= 128 && var.webhook_memory <= 10240
    error_message = "webhook_memory must be 128 to 10240."
  }
}

variable "webhook_maximum_concurrency" {
  description = "The most batches of webhook deliveries that are handled concurrently."
  type        = number
  default     = 20

  validation {
    condition     = var.webhook_maximum_concurrency >= 2 && var.webhook_maximum_concurrency <= 1000
    error_message = "webhook_maximum_concurrency must be 2 to 1000."
  }
}

variable "webhook_age_threshold" {
  description = "The age of the oldest webhook job that raises the alarm webhooks-age, in seconds."
  type        = number
  default     = 3600

  validation {
    condition     = var.webhook_age_threshold >= 1
    error_message = "webhook_age_threshold must be at least 1."
  }
}

variable "event_source" {
  description = "The source of events that are posted to webhooks or published: a URI that identifies this deployment, or a part of one."
  type        = string
  default     = "/orders"

  validation {
    condition     = length(var.event_source) >= 1 && length(var.event_source) <= 256
    error_message = "event_source must have 1 to 256 characters."
  }
}

# The outputs are objects, because an ARN that is made by the same configuration is not known when Terraform counts resources.
variable "event_bus" {
  description = "The EventBridge bus to which every recorded event is published: an object with its arn. It costs $1.00 for a million events."
  type        = object({ arn = string })
  default     = null

  validation {
    condition     = var.event_bus == null ? true : length(regexall("^arn:[a-z-]+:events:[a-z0-9-]+:[0-9]{12}:event-bus/", var.event_bus.arn)) > 0
    error_message = "event_bus.arn must be the ARN of an event bus (arn:aws:events:…:event-bus/…)."
  }
}

variable "events_topic" {
  description = "The SNS topic to which every recorded event is published: an object with its arn. A FIFO topic keeps the events of an order in order. If the topic has a key of its own, it must be kms_key_arn."
  type        = object({ arn = string })
  default     = null

  validation {
    condition     = var.events_topic == null ? true : length(regexall("^arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:", var.events_topic.arn)) > 0
    error_message = "events_topic.arn must be the ARN of an SNS topic (arn:aws:sns:…)."
  }
}
