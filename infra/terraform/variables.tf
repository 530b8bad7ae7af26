# What most deployments differ in. The module has more, each with a default: modules/orders/variables*.tf.

variable "region" {
  description = "The AWS region to deploy to."
  type        = string
  default     = "eu-central-1"

  validation {
    condition     = length(regexall("^[a-z]+(-[a-z]+)+-[0-9]+$", var.region)) > 0
    error_message = "region must be the name of a region, such as eu-central-1."
  }
}

variable "emulator_url" {
  description = "The address of an AWS emulator to deploy to, such as http://127.0.0.1:4566. If null, it is AWS."
  type        = string
  default     = null

  validation {
    condition     = var.emulator_url == null ? true : length(regexall("^https?://[^/]+$", var.emulator_url)) > 0
    error_message = "emulator_url must be the address of a server, without a path."
  }
}

variable "name" {
  description = "What everything is called, or begins with."
  type        = string
  default     = "orders"
}

variable "package" {
  description = "The program as a zip, of the kind that scripts/package-lambda.sh makes."
  type        = string
  default     = "../../target/lambda/orders/bootstrap.zip"
}

variable "architecture" {
  description = "What the package is built for: arm64 (scripts/package-lambda.sh --arm64) or x86_64."
  type        = string
  default     = "arm64"
}

variable "fifo" {
  description = "Whether the queues are FIFO queues, which keep the events of an order in order."
  type        = bool
  default     = true
}

variable "jwt_issuer" {
  description = "Who issues the tokens: the iss that they must have, where /.well-known/openid-configuration is found."
  type        = string
}

variable "jwt_audience" {
  description = "Whom the tokens are for: the aud (or client_id) that they must have, any one of these."
  type        = list(string)
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
}

variable "kms_key_arn" {
  description = "A KMS key to encrypt everything with; if null, the services' own keys do. modules/orders says what its policy must allow."
  type        = string
  default     = null
}

variable "alert_emails" {
  description = "Mail addresses to send alarms and alerts to. Each must confirm first."
  type        = set(string)
  default     = []
}

variable "deletion_protection" {
  description = "Whether the table refuses to be deleted, and the archive to be deleted with what is in it."
  type        = bool
  default     = true
}

variable "tags" {
  description = "Tags of everything that takes tags."
  type        = map(string)
  default     = {}
}
