# Lambda functions for steady or sudden load: reserved concurrency, provisioned pollers, a warm table and large batches of the
# relay. It needs a quota of concurrent executions of at least 600: README.md has the limits. State is kept in this folder until
# you configure a backend: see https://developer.hashicorp.com/terraform/language/backend.

provider "aws" {
  region = var.region
}

module "orders" {
  source = "../../modules/orders"

  name         = var.name
  package      = var.package
  architecture = var.architecture

  jwt = {
    issuer       = var.jwt_issuer
    audience     = var.jwt_audience
    scope_prefix = var.jwt_scope_prefix
  }

  api = {
    rate_limit           = 3000
    burst_limit          = 5000
    memory               = 1024
    reserved_concurrency = 200
  }

  # Two pollers are always there, so a burst is not delayed by scaling. Each handles ten batches at a time.
  consumer = {
    memory               = 1024
    provisioned_pollers  = { minimum = 2, maximum = 20 }
    reserved_concurrency = 200
  }

  dead_letters = { reserved_concurrency = 5 }

  # An order step by step takes three writes an event; a new order one.
  table = {
    warm_throughput = { read_units = 12000, write_units = 10000 }
  }

  # Events that wait up to two seconds are appended to the feed together, at a fraction of the price.
  feed  = { partitions = 8 }
  relay = { batching_window = 2, memory = 512 }

  logs = { level = "WARN" }

  alarms = {
    emails      = var.alert_emails
    queue_depth = 20000
    message_age = 300
  }

  kms_key_arn = var.kms_key_arn
  tags        = merge({ service = var.name }, var.tags)
}
