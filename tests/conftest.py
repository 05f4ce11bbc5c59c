import pytest


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Let ``--dist loadgroup`` see its groups: xdist 3.8 writes them where pytest 9.2 reads no more."""
    for item in items:
        grouped = getattr(item, "_nodeid", item.nodeid)
        if grouped != item.nodeid:
            item._id = type(item._id).parse(grouped)
