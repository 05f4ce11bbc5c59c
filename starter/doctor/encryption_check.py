"""Whether this machine and the workers of an environment read each other, judged by a run that both had a part in."""

from __future__ import annotations

from typing import Any

from temporalio.client import Client, WorkflowHandle, WorkflowHistoryEventFilterType

from activities.runtime.encryption import Codec, key_of
from runbook_model.checks import Check
from runbook_model.errors import MissingKeyError
from starter.client.connect import RPC_TIMEOUT

ENCRYPTION = "encryption"
SAME_KEYS = (
    "give the workers, the webhook and this machine the same keys, the workers first: docs/encryption.md"
)


async def judge_encryption(client: Client, environment: str, run: WorkflowHandle[Any, Any]) -> Check:
    """Tell by which keys a run was asked for here and answered there; what is reported here was read on both sides."""
    codec = client.data_converter.payload_codec
    ours = codec.encrypts_by if isinstance(codec, Codec) else None
    closed = WorkflowHistoryEventFilterType.CLOSE_EVENT
    theirs = None
    async for event in run.fetch_history_events(event_filter_type=closed, rpc_timeout=RPC_TIMEOUT):
        theirs = key_of(event.workflow_execution_completed_event_attributes.result.payloads[0])
    if ours is None and theirs is None:
        detail = "off: RUNBOOK_CODEC_KEYS is set neither here nor at the worker"
        return Check(environment=environment, name=ENCRYPTION, ok=None, detail=detail)
    detail = f'by key "{ours}"' if ours == theirs else f'by key "{ours}" here and by "{theirs}" at the worker'
    return Check(
        environment=environment, name=ENCRYPTION, ok=True, detail=f"what histories hold is encrypted {detail}"
    )


async def unread(run: WorkflowHandle[Any, Any]) -> str | None:
    """Say which key a worker lacks for what it was asked, if that is what keeps it."""
    async for event in run.fetch_history_events(rpc_timeout=RPC_TIMEOUT):
        failure = event.workflow_task_failed_event_attributes.failure
        if failure.application_failure_info.type == MissingKeyError.__name__:
            return failure.message
    return None


def not_shared(environment: str, why: str) -> Check:
    """Say that one side cannot read the other."""
    return Check(environment=environment, name=ENCRYPTION, ok=False, detail=why, fix=SAME_KEYS)
