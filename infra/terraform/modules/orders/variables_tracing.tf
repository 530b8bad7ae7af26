# The variable of X-Ray traces.

variable "xray_tracing" {
  description = "Whether the functions record X-Ray traces, of one request a second and 5 % of the others. They cost $5 a million."
  type        = bool
  default     = false
  nullable    = false
}
