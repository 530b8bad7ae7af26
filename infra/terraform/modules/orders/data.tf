# Queues, tables, archive and alerts, which do not depend on what runs the program: modules/data. A deployment of an earlier
# release, whose resources were declared here, keeps them: moved.tf says where they are now.

module "data" {
  source = "../data"

  name                = var.name
  tags                = var.tags
  kms_key_arn         = var.kms_key_arn
  deletion_protection = var.deletion_protection

  queue   = var.queue
  table   = var.table
  archive = var.archive
  alarms  = var.alarms

  # AWS recommends six times the function's timeout: a message must not be delivered again while a batch with it is handled.
  visibility = {
    consumer     = 6 * var.consumer.timeout
    dead_letters = 6 * var.dead_letters.timeout
    webhooks     = var.webhooks == null ? 0 : 6 * var.webhooks.timeout
  }

  feed         = var.feed
  webhooks     = var.webhooks != null
  event_source = var.event_source
  event_bus    = var.event_bus
  events_topic = var.events_topic

  expire_unpaid    = var.expiry.unpaid_after
  default_currency = var.default_currency
  log_level        = var.logs.level
}
