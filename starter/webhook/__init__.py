"""The receiver of Alertmanager's alerts: it answers "taken" only once Temporal has them."""
