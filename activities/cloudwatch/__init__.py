"""CloudWatch metrics and logs."""
