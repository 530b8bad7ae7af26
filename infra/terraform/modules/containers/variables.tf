# The variables of the deployment as a whole; variables_tasks.tf has those of tasks and load balancer. modules/data checks what it
# is passed.

variable "name" {
  description = "The name of all resources, or their prefix."
  type        = string
  default     = "orders"
}

variable "tags" {
  description = "Tags of all resources that have tags."
  type        = map(string)
  default     = {}
}

variable "kms_key_arn" {
  description = "The ARN of a KMS key to encrypt queues, tables, archive, alerts, and logs with. Its policy must let CloudWatch, CloudWatch Logs and this account use it. null uses the services' own keys, and creates one key for the alerts."
  type        = string
  default     = null
}

variable "deletion_protection" {
  description = "Whether the table and a non-empty archive bucket are protected from deletion."
  type        = bool
  default     = true
}

variable "queue" {
  description = <<-EOT
    The queue of accepted events.
    `fifo`: whether the queues are FIFO queues, which keep the events of an order in order. On standard queues, events that arrive early are retried. Changing this replaces the queues: let them drain first.
    `fair`: whether a standard queue is fair, so that the backlog of one client delays its own events and not those of others.
    `max_receive_count`: how many receives make a message a dead letter.
  EOT
  type = object({
    fifo              = optional(bool, true)
    fair              = optional(bool, true)
    max_receive_count = optional(number, 5)
  })
  default  = {}
  nullable = false
}

variable "table" {
  description = <<-EOT
    The table of orders.
    `search_index`: whether orders can be found across customers, by status and by update time. The index takes up to two writes with every change of an order, and contains what changes after it is created.
    `warm_throughput`: the reads and writes a second that the table and its indexes take at once. DynamoDB charges once for warming, and cannot lower it. null: 12,000 reads and 4,000 writes, which grow with use.
  EOT
  type = object({
    search_index = optional(bool, false)
    warm_throughput = optional(object({
      read_units  = optional(number, 12000)
      write_units = optional(number, 4000)
    }))
  })
  default  = {}
  nullable = false
}

variable "archive" {
  description = <<-EOT
    The archive of dead letters.
    `transition_days`: days after which archived dead letters move to cheaper storage (Glacier Instant Retrieval).
    `expiration_days`: days after which they are deleted; null: never. A deleted dead letter cannot be redriven.
  EOT
  type = object({
    transition_days = optional(number, 90)
    expiration_days = optional(number)
  })
  default  = {}
  nullable = false
}

variable "default_currency" {
  description = "The currency (ISO 4217) of orders whose producer states none."
  type        = string
  default     = "USD"
}

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

variable "event_source" {
  description = "The source of events that are posted to webhooks or published: a URI that identifies this deployment, or a part of one."
  type        = string
  default     = "/orders"
}

variable "webhooks" {
  description = "Whether recorded events are posted to webhook subscriptions (/v1/webhooks). It costs about three requests to SQS for each delivery."
  type        = bool
  default     = false
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

variable "expire_unpaid" {
  description = "The age at which unpaid orders are cancelled, such as 48h. It costs three writes for each new order. null: only orders with an expires_at expire."
  type        = string
  default     = null
}

variable "logs" {
  description = <<-EOT
    The logs of the tasks.
    `level`: the log level: trace, debug, info, warn, error or off.
    `retention_days`: how many days logs are kept.
  EOT
  type = object({
    level          = optional(string, "INFO")
    retention_days = optional(number, 365)
  })
  default  = {}
  nullable = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.logs.retention_days)
    error_message = "logs.retention_days must be a retention that CloudWatch supports: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653."
  }
}

variable "alarms" {
  description = <<-EOT
    Who receives alarms, and their thresholds.
    `emails`: e-mail addresses that receive alarms and alerts. Each must confirm its subscription.
    `queue_depth`: the number of queued messages that raises the alarm queue-depth.
    `message_age`: the age of the oldest message that raises the alarm message-age, in seconds.
    `webhook_age`: the age of the oldest webhook job that raises the alarm webhooks-age, in seconds.
    `api_5xx`: the number of 5xx answers in five minutes above which the alarm api-5xx is raised.
  EOT
  type = object({
    emails      = optional(set(string), [])
    queue_depth = optional(number, 1000)
    message_age = optional(number, 900)
    webhook_age = optional(number, 3600)
    api_5xx     = optional(number, 10)
  })
  default  = {}
  nullable = false
}
