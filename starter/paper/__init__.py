"""The paper runbook: what to type when there is no Temporal, no worker and perhaps no network but AWS's."""
