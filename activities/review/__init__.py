"""The post-incident review, written from Temporal's histories alone: the same histories, the same bytes."""
