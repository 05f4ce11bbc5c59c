import pytest

from sandbox.demo.database import FaultError, Faults, faults_from


def test_a_release_without_fault_variables_has_no_faults():
    assert faults_from({"PORT": "1", "FAULT_ERROR_RATE": ""}) == Faults()


def test_every_fault_is_read_from_its_variable():
    assert faults_from(
        {
            "FAULT_ERROR_RATE": "0.3",
            "FAULT_LATENCY_SECONDS": "1.5",
            "FAULT_CRASH_AFTER_SECONDS": "0",
            "FAULT_REFUSE_AFTER_SECONDS": "1",
            "FAULT_UNHEALTHY": "true",
            "FAULT_CPU": "2",
            "FAULT_LEAK_MB_PER_SECOND": "10",
            "FAULT_REQUESTS_AT_ONCE": "5",
            "FAULT_DB_CONNECTIONS": "40",
        }
    ) == Faults(
        error_rate=0.3,
        latency_seconds=1.5,
        crash_after_seconds=0.0,
        refuse_after_seconds=1.0,
        unhealthy=True,
        cpu=2.0,
        leak_mb_per_second=10.0,
        requests_at_once=5,
        db_connections=40,
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FAULT_ERROR_RATE", "1.1"),
        ("FAULT_ERROR_RATE", "nan"),
        ("FAULT_LATENCY_SECONDS", "-1"),
        ("FAULT_CPU", "lots"),
        ("FAULT_UNHEALTHY", "maybe"),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused_by_name(name, value):
    with pytest.raises(FaultError, match=f"{name}='{value}' must be"):
        faults_from({name: value})
