"""The connection to Temporal, as Temporal's own environment variables and profile file describe it."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import TypeVar
from urllib.parse import quote

from temporalio.client import Client
from temporalio.envconfig import ClientConfig, ClientConnectConfig
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter
from temporalio.service import RetryConfig, RPCError, RPCStatusCode

from activities.runtime.converter import with_codec
from activities.runtime.encryption import Codec, SealingKey, load_keys, public_line
from activities.telemetry.telemetry import flush_traces, tracing_plugins
from runbook_model.errors import InputError, SealedError
from starter.exits import CliError, Exit, bad_input, of_error

T = TypeVar("T")

RPC_TIMEOUT = timedelta(seconds=3)
"""How long one question to Temporal may take before Temporal counts as away."""
QUICK_RETRIES = RetryConfig(
    initial_interval_millis=100, max_interval_millis=500, max_elapsed_time_millis=2500
)
FEW_RETRIES = RetryConfig(initial_interval_millis=100, max_interval_millis=500, max_retries=4)
SILENT = TelemetryFilter(core_level="OFF", other_level="OFF")
"""The SDK's own log goes to stdout, which is for answers; what matters of it is given by an error."""
NO_ANSWER = frozenset(
    {
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.DEADLINE_EXCEEDED,
        RPCStatusCode.CANCELLED,  # a deadline that ran out on this side
        RPCStatusCode.RESOURCE_EXHAUSTED,
        RPCStatusCode.UNAUTHENTICATED,
        RPCStatusCode.PERMISSION_DENIED,
    }
)
UI_DEFAULT = "http://localhost:8233"


def converse(work: Callable[[Client], Awaitable[T]], *, at_most: timedelta | None = None) -> T:
    """Connect, do the work of one command, and leave.

    Args:
        work: what to do.
        at_most: how long all of it may take; None for as long as it takes.

    Raises:
        TimeoutError: it took longer.
        CliError: Temporal is away, or denied access; or what it holds cannot be decrypted.
    """
    return asyncio.run(asyncio.wait_for(_converse(work), at_most.total_seconds() if at_most else None))


async def _converse(work: Callable[[Client], Awaitable[T]]) -> T:
    config = _config()
    address = config["target_host"]
    try:
        client = await _connect(config, "runbook", QUICK_RETRIES, _silent())
        return await work(client)
    except RPCError as error:
        raise _as_error(error, address, config.get("namespace", "default")) from error
    except SealedError as error:
        raise of_error(error) from error
    finally:
        flush_traces()


async def connect() -> Client:
    """Connect to Temporal for as long as a worker lives: what it says is repeated while Temporal restarts.

    Raises:
        CliError: it cannot be reached now, or a setting cannot be used.
    """
    return await _connect(_config(), "runbook-worker", RetryConfig())


async def connect_lazily(process: str) -> Client:
    """Return a client that connects when it is first needed: what Temporal does not take, it says within a second or two.

    Raises:
        CliError: Temporal's configuration cannot be used, or the keys of histories.
    """
    return await Client.connect(
        **_config(),
        data_converter=with_codec(codec_of(os.environ)),
        plugins=tracing_plugins(process),
        retry_config=FEW_RETRIES,
        connect_timeout=RPC_TIMEOUT,
        lazy=True,
        runtime=_silent(),
    )


async def _connect(
    config: ClientConnectConfig, process: str, retries: RetryConfig, runtime: Runtime | None = None
) -> Client:
    data_converter = with_codec(codec_of(os.environ))
    try:
        return await asyncio.wait_for(
            Client.connect(
                **config,
                data_converter=data_converter,
                plugins=tracing_plugins(process),
                retry_config=retries,
                connect_timeout=RPC_TIMEOUT,
                runtime=runtime,
            ),
            RPC_TIMEOUT.total_seconds(),
        )
    except TimeoutError:
        raise away(config["target_host"], "no answer") from None
    except RuntimeError as error:  # the SDK's word for any connection that fails
        raise away(config["target_host"], _reason(error)) from error
    except ValueError as error:
        raise _unusable(error) from error


