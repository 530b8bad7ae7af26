# The variables of the deployment as a whole. variables_functions.tf has those of the functions, variables_outbound.tf those of
# what leaves the service, and variables_operation.tf those of logs and alarms. modules/data checks what it is passed.

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
  description = "The ARN of a KMS key to encrypt queues, tables, archive, alerts, logs and the functions' variables with. Its policy must let CloudWatch, CloudWatch Logs and this account use it. null uses the services' own keys, and creates one key for the alerts."
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
