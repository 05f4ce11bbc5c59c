"""CloudWatch's GetMetricData of the figures of requests; moto knows no percentiles, and nobody publishes there."""

from __future__ import annotations

from datetime import UTC, datetime

from sandbox.aws.calls import Call
from sandbox.aws.elbv2 import SimulatedBalancing
from sandbox.balancing.figures import OF_SERVICE_CONNECT, OF_THE_BALANCER, OF_THE_GROUP
from sandbox.ecs.names import ApiError, Fields

NAMESPACE = "AWS/ApplicationELB"
MOST_POINTS = 100_800


def is_ours(call: Call) -> bool:
    """Whether every query of a call is for load balancers or Service Connect."""
    queries = call.parameters.get("MetricDataQueries")
    return call.action == "GetMetricData" and isinstance(queries, list) and bool(queries) and all(
        isinstance(query, dict) and _is_of_requests(query.get("MetricStat", {}).get("Metric", {}))
        for query in queries
    )  # fmt: skip


def _is_of_requests(metric: Fields) -> bool:
    return metric.get("Namespace") == NAMESPACE or any(
        item["Name"] in {"DiscoveryName", "TargetDiscoveryName"} for item in metric.get("Dimensions", [])
    )


def metric_data(balancing: SimulatedBalancing, call: Call) -> Fields:
    """Answer each query with its points, oldest first or newest first as asked.

    Raises:
        ApiError: what AWS would refuse it with.
    """
    start, end = (_seconds(call.parameters[name]) for name in ("StartTime", "EndTime"))
    if start >= end:
        raise ApiError("ValidationError", "The parameter StartTime must be less than EndTime.")
    newest_first = call.parameters.get("ScanBy", "TimestampDescending") == "TimestampDescending"
    results = []
    for query in call.parameters["MetricDataQueries"]:
        points = _points(balancing, query["MetricStat"], start, end)
        if newest_first:
            points.reverse()
        results.append(
            {
                "Id": query["Id"],
                "Label": query.get("Label", query["MetricStat"]["Metric"]["MetricName"]),
                "Timestamps": [moment for moment, _ in points],
                "Values": [value for _, value in points],
                "StatusCode": "Complete",
            }
        )
    return {"MetricDataResults": results, "Messages": []}


def _points(
    balancing: SimulatedBalancing, asked: Fields, start: float, end: float
) -> list[tuple[float, float]]:
    metric, period = asked["Metric"], int(asked["Period"])
    if period not in {1, 5, 10, 20, 30} and period % 60:
        raise ApiError("ValidationError", f"Period must be 1, 5, 10, 20, 30 or a multiple of 60: {period}")
    dimensions = {item["Name"]: item["Value"] for item in metric.get("Dimensions", [])}
    if metric["Namespace"] == NAMESPACE:
        figures, of_group = balancing.figures(dimensions)
        known = OF_THE_GROUP if of_group else OF_THE_BALANCER
    else:
        figures, known = balancing.connect_figures(dimensions, metric["MetricName"]), OF_SERVICE_CONNECT
    if figures is None or metric["MetricName"] not in known:
        return []
    if (end - start) / period > MOST_POINTS:
        raise ApiError("ValidationError", f"You have requested more than {MOST_POINTS} datapoints.")
    step = min(period, 60)  # a start is rounded down to the minute, or to the shorter period
    try:
        return figures.statistics(
            known[metric["MetricName"]], asked["Stat"], start // step * step, end, period
        )
    except ValueError:
        raise ApiError("ValidationError", f"{asked['Stat']} is no statistic.") from None


def _seconds(moment: float | str) -> float:
    """Return a moment in seconds since 1970, as JSON has it or as ISO 8601."""
    if isinstance(moment, int | float):
        return float(moment)
    found = datetime.fromisoformat(moment)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
