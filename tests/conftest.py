"""In which order the tests run, and which of them run in one process."""

import re

import pytest
from hypothesis import settings

# A time limit only ends a test that hangs: a machine that others use as well may take long for one example.
settings.register_profile("ours", deadline=None)
settings.load_profile("ours")
GROUP = re.compile(r"(?<=\])@[^\]]*\]?$|(?<=\w)@[\w./-]+$")
"""What xdist puts after the name of a test that is in a group."""
TIME_LIMIT = pytest.StashKey()
LONGEST_FIRST = (
    "crash-child",
    "crash-shifting",
    "crash",
    "stories",
    "terraform-aws",
    "shared-world-1",
    "shared-world-2",
    "world-procedures",
    "world-diagnosis",
    "database-issues",
    "incidents",
    "one-host",
    "alerts",
    "sealed",
    "tutorial",
    "doctor",
    "up",
    "tests/integration/whole_world",
    "many-waits",
    "worker-versions",
    "test_incident",
    "terraform-sizing",
    "test_brake",
    "tests/integration",
    "tests/procedures",
)
"""Groups, tests and folders. A run ends when its last group does: what takes long must not start then."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Put what takes long first, and what needs the same into one process.

    Short tests of a file import the same; tests of the shared sandbox fill two processes, so that two sandboxes are enough.
    """
    for item in items:
        where = item.nodeid.partition("::")[0]
        if where.startswith("tests/unit/") and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(where))
        elif uses_the_shared_world(item) and not item.get_closest_marker("xdist_group"):
            number = 1 if "/test_rollback_" in where else 2
            item.add_marker(pytest.mark.xdist_group(f"shared-world-{number}"))
    items.sort(key=_place)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    """Keep what failed under its own name: with its group after it, ``--last-failed`` would not find it."""
    cache = getattr(session.config, "cache", None)
    if cache and not hasattr(session.config, "workerinput"):
        failed = cache.get("cache/lastfailed", {})
        cache.set("cache/lastfailed", {GROUP.sub("", name): True for name in failed})


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item, nextitem):
    """End the shared sandbox with the last test that uses it: it takes a tenth of a processor while nobody does."""
    result = yield
    if uses_the_shared_world(item) and nextitem and not uses_the_shared_world(nextitem):
        for fixture in item._fixtureinfo.name2fixturedefs["world"]:
            fixture.finish(item._request)
    return result


@pytest.hookimpl(tryfirst=True)
def pytest_timeout_set_timer(item, settings):
    """Remember the time limit of a test."""
    item.stash[TIME_LIMIT] = settings


@pytest.hookimpl(trylast=True)
def pytest_exception_interact(node):
    """Limit the teardown of a test that failed, too: pytest-timeout stops its clock there, and a hang would hold the run."""
    settings = node.stash.get(TIME_LIMIT, None)
    if settings is not None:
        node.ihook.pytest_timeout_set_timer(item=node, settings=settings)


def uses_the_shared_world(item):
    found = item._fixtureinfo.name2fixturedefs.get("world")
    return bool(found) and found[-1].baseid == "tests/integration"


def _place(item):
    group = item.get_closest_marker("xdist_group")
    names = {group.args[0]} if group else {item.name}
    return next(
        (
            place
            for place, name in enumerate(LONGEST_FIRST)
            if name in names or item.nodeid.startswith(f"{name}/")
        ),
        len(LONGEST_FIRST),
    )


class Groups:
    """Lets ``--dist loadgroup`` see its groups: xdist 3.8 writes them where pytest 9.2 reads no more."""

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items):
        for item in items:
            grouped = getattr(item, "_nodeid", item.nodeid)
            if grouped != item.nodeid:
                item._id = type(item._id).parse(grouped)


def pytest_configure(config):
    config.pluginmanager.register(Groups())
