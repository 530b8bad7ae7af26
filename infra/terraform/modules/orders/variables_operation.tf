# Variables of retention and alarms.

variable "log_retention_days" {
  description = "How many days logs are kept."
  type        = number
  default     = 365

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be a retention that CloudWatch supports: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653."
  }
}

variable "archive_transition_days" {
  description = "Days after which archived dead letters move to cheaper storage (Glacier Instant Retrieval)."
  type        = number
  default     = 90

  validation {
    condition     = var.archive_transition_days >= 1
    error_message = "archive_transition_days must be at least 1."
  }
}

variable "archive_expiration_days" {
  description = "Days after which archived dead letters are deleted; null: never. A deleted dead letter cannot be redriven."
  type        = number
  default     = null

  validation {
    condition     = var.archive_expiration_days == null ? true : var.archive_expiration_days > var.archive_transition_days
    error_message = "archive_expiration_days must be more than archive_transition_days, or null."
  }
}

variable "alert_emails" {
  description = "E-mail addresses that receive alarms and alerts. Each must confirm its subscription."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for address in var.alert_emails : length(regexall("^[^@ ]+@[^@ ]+$", address)) > 0])
    error_message = "alert_emails must be e-mail addresses."
  }
}

variable "queue_depth_threshold" {
  description = "The number of queued messages that raises the alarm queue-depth."
  type        = number
  default     = 1000

  validation {
    condition     = var.queue_depth_threshold > 0
    error_message = "queue_depth_threshold must be more than 0."
  }
}

variable "message_age_threshold" {
  description = "The age of the oldest message that raises the alarm message-age, in seconds."
  type        = number
  default     = 900

  validation {
    condition     = var.message_age_threshold >= 60
    error_message = "message_age_threshold must be at least 60."
  }
}

variable "consumer_errors_threshold" {
  description = "The number of failed batches in five minutes that raises the alarm consumer-errors."
  type        = number
  default     = 10

  validation {
    condition     = var.consumer_errors_threshold >= 0
    error_message = "consumer_errors_threshold must not be negative."
  }
}

variable "rejected_percent_threshold" {
  description = "The percentage of rejected events above which the alarm rejected-rate is raised."
  type        = number
  default     = 10

  validation {
    condition     = var.rejected_percent_threshold >= 0 && var.rejected_percent_threshold < 100
    error_message = "rejected_percent_threshold must be 0 to below 100."
  }
}

variable "parked_percent_threshold" {
  description = "The percentage of parked events above which the alarm parked-rate is raised."
  type        = number
  default     = 1

  validation {
    condition     = var.parked_percent_threshold >= 0 && var.parked_percent_threshold < 100
    error_message = "parked_percent_threshold must be 0 to below 100."
  }
}

variable "rate_minimum_events" {
  description = "The least events in five minutes for the alarms rejected-rate and parked-rate: a percentage of a few events means little."
  type        = number
  default     = 20

  validation {
    condition     = var.rate_minimum_events >= 1
    error_message = "rate_minimum_events must be at least 1."
  }
}

variable "api_5xx_percent_threshold" {
  description = "The percentage of 5xx answers above which the alarm api-5xx is raised."
  type        = number
  default     = 1

  validation {
    condition     = var.api_5xx_percent_threshold >= 0 && var.api_5xx_percent_threshold < 100
    error_message = "api_5xx_percent_threshold must be 0 to below 100."
  }
}

variable "api_latency_threshold" {
  description = "The p99 latency above which the alarm api-latency is raised, in milliseconds. If clients use Prefer: wait, set it above their waits."
  type        = number
  default     = 2000

  validation {
    condition     = var.api_latency_threshold > 0 && var.api_latency_threshold < 30000
    error_message = "api_latency_threshold must be more than 0 and below 30000: API Gateway times out after 30 seconds."
  }
}

variable "ledger_imbalance_threshold" {
  description = "The difference between accepted events and their outcomes over six hours above which the alarm ledger-imbalance is raised. Events in flight at either end count as differences."
  type        = number
  default     = 100

  validation {
    condition     = var.ledger_imbalance_threshold >= 0
    error_message = "ledger_imbalance_threshold must not be negative."
  }
}
