"""What an incident is made of: its messages, its alerts, its account, and how people are notified."""
