# Variables of what leaves the service: the feed, webhooks, and what the relay publishes.

variable "feed" {
  description = <<-EOT
    The feed of recorded events (GET /v1/events); {} turns it on, null off. It costs up to two writes for each event, and contains what is recorded after it is turned on.
    `partitions`: the number of its partitions. It cannot change once the feed is in use. A partition takes thousands of events a second, and each makes reading a little dearer.
    `retention_days`: how many days it keeps events. A reader that stands still for longer misses events.
  EOT
  type = object({
    partitions     = optional(number, 4)
    retention_days = optional(number, 30)
  })
  default = null
}

variable "relay" {
  description = <<-EOT
    The relay, which passes recorded events on to the feed, to webhooks and to what is published.
    `timeout`: the timeout of a batch, in seconds.
    `memory`: the memory of the function, in MiB.
    `batching_window`: seconds that Lambda gathers events before it invokes the relay. Larger batches are cheaper, and the feed is later.
  EOT
  type = object({
    timeout         = optional(number, 60)
    memory          = optional(number, 256)
    batching_window = optional(number, 0)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.relay.timeout >= 5 && var.relay.timeout <= 900
    error_message = "relay.timeout must be 5 to 900."
  }

  validation {
    condition     = var.relay.memory >= 128 && var.relay.memory <= 10240
    error_message = "relay.memory must be 128 to 10240."
  }

  validation {
    condition     = var.relay.batching_window >= 0 && var.relay.batching_window <= 300
    error_message = "relay.batching_window must be 0 to 300."
  }
}

variable "webhooks" {
  description = <<-EOT
    The webhooks (/v1/webhooks), to which recorded events are posted; {} turns them on, null off. They cost about three requests to SQS for each delivery.
    `timeout`: the timeout of a batch of deliveries, in seconds. A receiver may take 15 seconds for each of ten.
    `memory`: the memory of the webhook sender, in MiB.
    `maximum_concurrency`: the most batches of deliveries that are handled concurrently.
  EOT
  type = object({
    timeout             = optional(number, 180)
    memory              = optional(number, 256)
    maximum_concurrency = optional(number, 5)
  })
  default = null

  validation {
    condition     = var.webhooks == null ? true : var.webhooks.timeout >= 20 && var.webhooks.timeout <= 900
    error_message = "webhooks.timeout must be 20 to 900."
  }

  validation {
    condition     = var.webhooks == null ? true : var.webhooks.memory >= 128 && var.webhooks.memory <= 10240
    error_message = "webhooks.memory must be 128 to 10240."
  }

  validation {
    condition     = var.webhooks == null ? true : var.webhooks.maximum_concurrency >= 2 && var.webhooks.maximum_concurrency <= 1000
    error_message = "webhooks.maximum_concurrency must be 2 to 1000."
  }
}

variable "event_source" {
  description = "The source of events that are posted to webhooks or published: a URI that identifies this deployment, or a part of one."
  type        = string
  default     = "/orders"
}

# These are objects, because an ARN that is made by the same configuration is not known when Terraform counts resources.
variable "event_bus" {
  description = "The EventBridge bus to which every recorded event is published: an object with its arn. It costs $1.00 for a million events."
  type        = object({ arn = string })
  default     = null
}

variable "events_topic" {
  description = "The SNS topic to which every recorded event is published: an object with its arn. A FIFO topic keeps the events of an order in order. If the topic has a key of its own, it must be kms_key_arn."
  type        = object({ arn = string })
  default     = null
}
