# Queues, tables, archive and alerts: modules/data.

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

  # A container extends no message while it handles it. A batch takes seconds; with webhooks, a receiver may take 15 seconds for
  # each of ten messages.
  visibility = {
    consumer     = 300
    dead_letters = 300
    webhooks     = 1080
  }

  feed         = var.feed
  webhooks     = var.webhooks
  event_source = var.event_source
  event_bus    = var.event_bus
  events_topic = var.events_topic

  expire_unpaid    = var.expire_unpaid
  default_currency = var.default_currency
  log_level        = var.logs.level
}
