"""What watches the sandbox and warns people: Prometheus, Alertmanager, and a Slack."""
