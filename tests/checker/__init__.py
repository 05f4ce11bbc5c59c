"""The checker: whether what the logs of the systems show was made at most once, with a yes to exactly that call, and not after an abort.

It judges by Temporal's histories (``runs``) and by the logs of what was called (``logs``), not by what a run says of itself.
``rules.faults`` returns everything that is wrong, a ``Fault`` each; tests of every kind expect none.
"""

from tests.checker.logs import made_by_nobody
from tests.checker.rules import Fault, faults
from tests.checker.runs import Record, record_of, records_of

__all__ = ["Fault", "Record", "faults", "made_by_nobody", "record_of", "records_of", "wrong_of"]


async def wrong_of(client, runs, log=(), **known):
    """Return what is wrong with the changes of some runs and of all that these started, a line each.

    Args:
        client: reads their histories.
        runs: handles of them.
        log: what the systems say was called.
        known: who may sign, and what people agreed to beforehand, as ``faults`` takes it.
    """
    found = [await records_of(client, run.id, run.result_run_id) for run in runs]
    records = {record.run_id: record for some in found for record in some}
    return [str(fault) for fault in faults(records.values(), log, **known)]
