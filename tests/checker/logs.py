"""What the log of the sandbox's systems says: which calls changed something, and whether one is the call that a plan showed."""

from __future__ import annotations

from datetime import datetime

from runbook_model.calls import AS_REGISTERED, DECIDED_LATER

READS = ("Describe", "List", "Get", "Filter", "BatchGet", "Head", "Search", "Lookup")
NOTHING_MANAGED = frozenset({"sts", "s3", "logs", "cloudwatch", "slack"})
"""Services whose calls change nothing that a plan is about: roles, files of state and reviews, queries, messages."""
DOCKER_CHANGES = frozenset({"ContainerStart", "ContainerStop", "ContainerRestart", "ContainerKill"})
JUDGEMENTS = {"verified": "good", "bad": "bad"}
"""Middle of a ledger's tag -> what plans call it."""
SPENT = "runbook:decisions"
"""Tag by which a scale-out spends the decisions that it was made by."""


def changes_in(log):
    """Return the calls that changed something; what was refused changed nothing."""
    return [entry for entry in log if not entry["error"] and _changes(entry)]


def made_by_nobody(log):
    """Return the sequence numbers of calls that name no run."""
    return [entry["sequence"] for entry in log if entry["caller"] is None]


def is_call(entry, call):
    """Whether a call of a log is the one that a plan showed, with all the parameters that plans show."""
    if (entry["service"], entry["action"]) != (call.service, call.action):
        return False
    match entry["service"], entry["action"]:
        case "docker", _:
            return entry["parameters"]["container"] in call.parameters["containers"]
        case "postgresql", _:
            pid, since, *_ = entry["parameters"]["given"]
            named = (item.split(" since ") for item in call.parameters["sessions"])
            return (pid, _moment(since)) in [(pid, _moment(since)) for pid, since in named]
        case _, "RegisterTaskDefinition":
            return _registers(entry["parameters"], call.parameters)
        case _, "ContinueServiceDeployment":
            return entry["parameters"].get("action", "CONTINUE") == call.parameters["action"]
        case _, "StopServiceDeployment" if "deploymentOf" in call.parameters:
            # Which release a deployment brings, the log does not say; the worker has looked before it stopped it. Which
            # deployment it is, the order says, and the rules compare that.
            return entry["parameters"].get("stopType") == call.parameters["stopType"]
        case _, "TagResource":
            return _fits(_mark(entry["parameters"]), call.parameters)
    shown = {name: value for name, value in call.parameters.items() if name not in DECIDED_LATER}
    return _fits(_as_shown(entry), shown)


def spends_a_decision(entry):
    """Whether it only leaves a decision's id as a tag of the service."""
    tags = entry["parameters"].get("tags", [])
    return entry["action"] == "TagResource" and [tag["key"] for tag in tags] == [SPENT]


def _changes(entry):
    if entry["service"] == "docker":
        return entry["action"] in DOCKER_CHANGES
    return entry["service"] not in NOTHING_MANAGED and not entry["action"].startswith(READS)


def _as_shown(entry):
    """The parameters as plans write them: revisions for ARNs, and of autoscaling's what a plan sets."""
    given = dict(entry["parameters"])
    if "taskDefinition" in given:
        given["taskDefinition"] = _revision(given["taskDefinition"])
    if "deploymentConfiguration" in given:
        given["deploymentConfiguration"] = _waits(given["deploymentConfiguration"])
    if entry["action"] == "RegisterScalableTarget":
        given = {name: given[name] for name in ("ResourceId", "MinCapacity", "MaxCapacity") if name in given}
    return given


def _waits(configuration):
    """What plans show of a deployment configuration: its strategy and its waits."""
    part, wait = {
        "CANARY": ("canaryConfiguration", "canaryBakeTimeInMinutes"),
        "LINEAR": ("linearConfiguration", "stepBakeTimeInMinutes"),
    }.get(configuration["strategy"], ("", ""))
    steps = {part: {wait: configuration[part][wait]}} if part else {}
    return {name: configuration[name] for name in ("strategy", "bakeTimeInMinutes")} | steps


def _fits(given, shown):
    if given.keys() != shown.keys():
        return False
    return all(value == shown[name] or _is_registered(value, shown[name]) for name, value in given.items())


def _is_registered(value, shown):
    """Whether it is a revision of the family of which the same run registers one first."""
    return str(shown).endswith(f":{AS_REGISTERED}") and str(value).startswith(
        str(shown).removesuffix(AS_REGISTERED)
    )


def _registers(given, shown):
    """Whether a registration is a copy of what was shown, of the same images and with the sizes and settings that were shown."""
    containers = {item["name"]: item for item in given["containerDefinitions"]}
    tags = {tag["key"]: tag["value"] for tag in given.get("tags", [])}
    images = {name: item["image"] for name, item in containers.items() if name in shown["images"]}
    settings = {
        name: {item["name"]: item["value"] for item in containers[name].get("environment", [])}
        for name in shown.get("environment", {})
    }
    return (
        given["family"] == shown["family"]
        and tags.get("runbook:from") == shown["copyOf"]
        and images.keys() == shown["images"].keys()
        and all(image in {shown["images"][name], image.partition("@")[0] + "@" + shown["images"][name]} for name, image in images.items())
        and all(str(given.get(size)) == shown[size] for size in ("cpu", "memory") if size in shown)
        and all(wanted.items() <= settings[name].items() for name, wanted in shown.get("environment", {}).items())
    )  # fmt: skip


def _mark(given):
    (tag,) = given["tags"]
    judgement = JUDGEMENTS.get(tag["key"].split(":")[1])
    return {"revision": _revision(given["resourceArn"]), "judgement": judgement}


def _revision(arn):
    return arn.rpartition("/")[2]


def _moment(text):
    return datetime.fromisoformat(text)
