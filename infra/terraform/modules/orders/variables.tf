# What the deployment is. variables_functions.tf has its functions, variables_operation.tf what it
# is watched with.

variable "name" {
  description = "What everything is called, or begins with."
  type        = string
  default     = "orders"

  validation {
    # The name of the archive's bucket has 63 characters at most, with account and region in it.
    condition     = length(regexall("^[a-z][a-z0-9-]{1,20}[a-z0-9]$", var.name)) > 0
    error_message = "name must be 3 to 22 characters of [a-z0-9-], begin with a letter and not end with a hyphen."
  }
}

variable "tags" {
  description = "Tags of everything that takes tags."
  type        = map(string)
  default     = {}
}

variable "kms_key_arn" {
  description = "A KMS key to encrypt queues, table, archive, alerts, logs and the functions' variables with. Its policy must let CloudWatch, CloudWatch Logs and this account use it. If null, the services' own keys do, and one key is made for the alerts."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null ? true : length(regexall("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/", var.kms_key_arn)) > 0
    error_message = "kms_key_arn must be the ARN of a key (arn:aws:kms:…:key/…), not its id or an alias."
  }
}

variable "deletion_protection" {
  description = "Whether the table refuses to be deleted, and the archive to be deleted with what is in it."
  type        = bool
  default     = true
}

# The queue

variable "fifo" {
  description = "Whether the queues are FIFO queues, which keep the events of an order in order. On standard queues events that come too early are put off. Changing it replaces the queues: let them run empty before."
  type        = bool
  default     = true
}

variable "max_receive_count" {
  description = "How often a message is received before it is a dead letter."
  type        = number
  default     = 5

  validation {
    # A receive that Lambda cannot run counts as well: below three, throttling alone makes dead letters.
    condition     = var.max_receive_count >= 3 && var.max_receive_count <= 1000
    error_message = "max_receive_count must be 3 to 1000: receives that Lambda throttles count as well, and good messages would be dead letters."
  }
}

variable "batch_size" {
  description = "The most messages that the consumer is given at once: up to 10 on a FIFO queue."
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
  description = "Seconds that Lambda waits for a batch to fill. For standard queues only: a FIFO queue takes none, and this is ignored."
  type        = number
  default     = 5

  validation {
    # Messages are invisible while they wait. Up to one timeout leaves five of the six for the function.
    condition     = var.batching_window >= 0 && var.batching_window <= min(300, var.consumer_timeout)
    error_message = "batching_window must be 0 to 300 and no more than consumer_timeout: messages are invisible while they wait."
  }
}

variable "delete_all_but_event_types" {
  description = "DANGER: every message whose type is not listed here, and every one that is not JSON, is DELETED from the queue: neither recorded, nor rejected, nor in the dead letters. An accepted event that is deleted is lost. Only for a queue that other producers share; leave it empty otherwise, and no filter is made."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for type in var.delete_all_but_event_types : length(regexall("^[a-z_]+$", type)) > 0])
    error_message = "delete_all_but_event_types must be types of events, such as order_created."
  }
}

# The HTTP API

variable "jwt_issuer" {
  description = "Who issues the tokens: the iss that they must have, where /.well-known/openid-configuration is found."
  type        = string

  validation {
    condition     = startswith(var.jwt_issuer, "https://")
    error_message = "jwt_issuer must be an https:// address."
  }
}

variable "jwt_audience" {
  description = "Whom the tokens are for: the aud (or client_id) that they must have, any one of these."
  type        = list(string)

  validation {
    condition     = length(var.jwt_audience) > 0 && alltrue([for audience in var.jwt_audience : length(audience) > 0])
    error_message = "jwt_audience must have at least one audience: without one, tokens for anybody would do."
  }
}

variable "jwt_scope_prefix" {
  description = "What the issuer writes before the names of the scopes. Cognito writes the resource server's identifier and a slash: orders/ makes orders/orders.read of orders.read."
  type        = string
  default     = null
}

variable "cors_origins" {
  description = "Origins whose pages may use the API, such as https://shop.example; or * alone."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for origin in var.cors_origins : length(regexall("^(https?://[^/,]+|[*])$", origin)) > 0])
    error_message = "cors_origins must be origins, such as https://shop.example, without a path; or * alone."
  }

  validation {
    condition     = !contains(var.cors_origins, "*") || length(var.cors_origins) == 1
    error_message = "cors_origins must be * alone, or origins without it."
  }
}

variable "throttling_rate_limit" {
  description = "Requests per second that the API takes of all clients together; more get 429."
  type        = number
  default     = 1000

  validation {
    condition     = var.throttling_rate_limit > 0
    error_message = "throttling_rate_limit must be more than 0: with 0 every request gets 429."
  }
}

variable "throttling_burst_limit" {
  description = "Requests that the API takes at once beyond the rate."
  type        = number
  default     = 2000

  validation {
    condition     = var.throttling_burst_limit >= 1
    error_message = "throttling_burst_limit must be at least 1: with 0 every request gets 429."
  }
}
