terraform {
  # 1.9 is the first with validation conditions that refer to other variables.
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source = "hashicorp/aws"
      # 6.8 is the first with queues for messages of 1 MiB.
      version = "~> 6.8"
    }
  }
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}
