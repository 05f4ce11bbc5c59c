"""Chat channels and the wording of messages."""
