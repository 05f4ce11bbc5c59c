"""The same outage under each convention of metrics: found by it, rolled back, and recovered; under wrong names never."""

import asyncio
import re
from datetime import UTC, datetime

import pytest
from temporalio.client import Client

from activities.http.client import http_client
from activities.prometheus.client import Stores
from activities.prometheus.evidence import PrometheusEvidence, Window
from activities.runtime.converter import data_converter
from runbook_model.catalog.catalog import load_catalog
from runbook_model.catalog.metrics import PRESETS
from tests.integration.measuring.conventions import Translator, clients_of
from tests.integration.measuring.test_promql_real import running_prometheus
from tests.integration.rollback.rollback_stage import Shop, Stage
from tests.patience import PATIENCE

pytestmark = [pytest.mark.rare, pytest.mark.xdist_group("conventions")]
ENVIRONMENT = "conventions"
CATALOG = """
[environments.conventions]
cluster = "conventions"
prometheus_url = "{prometheus}"
evidence = ["prometheus", "scrape", "probe"]
release_label = "release"
approvals = {{ needed = 0 }}
brake = {{ targets_at_once = 20 }}
"""
SHOP = """
[services.{name}.conventions]
ecs_service = "{name}"
url = "{url}"
metrics_path = "/nothing"
thresholds = {{ min_requests = 10 }}
verify = {{ bake = "2s", rate_window = "4s", consecutive = 3 }}
rollback = {{ soak = "0s" }}
{metrics}
"""
WRONG = {
    "wrong-preset": ("fastapi", 'metrics = { preset = "spring" }', 'http_server_requests_seconds_count has no application="wrong-preset"'),
    "wrong-label": ("promhttp", 'metrics = { preset = "fastapi" }', "has no label status"),
}  # fmt: skip


@pytest.fixture
async def stage(world, tmp_path):
    """A worker whose Prometheus scrapes every task in its service's convention."""
    targets = tmp_path / "targets.json"
    targets.write_text("[]")
    client = await Client.connect(world.addresses.temporal, data_converter=data_converter)
    stage = Stage(world, tmp_path, client)
    with running_prometheus(tmp_path, targets, interval=1) as prometheus:
        stage.translator = Translator(world.addresses.prometheus, targets)
        stage.catalog.write_text(CATALOG.format(prometheus=prometheus))
        stage.ecs.create_cluster(clusterName=ENVIRONMENT)
        read_by = {f"by-{name}": (name, f'metrics = {{ preset = "{name}" }}') for name in PRESETS}
        read_by |= {name: written[:2] for name, written in WRONG.items()}
        shops = {name.removeprefix("by-"): open_shop(stage, name, how[0]) for name, how in read_by.items()}
        for shop in shops.values():
            shop.until_ended()
            metrics = read_by[shop.name][1]
            with stage.catalog.open("a") as catalog:
                catalog.write(SHOP.format(name=shop.name, url=shop.url, metrics=metrics))
        stage.shops = shops
        stage.start_worker()
        try:
            with clients_of([shop.url for shop in shops.values()]):
                yield stage
        finally:
            stage.translator.end()
            stage.close_shops()
            stage.end()


def open_shop(stage, name, convention):
    shop = Shop(stage, name, ENVIRONMENT)
    shop.create("1.0.0", wait=False)
    stage._shops.append(shop)
    stage.translator.conventions[name] = convention
    return shop


async def measure(stage, shop):
    """Ask the shop's Prometheus, under the names of its catalog, for failures and latency."""
    target = load_catalog(stage.catalog).target(shop.name, ENVIRONMENT)
    async with http_client() as http:
        ask = PrometheusEvidence(Stores(http, None), target, datetime.now(UTC))
        window = Window(target.verify.rate_window)
        return await asyncio.gather(ask.error_share(window, live=True), ask.p95(window))


BEFORE = r"before the change (\d+\.\d) % failed"


async def eventually(stage, name, holds):
    """Measure until it is as awaited, and return the measurement; the last one is in the failure."""
    seen = None
    try:
        async with asyncio.timeout(PATIENCE):
            while seen is None or not holds(seen[0]) or seen[1].value is None:
                seen = await measure(stage, stage.shops[name])
                await asyncio.sleep(0.3)
    except TimeoutError:
        pytest.fail(f"{name}: {seen}")
    return seen


async def measured(stage, holds):
    found = await asyncio.gather(*(eventually(stage, name, holds) for name in PRESETS))
    return dict(zip(PRESETS, found, strict=True))


async def put_back(shop, *, asks):
    """Roll the release back to the end; where the recovery cannot be verified, a person hands over."""
    handle = await shop.start()
    if asks:
        gate = await shop.asked(handle)
        assert "hand-over" in gate.options, gate
        await shop.approve(handle, option="hand-over")
    async with asyncio.timeout(PATIENCE):
        return await handle.result()


def shown(seen):
    errors, p95 = seen
    return f"{100 * errors.value:.0f} % of {errors.requests:.0f}, p95 {1000 * p95.value:.0f} ms"


async def test_one_outage_is_found_rolled_back_and_recovered_under_each_convention_and_under_wrong_names_never(
    stage,
):
    shops = stage.shops
    before = await measured(stage, lambda seen: seen.value == 0 and seen.requests >= 10)
    for shop in shops.values():
        shop.deploy("1.1.0", FAULT_ERROR_RATE=0.5, FAULT_LATENCY_SECONDS=0.05)
    for shop in shops.values():
        assert shop.until_ended() == "SUCCESSFUL"
    bad = await measured(stage, lambda seen: (seen.value or 0) > 0.4)

    ended = await asyncio.gather(*(put_back(shop, asks=name in WRONG) for name, shop in shops.items()))

    reports = dict(zip(shops, ended, strict=True))
    after = await measured(stage, lambda seen: seen.value == 0 and seen.requests >= 10)
    for name, preset in PRESETS.items():
        print(  # noqa: T201 - the table is what the test is run for
            f"| {name} | `{preset.requests}` | {shown(before[name])} | {shown(bad[name])} | {shown(after[name])} | {reports[name].outcome} |"
        )
    assert {name: reports[name].outcome for name in PRESETS} == dict.fromkeys(PRESETS, "recovered")
    for name in PRESETS:
        assert shops[name].runs() == f"by-{name}:1"
    # One look before the change may have too few requests on a busy machine; then the summary does not speak of it.
    before_the_change = [found for report in reports.values() if (found := re.search(BEFORE, report.summary))]
    assert len(before_the_change) > len(PRESETS) / 2
    assert all(30 < float(found[1]) < 80 for found in before_the_change)
    assert {name: reports[name].outcome for name in WRONG} == dict.fromkeys(WRONG, "inconclusive")
    for name, (*_, missing) in WRONG.items():
        doctor = (await shops[name].cli("doctor", "--json")).json
        lines = "\n".join(
            check["detail"] for check in doctor["checks"] if check["name"].startswith("prometheus-")
        )
        assert missing in lines
