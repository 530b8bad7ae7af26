# Variables of the functions.

variable "package" {
  description = "The path of the deployment package, a zip that scripts/package-lambda.sh makes."
  type        = string
}

variable "architecture" {
  description = "The architecture of the package: arm64 (scripts/package-lambda.sh --arm64) or x86_64."
  type        = string
  default     = "arm64"

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture must be arm64 or x86_64."
  }
}

variable "log_level" {
  description = "The log level of the functions: trace, debug, info, warn, error or off."
  type        = string
  default     = "INFO"

  validation {
    condition     = contains(["trace", "debug", "info", "warn", "error", "off"], lower(var.log_level))
    error_message = "log_level must be trace, debug, info, warn, error or off."
  }
}

variable "default_currency" {
  description = "The currency (ISO 4217) of orders whose producer states none."
  type        = string
  default     = "USD"

  validation {
    condition     = length(regexall("^[A-Z]{3}$", var.default_currency)) > 0
    error_message = "default_currency must be an ISO 4217 code, such as EUR."
  }
}

variable "api_timeout" {
  description = "The timeout of a request, in seconds."
  type        = number
  default     = 29

  validation {
    # API Gateway times out after 30.
    condition     = var.api_timeout >= 1 && var.api_timeout <= 29
    error_message = "api_timeout must be 1 to 29: API Gateway waits for 30 seconds."
  }
}

variable "api_memory" {
  description = "The memory of the API's function, in MiB. Its share of a CPU grows with it."
  type        = number
  default     = 512

  validation {
    condition     = var.api_memory >= 128 && var.api_memory <= 10240
    error_message = "api_memory must be 128 to 10240."
  }
}

variable "api_reserved_concurrency" {
  description = "The reserved concurrency of the API: the most concurrent requests; -1 reserves none and uses what the account has left."
  type        = number
  default     = 100

  validation {
    condition     = var.api_reserved_concurrency == -1 || var.api_reserved_concurrency >= 1
    error_message = "api_reserved_concurrency must be at least 1, or -1 for no reservation: with 0 no request is served."
  }
}

variable "consumer_timeout" {
  description = "The timeout of a batch, in seconds. The queue's visibility timeout is six times this."
  type        = number
  default     = 50

  validation {
    condition     = var.consumer_timeout >= 5 && var.consumer_timeout <= 900
    error_message = "consumer_timeout must be 5 to 900."
  }
}

variable "consumer_memory" {
  description = "The memory of the consumer, in MiB. Its share of a CPU grows with it."
  type        = number
  default     = 512

  validation {
    condition     = var.consumer_memory >= 128 && var.consumer_memory <= 10240
    error_message = "consumer_memory must be 128 to 10240."
  }
}

variable "consumer_reserved_concurrency" {
  description = "The reserved concurrency of the consumer; -1 reserves none. At least consumer_maximum_concurrency."
  type        = number
  default     = 100

  validation {
    # Otherwise Lambda receives batches that it cannot run, and such receives count.
    condition     = var.consumer_reserved_concurrency == -1 || var.consumer_reserved_concurrency >= var.consumer_maximum_concurrency
    error_message = "consumer_reserved_concurrency must be -1 or at least consumer_maximum_concurrency: throttled receives count against max_receive_count."
  }
}

variable "consumer_maximum_concurrency" {
  description = "The most batches that are handled concurrently."
  type        = number
  default     = 50

  validation {
    condition     = var.consumer_maximum_concurrency >= 2 && var.consumer_maximum_concurrency <= 1000
    error_message = "consumer_maximum_concurrency must be 2 to 1000."
  }
}

variable "dead_letters_timeout" {
  description = "The timeout of a batch of dead letters, in seconds. Their queue's visibility timeout is six times this."
  type        = number
  default     = 50

  validation {
    condition     = var.dead_letters_timeout >= 5 && var.dead_letters_timeout <= 900
    error_message = "dead_letters_timeout must be 5 to 900."
  }
}

variable "dead_letters_memory" {
  description = "The memory of the function for dead letters, in MiB."
  type        = number
  default     = 256

  validation {
    # Room for ten messages of 1 MiB, of which it sometimes holds more than one copy.
    condition     = var.dead_letters_memory >= 128 && var.dead_letters_memory <= 10240
    error_message = "dead_letters_memory must be 128 to 10240."
  }
}

variable "dead_letters_reserved_concurrency" {
  description = "The reserved concurrency of the function for dead letters; -1 reserves none."
  type        = number
  default     = 5

  validation {
    condition     = var.dead_letters_reserved_concurrency == -1 || var.dead_letters_reserved_concurrency >= 2
    error_message = "dead_letters_reserved_concurrency must be -1 or at least 2, the maximum concurrency of its event source mapping."
  }
}

variable "expire_unpaid" {
  description = "The age at which unpaid orders are cancelled, such as 48h. It costs three writes for each new order. Without it, only orders with an expires_at expire."
  type        = string
  default     = null

  validation {
    condition     = var.expire_unpaid == null ? true : length(regexall("^[0-9]+(s|m|h|d)$", var.expire_unpaid)) > 0
    error_message = "expire_unpaid must be a number with s, m, h or d, such as 48h."
  }
}

variable "expiry_memory" {
  description = "The memory of the function that proposes to cancel unpaid orders, in MiB."
  type        = number
  default     = 256

  validation {
    condition     = var.expiry_memory >= 128 && var.expiry_memory <= 10240
    error_message = "expiry_memory must be 128 to 10240."
  }
}

variable "expiry_late_threshold" {
  description = "The lateness of a cancellation that raises an alarm, in seconds."
  type        = number
  default     = 900

  validation {
    condition     = var.expiry_late_threshold >= 1
    error_message = "expiry_late_threshold must be at least 1."
  }
}
