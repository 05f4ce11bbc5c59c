import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbook_model.measured.readings import Observed, Sample, Streak
from runbook_model.reports import Verdict
from tests.observing import NOW, B, E, G, N, a_sample, a_target, at, seconds
from workflows.decisions.recovery import judge_recovery

RECOVERED, NOT, OPEN = Verdict.RECOVERED, Verdict.NOT_RECOVERED, Verdict.INCONCLUSIVE
TARGET = a_target()
FEW = "12 requests in 15s, 50 are needed"


def seen(*samples, until=None, earlier=None):
    end = samples[-1].at if samples else NOW
    return Observed(samples=samples, since=NOW, until=until or end, earlier=earlier)


def row(qualities, rates=None, step=2.5, **words):
    rates = rates or [None] * len(qualities)
    return [
        a_sample(i * step, q, rate=r, **words) for i, (q, r) in enumerate(zip(qualities, rates, strict=True))
    ]


STORIES = {
    "good for the whole bake": (
        seen(*row([G] * 5, [0.0] * 5)),
        RECOVERED,
        "5 good samples over 10s: health 200, 0.0 % of 410 requests failed (limit 10 %)",
    ),
    "unknown in between, and good for the whole bake": (
        seen(*row([G, N, G, E, G, G, G], [0.0, None, 0.0, None, 0.0, 0.0, 0.0])),
        RECOVERED,
        "5 good samples over 15s: health 200, 0.0 % of 410 requests failed (limit 10 %)",
    ),
    "bad at first, then good for the whole bake": (
        seen(*row([B, B] + [G] * 5, [0.9, 0.5] + [0.02] * 5)),
        RECOVERED,
        "5 good samples over 10s: health 200, 2.0 % of 410 requests failed (limit 10 %)",
    ),
    "bad all the time": (
        seen(*row([B] * 11, [0.9] * 11)),
        NOT,
        "90.0 % of 410 requests failed (limit 10 %); 11 bad samples over 25s",
    ),
    "errors fall but are still too many at the deadline": (
        seen(*row([B] * 4, [0.31, 0.25, 0.2, 0.14])),
        NOT,
        "errors fell from 31.0 % to 14.0 % but are above 10 %; 4 bad samples over 7.5s",
    ),
    "unhealthy without errors": (
        seen(*[a_sample(i, G, rate=0.0, health=B) for i in range(3)]),
        NOT,
        "health 503; 3 bad samples over 2s",
    ),
    "health flaps and happens to be good at the deadline": (
        seen(*[a_sample(i * 2.5, G, health=B if i % 2 else G) for i in range(9)]),
        NOT,
        "it flaps: 2 of the last 4 samples were bad, the newest of them 2.5s before the end: health 503",
    ),
    "no traffic at all": (seen(*row([N] * 20, detail=FEW)), OPEN, f"no data: {FEW}"),
    "neither Prometheus nor the service's metrics could be read": (
        seen(*row([E] * 4, detail="could not ask Prometheus: no answer in time")),
        OPEN,
        "not measured: could not ask Prometheus: no answer in time",
    ),
    "nothing was measured": (seen(), OPEN, "nothing was measured before the deadline"),
    "good, but the deadline came too early": (
        seen(*row([G] * 3)),
        OPEN,
        "not good for long enough: 3 good samples over 5s so far; 5 over 10s are needed",
    ),
    "good, and then traffic ran out": (
        seen(*row([G] * 3, step=1), *[a_sample(3 + i, N, detail=FEW) for i in range(9)]),
        OPEN,
        f"not good for long enough: 3 good samples over 2s so far; 5 over 10s are needed; no data: {FEW}",
    ),
    "bad, and then silence for longer than two samples may lie apart": (
        seen(*row([B] * 3), *[a_sample(5 + 5 * i, N, detail=FEW) for i in range(1, 8)]),
        OPEN,
        f"no data: {FEW}; the last known sample, bad, is 35s old",
    ),
    "good for the whole bake, and then nobody looked for a long time": (
        seen(*row([G] * 5), until=at(3600)),
        OPEN,
        "nothing was measured since; the last known sample, good, is 59m 50s old",
    ),
    "good for the whole bake, with the first samples no longer kept": (
        seen(*row([G] * 2, [0.0] * 2), earlier=Streak(quality=G, count=60, since=at(-300), until=at(-1))),
        RECOVERED,
        "62 good samples over 5m 2s: health 200, 0.0 % of 410 requests failed (limit 10 %)",
    ),
}


@pytest.mark.parametrize(("observed", "verdict", "why"), STORIES.values(), ids=STORIES.keys())
def test_the_story_has_its_verdict_and_its_reason(observed, verdict, why):
    judged = judge_recovery(observed, None, TARGET)
    assert (judged.verdict, judged.why) == (verdict, why)


def test_the_baseline_is_what_errors_fell_from():
    observed = seen(*row([B, B], [0.14, 0.14]))
    why = judge_recovery(observed, a_sample(-60, B, rate=0.5), TARGET).why
    assert why == "errors fell from 50.0 % to 14.0 % but are above 10 %; 2 bad samples over 2.5s"


def test_a_recovery_says_what_it_recovered_from():
    observed = seen(*row([G] * 5, [0.0] * 5))
    why = judge_recovery(observed, a_sample(-60, B, rate=0.5), TARGET).why
    assert why.endswith("(limit 10 %); before the change 50.0 % failed")


@pytest.mark.parametrize(
    "baseline", [None, a_sample(-60, N), a_sample(-60, B, rate=0.9), a_sample(-60, G, rate=0.0)]
)
@given(
    row_of=st.lists(
        st.tuples(
            st.sampled_from([G, B, N, E]), st.sampled_from([G, B, N]), st.floats(0, 1), st.floats(0, 60)
        ),
        max_size=30,
    ),
    late=st.floats(0, 3600),
)
def test_whatever_was_seen_there_is_a_verdict_and_recovered_only_on_a_whole_bake_of_good_samples(
    baseline, row_of, late
):
    moment, samples = 0.0, []
    for quality, health, rate, gap in row_of:
        moment += gap
        samples.append(a_sample(moment, quality, rate=rate if quality in {G, B} else None, health=health))
    judged = judge_recovery(seen(*samples, until=at(moment + late)), baseline, TARGET)
    assert judged.why
    if judged.verdict is RECOVERED:
        newest = [sample for sample in samples if sample.quality in {G, B}][-5:]
        assert [item.quality for item in newest] == [G] * 5
        assert late <= 30
    if all(sample.quality in {N, E} for sample in samples):
        assert judged.verdict is OPEN


def test_readings_without_values_are_judged_too():
    samples = tuple(Sample(at=at(i), readings=()) for i in range(3))
    judged = judge_recovery(Observed(samples=samples, since=NOW, until=at(3)), None, TARGET)
    assert (judged.verdict, judged.why) == (OPEN, "no data: no reading decides")


def test_a_bake_of_one_sample_needs_one():
    verify = TARGET.verify.model_copy(update={"consecutive": 1, "bake": seconds(0.001)})
    assert judge_recovery(seen(*row([G] * 2)), None, a_target(verify=verify)).verdict is RECOVERED
