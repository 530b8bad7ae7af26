# Variables of logs and alarms.

variable "logs" {
  description = <<-EOT
    The logs of functions and API.
    `level`: the log level of the functions: trace, debug, info, warn, error or off.
    `retention_days`: how many days logs are kept.
    `xray_tracing`: whether the functions record X-Ray traces, of one request a second and 5 % of the others. They cost $5 a million.
  EOT
  type = object({
    level          = optional(string, "INFO")
    retention_days = optional(number, 365)
    xray_tracing   = optional(bool, false)
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
    `consumer_errors`: the number of failed batches in five minutes that raises the alarm consumer-errors.
    `rejected_percent`: the percentage of rejected events above which the alarm rejected-rate is raised.
    `parked_percent`: the percentage of parked events above which the alarm parked-rate is raised.
    `rate_minimum_events`: the least events in five minutes for the alarms rejected-rate and parked-rate: a percentage of a few events means little.
    `api_5xx_percent`: the percentage of 5xx answers above which the alarm api-5xx is raised.
    `api_latency`: the p99 latency above which the alarm api-latency is raised, in milliseconds. If clients use Prefer: wait, set it above their waits.
    `ledger_imbalance`: the difference between accepted events and their outcomes over six hours above which the alarm ledger-imbalance is raised. Events in flight at either end count as differences.
    `expiry_late`: the lateness of a cancellation that raises the alarm expiry-late, in seconds.
    `relay_age`: the age of the oldest unread change that raises the alarm relay-age, in seconds.
    `relay_lag`: the p99 time from the recording of an event to its place in the feed that raises the alarm relay-lag, in seconds.
    `webhook_age`: the age of the oldest webhook job that raises the alarm webhooks-age, in seconds.
  EOT
  type = object({
    emails              = optional(set(string), [])
    queue_depth         = optional(number, 1000)
    message_age         = optional(number, 900)
    consumer_errors     = optional(number, 10)
    rejected_percent    = optional(number, 10)
    parked_percent      = optional(number, 1)
    rate_minimum_events = optional(number, 20)
    api_5xx_percent     = optional(number, 1)
    api_latency         = optional(number, 2000)
    ledger_imbalance    = optional(number, 100)
    expiry_late         = optional(number, 900)
    relay_age           = optional(number, 900)
    relay_lag           = optional(number, 60)
    webhook_age         = optional(number, 3600)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.alarms.consumer_errors >= 0 && var.alarms.ledger_imbalance >= 0
    error_message = "alarms.consumer_errors and alarms.ledger_imbalance must not be negative."
  }

  validation {
    condition     = var.alarms.rejected_percent >= 0 && var.alarms.rejected_percent < 100
    error_message = "alarms.rejected_percent must be 0 to below 100."
  }

  validation {
    condition     = var.alarms.parked_percent >= 0 && var.alarms.parked_percent < 100
    error_message = "alarms.parked_percent must be 0 to below 100."
  }

  validation {
    condition     = var.alarms.api_5xx_percent >= 0 && var.alarms.api_5xx_percent < 100
    error_message = "alarms.api_5xx_percent must be 0 to below 100."
  }

  validation {
    condition     = var.alarms.rate_minimum_events >= 1 && var.alarms.expiry_late >= 1 && var.alarms.relay_lag >= 1
    error_message = "alarms.rate_minimum_events, alarms.expiry_late and alarms.relay_lag must be at least 1."
  }

  validation {
    condition     = var.alarms.api_latency > 0 && var.alarms.api_latency < 30000
    error_message = "alarms.api_latency must be more than 0 and below 30000: API Gateway times out after 30 seconds."
  }

  validation {
    condition     = var.alarms.relay_age >= 1 && var.alarms.relay_age <= 43200
    error_message = "alarms.relay_age must be 1 to 43200: the stream keeps changes for 86400 seconds."
  }
}
