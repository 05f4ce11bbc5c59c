from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from runbook_model.catalog.service_policies import Verify
from runbook_model.measured.readings import (
    KNOWN,
    Quality,
    Sample,
    counts_from,
    is_decided,
    last_streak,
    latest_end,
    longest_gap,
    sample_interval,
    still_falls,
)
from tests.observing import NOW, B, E, G, N, a_sample, a_target, an_observation, at, seconds

GAP = seconds(30)


def row(qualities, step=2.5):
    return tuple(a_sample(index * step, quality) for index, quality in enumerate(qualities))


samples_of = st.lists(st.sampled_from([G, B, N, E]), max_size=40).map(row)


def test_a_sample_is_bad_if_one_deciding_reading_is_bad():
    assert a_sample(0, N, health=B).quality is Quality.BAD


def test_a_sample_is_good_only_if_every_deciding_reading_is():
    assert a_sample(0, G).quality is Quality.GOOD
    assert a_sample(0, N).quality is Quality.NO_DATA
    assert a_sample(0, E).quality is Quality.ERROR


def test_log_lines_alone_decide_nothing():
    logs_only = Sample(at=NOW, readings=a_sample(0, G).readings[2:])
    assert logs_only.quality is Quality.NO_DATA


def test_unknown_samples_neither_count_nor_break_a_streak():
    streak = last_streak(row([G, N, G, E, E, G]), GAP)
    assert (streak.quality, streak.count, streak.span) == (G, 3, seconds(12.5))


def test_a_gap_that_is_too_long_breaks_a_streak():
    streak = last_streak((a_sample(0), a_sample(5), a_sample(36), a_sample(40)), GAP)
    assert (streak.count, streak.since) == (2, at(36))


def test_a_long_unknown_stretch_is_such_a_gap():
    streak = last_streak(row([G, G, *[N] * 14, G]), GAP)
    assert streak.count == 1


@given(samples_of)
def test_unknown_samples_change_nothing_while_no_gap_is_too_long(samples):
    known = tuple(sample for sample in samples if sample.quality in KNOWN)
    endless = timedelta(days=1)
    assert last_streak(samples, endless) == last_streak(known, endless)


@given(samples_of)
def test_a_streak_is_made_of_one_quality_up_to_the_last_known_sample(samples):
    streak = last_streak(samples, GAP)
    known = [sample for sample in samples if sample.quality in KNOWN]
    if streak is None:
        assert not known
        return
    members = known[-streak.count :]
    assert {sample.quality for sample in members} == {streak.quality}
    assert (members[0].at, members[-1].at) == (streak.since, streak.until)


@given(samples_of, st.integers(0, 40))
def test_a_series_may_be_cut_anywhere_if_the_streak_before_the_cut_is_kept(samples, cut):
    before = last_streak(samples[:cut], GAP)
    assert last_streak(samples[cut:], GAP, before) == last_streak(samples, GAP)


def test_good_for_the_bake_time_is_decided():
    assert is_decided(row([G] * 5), a_target())


def test_enough_samples_over_too_short_a_time_decide_nothing():
    assert not is_decided(row([G] * 9, step=1), a_target())


def test_enough_time_with_too_few_samples_decides_nothing():
    assert not is_decided(row([G, N, N, N, G, G]), a_target())


def test_one_bad_sample_makes_the_bake_start_again():
    assert not is_decided(row([G] * 4 + [B] + [G] * 4), a_target())
    assert is_decided(row([G] * 4 + [B] + [G] * 5), a_target())


def test_bad_takes_a_rate_window_longer_than_good_to_be_decided():
    assert not is_decided(row([B] * 10), a_target())
    assert is_decided(row([B] * 11), a_target())


def test_bad_is_not_beyond_hope_while_the_error_rate_falls():
    falling = tuple(a_sample(index * 2.5, B, rate=0.9 - index * 0.05) for index in range(12))
    assert not is_decided(falling, a_target())
    steady = tuple(a_sample(index * 2.5, B, rate=0.9) for index in range(12))
    assert is_decided(steady, a_target())


def test_a_rate_that_wavers_does_not_fall():
    wavering = tuple(a_sample(index, B, rate=rate) for index, rate in enumerate([0.5, 0.3, 0.4, 0.3, 0.2]))
    assert not still_falls(wavering, 5)
    assert still_falls(wavering, 3)


def test_flapping_is_never_decided():
    assert not is_decided(row([G, G, B] * 30), a_target())


def test_nothing_and_the_unknown_are_never_decided():
    assert not is_decided((), a_target())
    assert not is_decided(row([N, E] * 50), a_target())


@given(
    st.timedeltas(seconds(0.001), timedelta(hours=3)),
    st.integers(1, 70),
)
def test_samples_taken_at_the_interval_decide_once_they_span_the_bake(bake, consecutive):
    target = a_target(verify=Verify(bake=bake, rate_window=seconds(15), consecutive=consecutive))
    step = sample_interval(target)
    needed = max(consecutive, -(-bake // step) + 1)
    moments = tuple(a_sample(index * step.total_seconds()) for index in range(needed))
    assert is_decided(moments, target)
    assert not is_decided(moments[: consecutive - 1], target)


def test_the_consecutive_samples_just_span_the_bake():
    assert sample_interval(a_target()) == seconds(2.5) + timedelta(microseconds=1)


def test_a_long_bake_is_looked_at_twice_a_minute():
    verify = Verify(bake=timedelta(minutes=5), rate_window=timedelta(minutes=5), consecutive=5)
    target = a_target(verify=verify)
    assert sample_interval(target) == seconds(30)
    assert longest_gap(target) == seconds(120)


def test_with_a_release_label_samples_count_at_once():
    assert counts_from(an_observation()) == NOW


def test_without_a_release_label_they_count_once_the_window_has_forgotten_the_old_tasks():
    assert counts_from(an_observation(target=a_target(release_label=None))) == at(15)


def test_a_label_does_not_help_when_the_same_release_ran_before():
    assert counts_from(an_observation(same_release_before=True)) == at(15)


def test_without_prometheus_only_live_tasks_are_seen_so_samples_count_at_once():
    assert counts_from(an_observation(target=a_target(release_label=None, prometheus_url=None))) == NOW


def test_the_latest_end_leaves_time_for_a_bake_after_the_old_tasks_are_forgotten_and_bad_is_beyond_hope():
    target = a_target(release_label=None)
    verify = target.verify
    assert (
        latest_end(target, NOW)
        > counts_from(an_observation(target=target)) + verify.rate_window + 2 * verify.bake
    )
