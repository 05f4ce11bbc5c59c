"""The demo company: its service ``ai-processor``, the service's database, and its delivery pipeline."""
