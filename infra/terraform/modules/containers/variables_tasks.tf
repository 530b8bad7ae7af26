# Variables of the tasks and of the load balancer before the API.

variable "image" {
  description = "The container image of the program, built with the feature aws. Its entry point is the program: a task's command is the role."
  type        = string
}

variable "architecture" {
  description = "The architecture of the image: arm64 or x86_64."
  type        = string
  default     = "arm64"

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture must be arm64 or x86_64."
  }
}

variable "network" {
  description = <<-EOT
    Where to run.
    `vpc_id`: the VPC.
    `public_subnet_ids`: subnets of the load balancer, in at least two availability zones.
    `private_subnet_ids`: subnets of the tasks. They must reach AWS: through a NAT gateway, or through VPC endpoints.
    `internal`: whether the load balancer has private addresses only.
    `client_cidrs`: the addresses that may reach the load balancer.
  EOT
  type = object({
    vpc_id             = string
    public_subnet_ids  = list(string)
    private_subnet_ids = list(string)
    internal           = optional(bool, false)
    client_cidrs       = optional(list(string), ["0.0.0.0/0"])
  })
  nullable = false

  validation {
    condition     = length(var.network.public_subnet_ids) >= 2 && length(var.network.private_subnet_ids) >= 1
    error_message = "network must have two public_subnet_ids, in different availability zones, and one of private_subnet_ids."
  }
}

variable "certificate_arn" {
  description = "The ARN of the load balancer's certificate, in AWS Certificate Manager of the same region."
  type        = string

  validation {
    condition     = length(regexall("^arn:[a-z-]+:(acm|iam):", var.certificate_arn)) > 0
    error_message = "certificate_arn must be the ARN of a certificate (arn:aws:acm:…:certificate/…)."
  }
}

variable "jwt" {
  description = <<-EOT
    Whose tokens the API accepts. A load balancer checks no tokens for APIs, so the program does.
    `jwks_url`: the URL of the issuer's keys: its jwks_uri.
    `issuer`: the issuer of the tokens: their iss claim.
    `audience`: the accepted audience: a token must have it as its aud claim.
    `scope_prefix`: the prefix that the issuer adds to the names of scopes. Cognito adds the identifier of the resource server and a slash: with orders/, the scope orders.read is orders/orders.read.
  EOT
  type = object({
    jwks_url     = string
    issuer       = string
    audience     = string
    scope_prefix = optional(string)
  })
  nullable = false

  validation {
    condition     = startswith(var.jwt.jwks_url, "https://")
    error_message = "jwt.jwks_url must be an https:// URL."
  }
}

variable "cors_origins" {
  description = "Origins whose pages may call the API, such as https://shop.example, or only *."
  type        = list(string)
  default     = []
}

variable "tasks" {
  description = <<-EOT
    The tasks of each role, which Fargate runs: how many, their CPU (1024 is one) and their memory, in MiB.
    `consumer_concurrency`: the most batches of ten messages that a consumer handles concurrently.
    `stop_timeout`: seconds that a task has to finish open work before it is killed.
  EOT
  type = object({
    api                  = optional(object({ count = optional(number, 2), cpu = optional(number, 512), memory = optional(number, 1024) }), {})
    consumer             = optional(object({ count = optional(number, 2), cpu = optional(number, 512), memory = optional(number, 1024) }), {})
    dead_letters         = optional(object({ count = optional(number, 1), cpu = optional(number, 256), memory = optional(number, 512) }), {})
    expiry               = optional(object({ count = optional(number, 1), cpu = optional(number, 256), memory = optional(number, 512) }), {})
    relay                = optional(object({ count = optional(number, 2), cpu = optional(number, 256), memory = optional(number, 512) }), {})
    webhook_sender       = optional(object({ count = optional(number, 2), cpu = optional(number, 256), memory = optional(number, 512) }), {})
    consumer_concurrency = optional(number, 8)
    stop_timeout         = optional(number, 60)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.tasks.stop_timeout >= 10 && var.tasks.stop_timeout <= 120
    error_message = "tasks.stop_timeout must be 10 to 120, the most that Fargate waits."
  }

  validation {
    condition     = var.tasks.consumer_concurrency >= 1 && var.tasks.consumer_concurrency <= 1000
    error_message = "tasks.consumer_concurrency must be 1 to 1000."
  }
}
