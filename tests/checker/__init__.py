"""The checker: whether what the logs of the systems show was made at most once, with a yes to exactly that call, and not after an abort.

It judges by Temporal's histories (``runs``) and by the logs of what was called (``logs``), not by what a run says of itself.
``rules.faults`` returns everything that is wrong, a ``Fault`` each; tests of every kind expect none.
"""

from tests.checker.logs import made_by_nobody
from tests.checker.rules import Fault, faults
from tests.checker.runs import Record, record_of, records_of

__all__ = ["Fault", "Record", "faults", "made_by_nobody", "record_of", "records_of"]
