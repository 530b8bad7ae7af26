# The archive of dead letters, as they were parked: failed/{yyyy}/{mm}/{dd}/{message_id}.json. Redrives read them here.

resource "aws_s3_bucket" "archive" {
  #checkov:skip=CKV_AWS_18:Only the API and the archiver use it; CloudTrail data events contain more than access logs.
  #checkov:skip=CKV_AWS_144:Dead letters are handled in their own region; a copy elsewhere would not help.
  #checkov:skip=CKV2_AWS_62:The function that writes an object publishes the alert; a notification would duplicate it.
  bucket        = "${var.name}-dead-letters-${data.aws_caller_identity.current.account_id}-${data.aws_region.current.region}"
  force_destroy = !var.deletion_protection
  tags          = var.tags
}

resource "aws_s3_bucket_public_access_block" "archive" {
  bucket = aws_s3_bucket.archive.id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "archive" {
  bucket = aws_s3_bucket.archive.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "archive" {
  bucket = aws_s3_bucket.archive.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm     = var.kms_key_arn == null ? "AES256" : "aws:kms"
      kms_master_key_id = var.kms_key_arn
    }

    bucket_key_enabled = var.kms_key_arn != null
  }
}

resource "aws_s3_bucket_versioning" "archive" {
  bucket = aws_s3_bucket.archive.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "archive" {
  bucket = aws_s3_bucket.archive.id

  rule {
    id     = "dead-letters"
    status = "Enabled"

    filter {
      prefix = "failed/"
    }

    # Cheaper storage with the same read latency.
    transition {
      days          = var.archive.transition_days
      storage_class = "GLACIER_IR"
    }

    # Never by default: a dead letter is an accepted event.
    dynamic "expiration" {
      for_each = var.archive.expiration_days == null ? [] : [var.archive.expiration_days]

      content {
        days = expiration.value
      }
    }

    # Objects are written once, so a noncurrent version was deleted by somebody, perhaps by mistake.
    noncurrent_version_expiration {
      noncurrent_days = 90
    }
  }

  rule {
    id     = "unfinished-uploads"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  # S3 refuses rules about versions until versioning is enabled.
  depends_on = [aws_s3_bucket_versioning.archive]
}

resource "aws_s3_bucket_policy" "archive" {
  bucket = aws_s3_bucket.archive.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TlsOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [aws_s3_bucket.archive.arn, "${aws_s3_bucket.archive.arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })

  # Concurrent changes of the bucket's public access conflict.
  depends_on = [aws_s3_bucket_public_access_block.archive]
}