def _silent() -> Runtime:
    return Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(filter=SILENT)))


def away(address: str, why: str) -> CliError:
    """Make the error that says that Temporal cannot be reached."""
    return CliError(
        Exit.TEMPORAL_UNREACHABLE,
        f"Temporal is not reachable at {address} ({why})",
        "start it or set TEMPORAL_ADDRESS",
    )


def is_unreachable(error: RPCError) -> bool:
    """Whether an error means that Temporal itself does not answer us."""
    return error.status in NO_ANSWER


def ui_address(client: Client, workflow_id: str, run_id: str) -> str:
    """Return where the Temporal UI shows a run."""
    root = os.environ.get("RUNBOOK_UI", UI_DEFAULT).rstrip("/")
    return f"{root}/namespaces/{quote(client.namespace, safe='')}/workflows/{quote(workflow_id, safe='')}/{run_id}/history"


def namespace() -> str:
    """Return Temporal's namespace as the environment names it; nothing is asked.

    Raises:
        CliError: Temporal's configuration cannot be used.
    """
    return _config().get("namespace") or "default"


def _config() -> ClientConnectConfig:
    _check_environment()
    try:
        config = ClientConfig.load_client_connect_config()
    except (RuntimeError, ValueError, OSError) as error:
        raise _unusable(error) from error
    config.setdefault("target_host", "localhost:7233")
    return config


def _check_environment() -> None:
    """Look for what the SDK, which reads every variable, ends a process by."""
    for name, value in os.environb.items():
        try:
            (name + value).decode()
        except UnicodeDecodeError:
            shown = ascii(os.fsdecode(name))[1:-1]
            raise bad_input(
                f"the environment variable {shown} is not UTF-8", "set it again, or unset it"
            ) from None


def _unusable(error: Exception) -> CliError:
    return bad_input(
        f"Temporal's configuration cannot be used: {_reason(error)}", "correct TEMPORAL_… or its profile file"
    )


def codec_of(environment: Mapping[str, str]) -> Codec:
    """Make the codec of the keys that the environment names, if it names any.

    Raises:
        CliError: they cannot be used.
    """
    return Codec(_keys(environment))


def _keys(environment: Mapping[str, str]) -> dict[str, bytes]:
    try:
        return load_keys(environment)
    except InputError as error:
        raise of_error(error) from None


def public_keys(environment: Mapping[str, str]) -> list[str]:
    """Write the lines of the keys that only encrypt, of those that the environment names.

    Raises:
        CliError: they cannot be used.
    """
    keys = _keys(environment).items()
    return [public_line(key_id, key) for key_id, key in keys if not isinstance(key, SealingKey)]


def _as_error(error: RPCError, address: str, namespace: str) -> CliError:
    reason = _reason(error)
    if error.status in {RPCStatusCode.UNAUTHENTICATED, RPCStatusCode.PERMISSION_DENIED}:
        return CliError(
            Exit.TEMPORAL_UNREACHABLE,
            f"Temporal at {address} denied access ({reason})",
            "check TEMPORAL_API_KEY",
        )
    if is_unreachable(error):
        return away(address, reason)
    if error.status is RPCStatusCode.NOT_FOUND and "amespace" in reason:
        return CliError(
            Exit.TEMPORAL_UNREACHABLE,
            f'Temporal at {address} has no namespace "{namespace}"',
            "create it or set TEMPORAL_NAMESPACE",
        )
    if "search attribute" in reason.lower():
        return CliError(
            Exit.TEMPORAL_UNREACHABLE,
            f"Temporal at {address} does not know our search attributes ({reason})",
            "`runbook doctor --fix` adds them",
        )
    return CliError(Exit.NOT_DONE, f"Temporal at {address} refused: {reason}")


def _reason(error: Exception) -> str:
    """Say why in a few words; the SDK wraps the operating system's in many of its own."""
    text = " ".join(str(error).split())
    innermost = re.findall(r'(?:message|error): "([^"]+)"', text)
    return (innermost[-1] if innermost else text[:200]) or type(error).__name__
