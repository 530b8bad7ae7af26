# What differs from one deployment to the next. main.tf has what makes this one busy.

variable "region" {
  description = "The AWS region to deploy to."
  type        = string
  default     = "eu-central-1"

  validation {
    condition     = length(regexall("^[a-z]+(-[a-z]+)+-[0-9]+$", var.region)) > 0
    error_message = "region must be an AWS region, such as eu-central-1."
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

variable "tags" {
  description = "Tags of all resources that have tags."
  type        = map(string)
  default     = {}
}
