"""What pages share to put a service right."""
