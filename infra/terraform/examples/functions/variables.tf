# The variables that most deployments set. The module has more, all with defaults: see ../../modules/orders/README.md.

variable "region" {
  description = "The AWS region to deploy to."
  type        = string
  default     = "eu-central-1"

  validation {
    condition     = length(regexall("^[a-z]+(-[a-z]+)+-[0-9]+$", var.region)) > 0
    error_message = "region must be an AWS region, such as eu-central-1."
  }
}

variable "emulator_url" {
  description = "The URL of an AWS emulator to deploy to, such as http://127.0.0.1:4566. null deploys to AWS."
  type        = string
  default     = null

  validation {
    condition     = var.emulator_url == null ? true : length(regexall("^https?://[^/]+$", var.emulator_url)) > 0
    error_message = "emulator_url must be an http or https URL without a path."
  }
}

variable "name" {
  description = "The name of all resources, or their prefix."
  type        = string
  default     = "orders"
}

variable "package" {
  description = "The path of the deployment package, a zip that scripts/package-lambda.sh makes."
  type        = string
  default     = "../../../../target/lambda/orders/bootstrap.zip"
}

variable "architecture" {
  description = "The architecture of the package: arm64 (scripts/package-lambda.sh --arm64) or x86_64."
  type        = string
  default     = "arm64"
}

variable "fifo" {
  description = "Whether the queues are FIFO queues, which keep the events of an order in order."
  type        = bool
  default     = true
}

variable "jwt_issuer" {
  description = "The issuer of the tokens: their iss claim, and the URL under which /.well-known/openid-configuration is served."
  type        = string
}

variable "jwt_audience" {
  description = "The accepted audiences: a token must have one of them as its aud or client_id claim."
  type        = list(string)
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
}

variable "search_index" {
  description = "Whether orders can be found across customers, by status and by update time. The index takes up to two writes with every change of an order, and contains what changes after it is created."
  type        = bool
  default     = false
}

variable "kms_key_arn" {
  description = "The ARN of a KMS key to encrypt everything with; null uses the services' own keys. ../../README.md says what its policy must allow."
  type        = string
  default     = null
}

variable "alert_emails" {
  description = "E-mail addresses that receive alarms and alerts. Each must confirm its subscription."
  type        = set(string)
  default     = []
}

variable "deletion_protection" {
  description = "Whether the table and a non-empty archive bucket are protected from deletion."
  type        = bool
  default     = true
}

variable "tags" {
  description = "Tags of all resources that have tags."
  type        = map(string)
  default     = {}
}
