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

variable "jwt" {
  description = <<-EOT
    Whose tokens the API accepts.
    `issuer`: their iss claim, and the URL under which /.well-known/openid-configuration is served.
    `audience`: the accepted audiences: a token must have one of them as its aud or client_id claim.
    `scope_prefix`: the prefix that the issuer adds to the names of scopes. Cognito adds the identifier of the resource server and a slash: with orders/, the scope orders.read is orders/orders.read.
  EOT
  type = object({
    issuer       = string
    audience     = list(string)
    scope_prefix = optional(string)
  })
  nullable = false

  validation {
    condition     = startswith(var.jwt.issuer, "https://")
    error_message = "jwt.issuer must be an https:// URL."
  }

  validation {
    condition     = length(var.jwt.audience) > 0 && alltrue([for audience in var.jwt.audience : length(audience) > 0])
    error_message = "jwt.audience must have at least one audience: without one, tokens for any audience would be accepted."
  }
}

variable "api" {
  description = <<-EOT
    The HTTP API and its function.
    `cors_origins`: origins whose pages may call the API, such as https://shop.example, or only *.
    `rate_limit`: requests per second that the API accepts from all clients together; further requests get 429.
    `burst_limit`: the burst of requests that the API accepts beyond the rate.
    `timeout`: the timeout of a request, in seconds.
    `memory`: the memory of the function, in MiB. Its share of a CPU grows with it.
    `reserved_concurrency`: the reserved concurrency of the function: the most concurrent requests; -1 reserves none and uses what the account has left.
  EOT
  type = object({
    cors_origins         = optional(list(string), [])
    rate_limit           = optional(number, 1000)
    burst_limit          = optional(number, 2000)
    timeout              = optional(number, 29)
    memory               = optional(number, 512)
    reserved_concurrency = optional(number, -1)
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for origin in var.api.cors_origins : length(regexall("^(https?://[^/,]+|[*])$", origin)) > 0])
    error_message = "api.cors_origins must be origins, such as https://shop.example, without a path, or only *."
  }

  validation {
    condition     = !contains(var.api.cors_origins, "*") || length(var.api.cors_origins) == 1
    error_message = "api.cors_origins must be only *, or origins without *."
  }

  validation {
    condition     = var.api.rate_limit > 0 && var.api.burst_limit >= 1
    error_message = "api.rate_limit must be more than 0, and api.burst_limit at least 1: with 0 every request gets 429."
  }

  validation {
    # API Gateway times out after 30.
    condition     = var.api.timeout >= 1 && var.api.timeout <= 29
    error_message = "api.timeout must be 1 to 29: API Gateway waits for 30 seconds."
  }

  validation {
    condition     = var.api.memory >= 128 && var.api.memory <= 10240
    error_message = "api.memory must be 128 to 10240."
  }

  validation {
    condition     = var.api.reserved_concurrency == -1 || var.api.reserved_concurrency >= 1
    error_message = "api.reserved_concurrency must be at least 1, or -1 for no reservation: with 0 no request is served."
  }
}

