# What is kept how long, and when somebody is called.

variable "log_retention_days" {
  description = "Days that logs are kept."
  type        = number
  default     = 365

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be a number of days that CloudWatch knows: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653."
  }
}

variable "archive_transition_days" {
  description = "Days after which archived dead letters move to storage that is cheaper to keep (Glacier Instant Retrieval)."
  type        = number
  default     = 90

  validation {
    condition     = var.archive_transition_days >= 1
    error_message = "archive_transition_days must be at least 1."
  }
}

variable "archive_expiration_days" {
  description = "Days after which archived dead letters are deleted; null: never. What is deleted cannot be redriven."
  type        = number
  default     = null

  validation {
    condition     = var.archive_expiration_days == null ? true : var.archive_expiration_days > var.archive_transition_days
    error_message = "archive_expiration_days must be more than archive_transition_days, or null."
  }
}

variable "alert_emails" {
  description = "Mail addresses to send alarms and alerts to. Each must confirm first."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for address in var.alert_emails : length(regexall("^[^@ ]+@[^@ ]+$", address)) > 0])
    error_message = "alert_emails must be mail addresses."
  }
}

variable "queue_depth_threshold" {
  description = "Waiting messages at which the alarm queue-depth goes off."
  type        = number
  default     = 1000

  validation {
    condition     = var.queue_depth_threshold > 0
    error_message = "queue_depth_threshold must be more than 0."
  }
}

variable "message_age_threshold" {
  description = "Seconds that the oldest message may wait before the alarm message-age goes off."
  type        = number
  default     = 900

  validation {
    condition     = var.message_age_threshold >= 60
    error_message = "message_age_threshold must be at least 60."
  }
}

variable "consumer_errors_threshold" {
  description = "Failed batches in five minutes at which the alarm consumer-errors goes off."
  type        = number
  default     = 10

  validation {
    condition     = var.consumer_errors_threshold >= 0
    error_message = "consumer_errors_threshold must not be negative."
  }
}

variable "rejected_percent_threshold" {
  description = "Percent of events that may be rejected before the alarm rejected-rate goes off."
  type        = number
  default     = 10

  validation {
    condition     = var.rejected_percent_threshold >= 0 && var.rejected_percent_threshold < 100
    error_message = "rejected_percent_threshold must be 0 to below 100."
  }
}

variable "parked_percent_threshold" {
  description = "Percent of events that may be parked before the alarm parked-rate goes off."
  type        = number
  default     = 1

  validation {
    condition     = var.parked_percent_threshold >= 0 && var.parked_percent_threshold < 100
    error_message = "parked_percent_threshold must be 0 to below 100."
  }
}

variable "rate_minimum_events" {
  description = "Events in five minutes below which the alarms rejected-rate and parked-rate say nothing: one of three is no rate."
  type        = number
  default     = 20

  validation {
    condition     = var.rate_minimum_events >= 1
    error_message = "rate_minimum_events must be at least 1."
  }
}

variable "api_5xx_percent_threshold" {
  description = "Percent of requests that may fail with a 5xx before the alarm api-5xx goes off."
  type        = number
  default     = 1

  validation {
    condition     = var.api_5xx_percent_threshold >= 0 && var.api_5xx_percent_threshold < 100
    error_message = "api_5xx_percent_threshold must be 0 to below 100."
  }
}

variable "api_latency_threshold" {
  description = "Milliseconds that 99 of 100 requests may take before the alarm api-latency goes off. Where clients use Prefer: wait, put it above what they wait for."
  type        = number
  default     = 2000

  validation {
    condition     = var.api_latency_threshold > 0 && var.api_latency_threshold < 30000
    error_message = "api_latency_threshold must be more than 0 and below 30000: API Gateway waits no longer."
  }
}

variable "ledger_imbalance_threshold" {
  description = "Events by which what was accepted and what became of it may differ over six hours before the alarm ledger-imbalance goes off. What is in flight at either end differs as well."
  type        = number
  default     = 100

  validation {
    condition     = var.ledger_imbalance_threshold >= 0
    error_message = "ledger_imbalance_threshold must not be negative."
  }
}
