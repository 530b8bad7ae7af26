terraform {
  # Validation conditions that look at other variables came with 1.9.
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source = "hashicorp/aws"
      # Queues with messages of 1 MiB came with 6.8.
      version = "~> 6.8"
    }
  }
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}
