# The roles of the program as functions of one package. A function's handler is its role.

locals {
  functions = merge(local.main_functions, local.feed_functions, local.webhook_functions)

  main_functions = {
    api = {
      description          = "The HTTP API of ${var.name}: accepts events, and returns orders and receipts."
      timeout              = var.api_timeout
      memory               = var.api_memory
      reserved_concurrency = var.api_reserved_concurrency
      environment = merge(
        {
          QUEUE_URL  = aws_sqs_queue.main.url
          DLQ_URL    = aws_sqs_queue.dlq.url
          DLQ_BUCKET = aws_s3_bucket.archive.bucket
          # The authorizer of the HTTP API has checked the token. The function only trusts requests with its claims.
          ORDERS_AUTH = "gateway"
        },
        var.jwt_scope_prefix == null ? {} : { ORDERS_JWT_SCOPE_PREFIX = var.jwt_scope_prefix },
        length(var.cors_origins) > 0 ? { ORDERS_CORS_ORIGINS = join(",", var.cors_origins) } : {},
        var.search_index ? { ORDERS_SEARCH_INDEX = "true" } : {},
        local.feed_environment,
      )
    }
    consumer = {
      description          = "The consumer of ${var.name}: decides on events, records them and projects orders."
      timeout              = var.consumer_timeout
      memory               = var.consumer_memory
      reserved_concurrency = var.consumer_reserved_concurrency
      environment = merge(
        {
          QUEUE_URL = aws_sqs_queue.main.url
          DLQ_URL   = aws_sqs_queue.dlq.url
          # The consumer parks a message on its last receive, with the error. SQS would move it without one.
          ORDERS_MAX_RECEIVES = var.max_receive_count
        },
        local.expire_unpaid,
        var.search_index ? { ORDERS_SEARCH_INDEX = "true" } : {},
      )
    }
    dead-letters = {
      description          = "The archiver of ${var.name}: archives dead letters, marks their orders and publishes alerts."
      timeout              = var.dead_letters_timeout
      memory               = var.dead_letters_memory
      reserved_concurrency = var.dead_letters_reserved_concurrency
      environment = {
        QUEUE_URL    = aws_sqs_queue.main.url
        DLQ_URL      = aws_sqs_queue.dlq.url
        DLQ_BUCKET   = aws_s3_bucket.archive.bucket
        ALERTS_TOPIC = aws_sns_topic.alerts.arn
      }
    }
    expiry = {
      description          = "Proposes to cancel orders of ${var.name} that are unpaid at their deadline."
      timeout              = local.expiry_timeout
      memory               = var.expiry_memory
      reserved_concurrency = -1
      environment          = merge({ QUEUE_URL = aws_sqs_queue.main.url }, local.expire_unpaid)
    }
  }

  # The consumer writes the deadline of a new order, and the expiry function reads it.
  expire_unpaid = var.expire_unpaid == null ? {} : { ORDERS_EXPIRE_UNPAID = var.expire_unpaid }
}

# There is no dead_letter_config, which is for asynchronous invocations only. The consumer's dead letters are those of its
# queue.
resource "aws_lambda_function" "function" {
  #checkov:skip=CKV_AWS_116:A function's own dead-letter queue is for asynchronous invocations; there are none.
  #checkov:skip=CKV_AWS_117:It calls AWS services only, at their public endpoints with TLS; a VPC would only add cost.
  #checkov:skip=CKV_AWS_272:Whoever deploys this builds and signs the package, and chooses the signing profile.
  for_each = local.functions

  function_name = "${var.name}-${each.key}"
  description   = each.value.description
  role          = aws_iam_role.function[each.key].arn

  runtime          = "provided.al2023"
  handler          = each.key
  architectures    = [var.architecture]
  filename         = var.package
  source_code_hash = filebase64sha256(var.package)

  timeout                        = each.value.timeout
  memory_size                    = each.value.memory
  reserved_concurrent_executions = each.value.reserved_concurrency
  kms_key_arn                    = var.kms_key_arn

  environment {
    variables = merge(
      {
        TABLE_NAME              = aws_dynamodb_table.orders.name
        LOG_LEVEL               = var.log_level
        ORDERS_DEFAULT_CURRENCY = var.default_currency
      },
      each.value.environment,
    )
  }

  # Active traces cost $5 a million recorded ones: docs/aws.md has the bill.
  tracing_config {
    mode = var.xray_tracing ? "Active" : "PassThrough"
  }

  # The program filters by LOG_LEVEL. Lambda must not drop more lines, because some are metrics. Lambda's own lines about the start
  # and the end of each invocation would be most of the log; CloudWatch has their numbers as metrics.
  logging_config {
    log_format            = "JSON"
    application_log_level = "TRACE"
    system_log_level      = "WARN"
    log_group             = aws_cloudwatch_log_group.function[each.key].name
  }

  tags = var.tags

  # Without them, a function would fail at its start, or create a log group that is kept forever.
  depends_on = [aws_iam_role_policy.function]
}

resource "aws_cloudwatch_log_group" "function" {
  for_each = local.functions

  name              = "/aws/lambda/${var.name}-${each.key}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
  tags              = var.tags
}

# With ReportBatchItemFailures, only failed messages are delivered again. Without it, Lambda ignores the function's answer
# and deletes the messages that it could not handle.
resource "aws_lambda_event_source_mapping" "consumer" {
  event_source_arn        = aws_sqs_queue.main.arn
  function_name           = aws_lambda_function.function["consumer"].arn
  function_response_types = ["ReportBatchItemFailures"]

  batch_size = var.batch_size
  # A FIFO queue allows no batching window.
  maximum_batching_window_in_seconds = var.fifo ? null : var.batching_window

  # Below the function's reserved concurrency, so that Lambda never receives a batch that it cannot run: such receives
  # count, and after max_receive_count of them a valid message becomes a dead letter.
  scaling_config {
    maximum_concurrency = var.consumer_maximum_concurrency
  }

  metrics_config {
    metrics = ["EventCount"]
  }

  # No filter by default: messages that do not match, or are not JSON, are deleted.
  dynamic "filter_criteria" {
    for_each = length(var.delete_all_but_event_types) > 0 ? [var.delete_all_but_event_types] : []

    content {
      filter {
        pattern = jsonencode({ body = { type = filter_criteria.value } })
      }
    }
  }

  tags = var.tags
}

resource "aws_lambda_event_source_mapping" "dead_letters" {
  event_source_arn        = aws_sqs_queue.dlq.arn
  function_name           = aws_lambda_function.function["dead-letters"].arn
  function_response_types = ["ReportBatchItemFailures"]

  batch_size = 10

  scaling_config {
    maximum_concurrency = 2 # the minimum of Lambda
  }

  metrics_config {
    metrics = ["EventCount"]
  }

  tags = var.tags
}
