# The three roles of the program as functions. One package serves them all: a function's handler says which role it has.

locals {
  functions = {
    api = {
      description          = "The HTTP API of ${var.name}: puts events on the queue, shows what became of them."
      timeout              = var.api_timeout
      memory               = var.api_memory
      reserved_concurrency = var.api_reserved_concurrency
      environment = merge(
        {
          QUEUE_URL  = aws_sqs_queue.main.url
          DLQ_URL    = aws_sqs_queue.dlq.url
          DLQ_BUCKET = aws_s3_bucket.archive.bucket
          # The authorizer of the HTTP API has checked the token. The function trusts it, and nothing without its claims.
          ORDERS_AUTH = "gateway"
        },
        var.jwt_scope_prefix == null ? {} : { ORDERS_JWT_SCOPE_PREFIX = var.jwt_scope_prefix },
        length(var.cors_origins) > 0 ? { ORDERS_CORS_ORIGINS = join(",", var.cors_origins) } : {},
      )
    }
    consumer = {
      description          = "The consumer of ${var.name}: judges events, records them and projects orders."
      timeout              = var.consumer_timeout
      memory               = var.consumer_memory
      reserved_concurrency = var.consumer_reserved_concurrency
      environment = {
        QUEUE_URL = aws_sqs_queue.main.url
        DLQ_URL   = aws_sqs_queue.dlq.url
        # What fails the last time is put aside with its error, before SQS would move it without one.
        ORDERS_MAX_RECEIVES = var.max_receive_count
      }
    }
    dead-letters = {
      description          = "The dead letters of ${var.name}: archives them, marks their orders and raises alerts."
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
  }
}

# There is no dead_letter_config: it is for asynchronous invocations, which there are none of. The dead letters of the
# consumer are those of its queue.
resource "aws_lambda_function" "function" {
  #checkov:skip=CKV_AWS_116:A function's own dead-letter queue is for asynchronous invocations, and there are none.
  #checkov:skip=CKV_AWS_117:It reaches AWS services only, by their public endpoints with TLS; a VPC would add nothing but cost.
  #checkov:skip=CKV_AWS_272:Packages are built and signed by whoever deploys this; a signing profile is theirs to choose.
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

  tracing_config {
    mode = "Active"
  }

  # The program filters by LOG_LEVEL; Lambda must not drop lines once more, least of all those that are metrics.
  logging_config {
    log_format            = "JSON"
    application_log_level = "TRACE"
    system_log_level      = "INFO"
    log_group             = aws_cloudwatch_log_group.function[each.key].name
  }

  tags = var.tags

  # A function that starts without them would fail, or make a log group that is kept forever.
  depends_on = [aws_iam_role_policy.function]
}

resource "aws_cloudwatch_log_group" "function" {
  for_each = local.functions

  name              = "/aws/lambda/${var.name}-${each.key}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
  tags              = var.tags
}

# With ReportBatchItemFailures only what failed comes back. Without it, what the function answers is ignored, and the
# messages that it could not handle are deleted.
resource "aws_lambda_event_source_mapping" "consumer" {
  event_source_arn        = aws_sqs_queue.main.arn
  function_name           = aws_lambda_function.function["consumer"].arn
  function_response_types = ["ReportBatchItemFailures"]

  batch_size = var.batch_size
  # A FIFO queue takes no batching window.
  maximum_batching_window_in_seconds = var.fifo ? null : var.batching_window

  # Below the function's reserved concurrency, so that Lambda receives nothing that it then cannot run: such receives
  # count, and after max_receive_count of them a good message is a dead letter.
  scaling_config {
    maximum_concurrency = var.consumer_maximum_concurrency
  }

  metrics_config {
    metrics = ["EventCount"]
  }

  # Off, unless asked for: what does not match is deleted, and so is what is not JSON.
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
    maximum_concurrency = 2 # the least that Lambda takes
  }

  metrics_config {
    metrics = ["EventCount"]
  }

  tags = var.tags
}
