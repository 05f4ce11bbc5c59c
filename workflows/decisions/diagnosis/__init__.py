"""Which cause the evidence speaks for. Pure; ambiguous evidence is ``unknown``, which a person decides, never a guess."""

from workflows.decisions.diagnosis.cause import Cause, Diagnosis
from workflows.decisions.diagnosis.errors import classify_errors, classify_latency
from workflows.decisions.diagnosis.outage import classify_service_down
from workflows.decisions.diagnosis.resources import Leak, classify_resources, judge_leak

__all__ = [
    "Cause",
    "Diagnosis",
    "Leak",
    "classify_errors",
    "classify_latency",
    "classify_resources",
    "classify_service_down",
    "judge_leak",
]
