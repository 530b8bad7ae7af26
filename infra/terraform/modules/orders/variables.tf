# Variables of queues, table and API. variables_functions.tf has those of the functions, variables_operation.tf those of
# retention and alarms.

variable "name" {
  description = "The name of all resources, or their prefix."
  type        = string
  default     = "orders"

  validation {
    # The name of the archive's bucket contains account and region, and has at most 63 characters.
    condition     = length(regexall("^[a-z][a-z0-9-]{1,20}[a-z0-9]$", var.name)) > 0
    error_message = "name must be 3 to 22 characters of [a-z0-9-], begin with a letter and not end with a hyphen."
  }
}

variable "tags" {
  description = "Tags of all resources that have tags."
  type        = map(string)
  default     = {}
}

variable "kms_key_arn" {
  description = "The ARN of a KMS key to encrypt queues, table, archive, alerts, logs and the functions' variables with. Its policy must let CloudWatch, CloudWatch Logs and this account use it. null uses the services' own keys, and creates one key for the alerts."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null ? true : length(regexall("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/", var.kms_key_arn)) > 0
    error_message = "kms_key_arn must be the ARN of a key (arn:aws:kms:…:key/…), not an id or an alias."
  }
}

variable "deletion_protection" {
  description = "Whether the table and a non-empty archive bucket are protected from deletion."
  type        = bool
  default     = true
}

# The table

variable "search_index" {
  description = "Whether orders can be found across customers, by status and by update time. The index takes up to two writes with every change of an order, and contains what changes after it is created."
  type        = bool
  default     = false
}

# The queue

variable "fifo" {
  description = "Whether the queues are FIFO queues, which keep the events of an order in order. On standard queues, events that arrive early are retried. Changing this replaces the queues: let them drain first."
  type        = bool
  default     = true
}

variable "max_receive_count" {
  description = "How many receives make a message a dead letter."
  type        = number
  default     = 5

  validation {
    # Receives that Lambda throttles count as well: below three, throttling alone would make dead letters.
    condition     = var.max_receive_count >= 3 && var.max_receive_count <= 1000
    error_message = "max_receive_count must be 3 to 1000: receives that Lambda throttles count as well, and valid messages would become dead letters."
  }
}

variable "batch_size" {
  description = "The most messages of a batch of the consumer: up to 10 on a FIFO queue."
  type        = number
  default     = 10

  validation {
    condition     = var.batch_size >= 1 && var.batch_size <= (var.fifo ? 10 : 10000)
    error_message = "batch_size must be 1 to 10 on a FIFO queue, 1 to 10000 on a standard one."
  }

  validation {
    condition     = var.batch_size <= 10 || var.batching_window >= 1
    error_message = "A batch_size of more than 10 needs a batching_window of at least 1."
  }
}

variable "batching_window" {
  description = "Seconds that Lambda waits for a batch to fill, for standard queues. FIFO queues ignore it."
  type        = number
  default     = 5

  validation {
    # Messages are invisible while Lambda waits. A window of up to one timeout leaves five of the six for the function.
    condition     = var.batching_window >= 0 && var.batching_window <= min(300, var.consumer_timeout)
    error_message = "batching_window must be 0 to 300 and no more than consumer_timeout: messages are invisible while Lambda waits."
  }
}

variable "delete_all_but_event_types" {
  description = "DANGER: every message whose type is not listed here, or that is not JSON, is DELETED from the queue: it is neither recorded, nor rejected, nor parked. A deleted event is lost, even if it was accepted. Use it only for a queue that other producers share. Empty means no filter."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for type in var.delete_all_but_event_types : length(regexall("^[a-z_]+$", type)) > 0])
    error_message = "delete_all_but_event_types must be event types, such as order_created."
  }
}

# The HTTP API

variable "jwt_issuer" {
  description = "The issuer of the tokens: their iss claim, and the URL under which /.well-known/openid-configuration is served."
  type        = string

  validation {
    condition     = startswith(var.jwt_issuer, "https://")
    error_message = "jwt_issuer must be an https:// URL."
  }
}

variable "jwt_audience" {
  description = "The accepted audiences: a token must have one of them as its aud or client_id claim."
  type        = list(string)

  validation {
    condition     = length(var.jwt_audience) > 0 && alltrue([for audience in var.jwt_audience : length(audience) > 0])
    error_message = "jwt_audience must have at least one audience: without one, tokens for any audience would be accepted."
  }
}

variable "jwt_scope_prefix" {
  description = "The prefix that the issuer adds to the names of scopes. Cognito adds the identifier of the resource server and a slash: with orders/, the scope orders.read is orders/orders.read."
  type        = string
  default     = null
}

variable "cors_origins" {
  description = "Origins whose pages may call the API, such as https://shop.example, or only *."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for origin in var.cors_origins : length(regexall("^(https?://[^/,]+|[*])$", origin)) > 0])
    error_message = "cors_origins must be origins, such as https://shop.example, without a path, or only *."
  }

  validation {
    condition     = !contains(var.cors_origins, "*") || length(var.cors_origins) == 1
    error_message = "cors_origins must be only *, or origins without *."
  }
}

variable "throttling_rate_limit" {
  description = "Requests per second that the API accepts from all clients together; further requests get 429."
  type        = number
  default     = 1000

  validation {
    condition     = var.throttling_rate_limit > 0
    error_message = "throttling_rate_limit must be more than 0: with 0 every request gets 429."
  }
}

variable "throttling_burst_limit" {
  description = "The burst of requests that the API accepts beyond the rate."
  type        = number
  default     = 2000

  validation {
    condition     = var.throttling_burst_limit >= 1
    error_message = "throttling_burst_limit must be at least 1: with 0 every request gets 429."
  }
}
