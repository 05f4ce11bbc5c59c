"""The environment variables of the worker, the webhook and the command line."""

from __future__ import annotations

from pathlib import Path

from pydantic_core import PydanticUndefined

from activities.runtime.encryption import KEYS, KEYS_FILE
from activities.runtime.settings import Settings
from docs.writing.source import table, words_of_class
from starter.client.connect import UI_DEFAULT
from starter.processes.connections import TRUSTED_PROXIES
from starter.webhook.guard import CODEC_TOKEN, TOKEN, TOKEN_FILE

HEAD = """\
# Settings

Everything about services is in the [catalog](catalog.md). What a process needs to know of the machine that it runs on is
in its environment."""

EVERYWHERE = (
    (
        f"`{KEYS}`",
        "off",
        "Keys of [encrypted histories](../encryption.md), a line each: an id, and 32 bytes in base64. The first encrypts.",
    ),
    (f"`{KEYS_FILE}`", "", "A file of such lines; an empty one is off. Goes before the variable."),
    ("`RUNBOOK_CATALOG`", "of the worker `catalog.toml`", "The catalog file; `--catalog` goes before it."),
    (
        "`RUNBOOK_LOG`",
        "",
        "`json` or `text`: what log lines look like; else text on a terminal and JSON elsewhere.",
    ),
    (
        (
            "`TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE`, `TEMPORAL_API_KEY`, `TEMPORAL_TLS…`, `TEMPORAL_PROFILE`, "
            "`TEMPORAL_CONFIG_FILE`"
        ),
        "`localhost:7233`, `default`",
        "Temporal's own environment configuration, with its profile file: address, API key, TLS and client certificate.",
    ),
    (
        "`OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_TRACES_EXPORTER`, `OTEL_SERVICE_NAME`, `OTEL_SDK_DISABLED` …",
        "off",
        "OpenTelemetry's own: traces are sent where one of the first two asks for it.",
    ),
)
COMMAND_LINE = (
    ("`RUNBOOK_USER`", "the OS user", "Who acts; `--as` goes before it."),
    (
        "`RUNBOOK_SIGNING_KEY`",
        "",
        "The key that decisions are signed with, where they are signed; `--sign` goes before it.",
    ),
    (
        "`RUNBOOK_UI`",
        f"`{UI_DEFAULT}`",
        "Where people open the Temporal UI; links are made from it, and only its pages may ask `runbook codec`.",
    ),
    ("`RUNBOOK_DEBUG`", "", "Shows where a fault of `runbook` itself is."),
)
WEBHOOK = (
    (f"`{TOKEN}`", "", "The bearer token that Alertmanager must bring."),
    (
        f"`{TOKEN_FILE}`",
        "",
        "A file of such tokens, a line each: all of them count. Goes before the variable. `prod TOKEN` binds one to `prod`.",
    ),
    (
        f"`{TOKEN}_<ENVIRONMENT>`",
        "",
        (
            "A token that carries alerts of that environment only; the name in capitals, with `_` for `-`: "
            f"`{TOKEN}_PROD_EU` for `prod-eu`."
        ),
    ),
    (
        f"`{TRUSTED_PROXIES}`",
        "",
        "Addresses or networks, with commas, of proxies that speak for many: they may have any number of connections.",
    ),
)
CODEC = (
    (
        f"`{CODEC_TOKEN}`, `{CODEC_TOKEN}_FILE`",
        "",
        "The bearer token that callers must bring, or a file of such tokens; without one it listens on loopback only.",
    ),
    (f"`{TRUSTED_PROXIES}`", "", "As the webhook's."),
)
OUTSIDE = (
    (
        "`AWS_PROFILE`, `AWS_SHARED_CREDENTIALS_FILE`, `AWS_ENDPOINT_URL` …",
        "",
        "boto3's own: the worker's identity. The region is the catalog's.",
    ),
    ("`DOCKER_HOST`", "the usual socket", "The container engine of compose environments."),
    (
        "what `dsn_env`, `secret_env` and `external_id_env` of the catalog name",
        "",
        "Data source names, tokens and addresses of channels, external ids of roles.",
    ),
)
DEFAULTS = {"plan_store": "a folder of the user's below the temporary one"}


def page() -> str:
    """Write the page."""
    head = ("variable", "default", "meaning")
    return "\n\n".join(
        [
            HEAD,
            "## Every process",
            table(head, EVERYWHERE),
            "## The worker",
            table(head, [*_of_worker(), *OUTSIDE]),
            "## The webhook",
            table(head, WEBHOOK),
            "## The codec server",
            table(head, CODEC),
            "## The command line",
            table(head, COMMAND_LINE),
        ]
    )


def _of_worker() -> list[tuple[str, str, str]]:
    words = words_of_class(Settings)
    return [
        (f"`{field.alias}`", DEFAULTS.get(name) or _default(field.default), words[name])
        for name, field in Settings.model_fields.items()
        if name != "catalog"
    ]


def _default(value: object) -> str:
    if value is None or value is PydanticUndefined:
        return ""
    return f"`{value if not isinstance(value, Path) else value.as_posix()}`"