variable "consumer" {
  description = <<-EOT
    The consumer, and the mapping that feeds it from the queue.
    `timeout`: the timeout of a batch, in seconds. The queue's visibility timeout is six times this.
    `memory`: the memory of the function, in MiB. Its share of a CPU grows with it.
    `batch_size`: the most messages of a batch: up to 10 on a FIFO queue.
    `batching_window`: seconds that Lambda waits for a batch to fill, for standard queues. FIFO queues ignore it.
    `maximum_concurrency`: the most batches that are handled concurrently. With provisioned_pollers, it is ignored: Lambda allows only one of both.
    `provisioned_pollers`: how many pollers Lambda keeps for the queue at least and at most; null: none. Each handles up to ten batches concurrently, and is billed while it exists.
    `reserved_concurrency`: the reserved concurrency of the function; -1 reserves none. At least maximum_concurrency, or ten for each poller.
    `delete_all_but_event_types`: DANGER: every message whose type is not listed here, or that is not JSON, is DELETED from the queue: it is neither recorded, nor rejected, nor parked. A deleted event is lost, even if it was accepted. Use it only for a queue that other producers share. Empty means no filter.
  EOT
  type = object({
    timeout                    = optional(number, 50)
    memory                     = optional(number, 512)
    batch_size                 = optional(number, 10)
    batching_window            = optional(number, 5)
    maximum_concurrency        = optional(number, 4)
    provisioned_pollers        = optional(object({ minimum = optional(number, 2), maximum = optional(number, 10) }))
    reserved_concurrency       = optional(number, -1)
    delete_all_but_event_types = optional(list(string), [])
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.consumer.timeout >= 5 && var.consumer.timeout <= 900
    error_message = "consumer.timeout must be 5 to 900."
  }

  validation {
    condition     = var.consumer.memory >= 128 && var.consumer.memory <= 10240
    error_message = "consumer.memory must be 128 to 10240."
  }

  validation {
    condition     = var.consumer.batch_size >= 1 && var.consumer.batch_size <= (var.queue.fifo ? 10 : 10000)
    error_message = "consumer.batch_size must be 1 to 10 on a FIFO queue, 1 to 10000 on a standard one."
  }

  validation {
    condition     = var.consumer.batch_size <= 10 || var.consumer.batching_window >= 1
    error_message = "A consumer.batch_size of more than 10 needs a batching_window of at least 1."
  }

  validation {
    # Messages are invisible while Lambda waits. A window of up to one timeout leaves five of the six for the function.
    condition     = var.consumer.batching_window >= 0 && var.consumer.batching_window <= min(300, var.consumer.timeout)
    error_message = "consumer.batching_window must be 0 to 300 and no more than timeout: messages are invisible while Lambda waits."
  }

  validation {
    condition     = var.consumer.maximum_concurrency >= 2 && var.consumer.maximum_concurrency <= 1000
    error_message = "consumer.maximum_concurrency must be 2 to 1000."
  }

  validation {
    condition = var.consumer.provisioned_pollers == null ? true : (
      var.consumer.provisioned_pollers.minimum >= 2 && var.consumer.provisioned_pollers.minimum <= 200 &&
      var.consumer.provisioned_pollers.maximum >= var.consumer.provisioned_pollers.minimum &&
      var.consumer.provisioned_pollers.maximum <= 2000
    )
    error_message = "consumer.provisioned_pollers must have a minimum of 2 to 200, and a maximum from there to 2000."
  }

  validation {
    # Otherwise Lambda receives batches that it cannot run, and such receives count.
    condition = var.consumer.reserved_concurrency == -1 || var.consumer.reserved_concurrency >= (
      var.consumer.provisioned_pollers == null ? var.consumer.maximum_concurrency : 10 * var.consumer.provisioned_pollers.maximum
    )
    error_message = "consumer.reserved_concurrency must be -1, or at least maximum_concurrency or ten for each of the provisioned pollers: throttled receives count against max_receive_count."
  }

  validation {
    condition     = alltrue([for type in var.consumer.delete_all_but_event_types : length(regexall("^[a-z_]+$", type)) > 0])
    error_message = "consumer.delete_all_but_event_types must be event types, such as order_created."
  }
}

variable "dead_letters" {
  description = <<-EOT
    The archiver of dead letters.
    `timeout`: the timeout of a batch, in seconds. The visibility timeout of their queue is six times this.
    `memory`: the memory of the function, in MiB.
    `reserved_concurrency`: the reserved concurrency of the function; -1 reserves none.
  EOT
  type = object({
    timeout              = optional(number, 50)
    memory               = optional(number, 256)
    reserved_concurrency = optional(number, -1)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.dead_letters.timeout >= 5 && var.dead_letters.timeout <= 900
    error_message = "dead_letters.timeout must be 5 to 900."
  }

  validation {
    # Room for ten messages of 1 MiB, of which it sometimes holds more than one copy.
    condition     = var.dead_letters.memory >= 128 && var.dead_letters.memory <= 10240
    error_message = "dead_letters.memory must be 128 to 10240."
  }

  validation {
    condition     = var.dead_letters.reserved_concurrency == -1 || var.dead_letters.reserved_concurrency >= 2
    error_message = "dead_letters.reserved_concurrency must be -1 or at least 2, the maximum concurrency of its event source mapping."
  }
}

variable "expiry" {
  description = <<-EOT
    The cancellation of unpaid orders.
    `unpaid_after`: the age at which unpaid orders are cancelled, such as 48h. It costs three writes for each new order. null: only orders with an expires_at expire.
    `memory`: the memory of the function that proposes it, in MiB.
  EOT
  type = object({
    unpaid_after = optional(string)
    memory       = optional(number, 256)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.expiry.memory >= 128 && var.expiry.memory <= 10240
    error_message = "expiry.memory must be 128 to 10240."
  }
}
