# What differs from one deployment to the next.

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

variable "image" {
  description = "The container image of the program, built with the feature aws, in a registry that the tasks can pull from."
  type        = string
}

variable "architecture" {
  description = "The architecture of the image: arm64 or x86_64."
  type        = string
  default     = "arm64"
}

variable "vpc_id" {
  description = "The VPC to run in."
  type        = string
}

variable "public_subnet_ids" {
  description = "Subnets of the load balancer, in at least two availability zones."
  type        = list(string)
}

variable "private_subnet_ids" {
  description = "Subnets of the tasks. They must reach AWS: through a NAT gateway, or through VPC endpoints."
  type        = list(string)
}

variable "certificate_arn" {
  description = "The ARN of the load balancer's certificate, in AWS Certificate Manager of the same region."
  type        = string
}

variable "jwks_url" {
  description = "The URL of the issuer's keys: its jwks_uri."
  type        = string
}

variable "jwt_issuer" {
  description = "The issuer of the tokens: their iss claim."
  type        = string
}

variable "jwt_audience" {
  description = "The accepted audience of tokens."
  type        = string
}

variable "jwt_scope_prefix" {
  description = "The prefix that the issuer adds to the names of scopes; null: none."
  type        = string
  default     = null
}
