# What the modules of functions and of containers pass on. They have the defaults, and check most values.

variable "name" {
  description = "The name of all resources, or their prefix."
  type        = string

  validation {
    # The name of the archive's bucket contains account and region, and has at most 63 characters.
    condition     = length(regexall("^[a-z][a-z0-9-]{1,20}[a-z0-9]$", var.name)) > 0
    error_message = "name must be 3 to 22 characters of [a-z0-9-], begin with a letter and not end with a hyphen."
  }
}

variable "tags" {
  description = "Tags of all resources that have tags."
  type        = map(string)
}

variable "kms_key_arn" {
  description = "The ARN of a KMS key to encrypt queues, tables, archive and alerts with; null uses the services' own keys, and creates one key for the alerts."
  type        = string

  validation {
    condition     = var.kms_key_arn == null ? true : length(regexall("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/", var.kms_key_arn)) > 0
    error_message = "kms_key_arn must be the ARN of a key (arn:aws:kms:…:key/…), not an id or an alias."
  }
}

variable "deletion_protection" {
  description = "Whether the table and a non-empty archive bucket are protected from deletion."
  type        = bool
}

variable "queue" {
  description = "The queue of accepted events: whether it is FIFO, whether a standard queue is fair, and how many receives make a message a dead letter."
  type = object({
    fifo              = bool
    fair              = bool
    max_receive_count = number
  })

  validation {
    # Receives that Lambda throttles count as well: below three, throttling alone would make dead letters.
    condition     = var.queue.max_receive_count >= 3 && var.queue.max_receive_count <= 1000
    error_message = "queue.max_receive_count must be 3 to 1000: receives that Lambda throttles count as well, and valid messages would become dead letters."
  }
}

variable "visibility" {
  description = "The visibility timeouts of the queues of the consumer, of dead letters and of webhooks, in seconds."
  type = object({
    consumer     = number
    dead_letters = number
    webhooks     = number
  })
}

variable "table" {
  description = "The table of orders: whether it has the search index, and its warm throughput, in units a second, or null."
  type = object({
    search_index    = bool
    warm_throughput = optional(object({ read_units = number, write_units = number }))
  })

  validation {
    condition     = var.table.warm_throughput == null ? true : var.table.warm_throughput.read_units >= 12000 && var.table.warm_throughput.write_units >= 4000
    error_message = "table.warm_throughput must be at least 12000 read_units and 4000 write_units, which a new table on demand has anyway."
  }
}

variable "archive" {
  description = "After how many days archived dead letters move to cheaper storage, and are deleted (null: never)."
  type = object({
    transition_days = number
    expiration_days = optional(number)
  })

  validation {
    condition     = var.archive.transition_days >= 1
    error_message = "archive.transition_days must be at least 1."
  }

  validation {
    condition     = var.archive.expiration_days == null ? true : var.archive.expiration_days > var.archive.transition_days
    error_message = "archive.expiration_days must be more than archive.transition_days, or null."
  }
}

variable "alarms" {
  description = "Who receives alarms, and the thresholds of the alarms on queues."
  type = object({
    emails      = set(string)
    queue_depth = number
    message_age = number
    webhook_age = number
  })

  validation {
    condition     = alltrue([for address in var.alarms.emails : length(regexall("^[^@ ]+@[^@ ]+$", address)) > 0])
    error_message = "alarms.emails must be e-mail addresses."
  }

  validation {
    condition     = var.alarms.queue_depth > 0
    error_message = "alarms.queue_depth must be more than 0."
  }

  validation {
    condition     = var.alarms.message_age >= 60
    error_message = "alarms.message_age must be at least 60."
  }

  validation {
    condition     = var.alarms.webhook_age >= 1
    error_message = "alarms.webhook_age must be at least 1."
  }
}

variable "feed" {
  description = "The partitions of the feed of recorded events, and how many days it keeps events; null: no feed."
  type = object({
    partitions     = number
    retention_days = number
  })

  validation {
    condition     = var.feed == null ? true : var.feed.partitions >= 1 && var.feed.partitions <= 64
    error_message = "feed.partitions must be 1 to 64."
  }

  validation {
    condition     = var.feed == null ? true : var.feed.retention_days >= 1 && var.feed.retention_days <= 3650
    error_message = "feed.retention_days must be 1 to 3650."
  }
}

variable "webhooks" {
  description = "Whether recorded events are posted to webhook subscriptions."
  type        = bool
}

variable "event_source" {
  description = "The source of events that are posted to webhooks or published: a URI that identifies this deployment, or a part of one."
  type        = string

  validation {
    condition     = length(var.event_source) >= 1 && length(var.event_source) <= 256
    error_message = "event_source must have 1 to 256 characters."
  }
}

# These are objects, because an ARN that is made by the same configuration is not known when Terraform counts resources.
variable "event_bus" {
  description = "The EventBridge bus to which every recorded event is published: an object with its arn; or null."
  type        = object({ arn = string })

  validation {
    condition     = var.event_bus == null ? true : length(regexall("^arn:[a-z-]+:events:[a-z0-9-]+:[0-9]{12}:event-bus/", var.event_bus.arn)) > 0
    error_message = "event_bus.arn must be the ARN of an event bus (arn:aws:events:…:event-bus/…)."
  }
}

variable "events_topic" {
  description = "The SNS topic to which every recorded event is published: an object with its arn; or null."
  type        = object({ arn = string })

  validation {
    condition     = var.events_topic == null ? true : length(regexall("^arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:", var.events_topic.arn)) > 0
    error_message = "events_topic.arn must be the ARN of an SNS topic (arn:aws:sns:…)."
  }
}

variable "expire_unpaid" {
  description = "The age at which unpaid orders are cancelled, such as 48h; null: only orders with an expires_at expire."
  type        = string

  validation {
    condition     = var.expire_unpaid == null ? true : length(regexall("^[0-9]+(s|m|h|d)$", var.expire_unpaid)) > 0
    error_message = "expire_unpaid must be a number with s, m, h or d, such as 48h."
  }
}

variable "default_currency" {
  description = "The currency (ISO 4217) of orders whose producer states none."
  type        = string

  validation {
    condition     = length(regexall("^[A-Z]{3}$", var.default_currency)) > 0
    error_message = "default_currency must be an ISO 4217 code, such as EUR."
  }
}

variable "log_level" {
  description = "The log level of the program: trace, debug, info, warn, error or off."
  type        = string

  validation {
    condition     = contains(["trace", "debug", "info", "warn", "error", "off"], lower(var.log_level))
    error_message = "log_level must be trace, debug, info, warn, error or off."
  }
}
