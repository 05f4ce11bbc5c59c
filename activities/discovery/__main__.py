"""The program that ``runbook catalog discover`` starts: it reads, and prints one JSON document of what it found."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys

from activities.aws.clients import PATIENT, AwsClients
from activities.discovery.account import read_caller, read_clusters, read_workspaces
from activities.discovery.asking import Asking
from activities.discovery.metrics import read_prometheus
from runbook_model.catalog.accounts import Account
from runbook_model.discovered import Discovered, NotDiscovered
from runbook_model.errors import CredentialsError, InputError


def discover(clusters: list[str], prometheus: str | None) -> Discovered:
    """Read an account, and a Prometheus where one is named.

    Raises:
        InputError: there is nothing to read.
        CredentialsError: AWS does not know us.
    """
    clients = AwsClients(config=PATIENT)
    region = clients.own_region
    if not region:
        raise InputError("no AWS region is set", fix="set AWS_REGION, or a region in the AWS profile")
    asking = Asking(clients, Account(region=region))
    caller = read_caller(asking)
    found = read_clusters(asking, clusters)
    families = {
        service.state.task_definition.rpartition("/")[2].rpartition(":")[0]
        for cluster in found
        for service in cluster.services
        if service.state
    }
    return Discovered(
        region=region,
        caller=caller,
        clusters=found,
        prometheus=asyncio.run(read_prometheus(prometheus, families, clients, region))
        if prometheus
        else None,
        workspaces=() if prometheus else read_workspaces(asking),
        unread=asking.unread,
    )


def main() -> int:
    """Print what was found, or why nothing was; returns the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # who started us says that it was interrupted
    parser = argparse.ArgumentParser(prog="discovery", description="Read an AWS account for its catalog.")
    parser.add_argument("--cluster", action="append", default=[])
    parser.add_argument("--prometheus")
    asked = parser.parse_args()
    try:
        found: Discovered | NotDiscovered = discover(asked.cluster, asked.prometheus)
    except InputError as error:
        found = NotDiscovered(error=error.message, fix=error.fix)
    except CredentialsError as error:
        fix = "correct AWS_PROFILE, or the variables of AWS; `aws sts get-caller-identity` tries them"
        found = NotDiscovered(error=error.message, fix=fix)
    sys.stdout.write(found.model_dump_json())
    return int(isinstance(found, NotDiscovered))


if __name__ == "__main__":
    sys.exit(main())
