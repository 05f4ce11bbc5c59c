"""How a process of the product ends: with everything said, and without the interpreter's own end."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import atexit, os, sys, threading
from starter.exits import end_process

class Part:
    def __del__(self):
        os.write(1, b"taken apart\\n")

part = Part()
atexit.register(print, "exit function")
threading.Thread(target=lambda: threading.main_thread().join() or print("thread")).start()
print("answer", end="\\n")
end_process(3)
"""


def end(program, **streams):
    return subprocess.run(
        [sys.executable, "-c", program], check=False, text=True, stderr=subprocess.PIPE, **streams
    )


def test_output_threads_and_exit_functions_come_first_and_modules_are_not_taken_apart():
    ended = end(PROGRAM, stdout=subprocess.PIPE)
    assert (ended.returncode, ended.stderr) == (3, "")
    assert ended.stdout == "answer\nthread\nexit function\n"


def test_the_exit_code_stays_where_nobody_can_read_the_output():
    with Path("/dev/full").open("w") as full:
        ended = end(
            "import sys; from starter.exits import end_process; sys.stdout.write('x'); end_process(3)",
            stdout=full,
            env=os.environ | {"PYTHONUNBUFFERED": ""},
        )
    assert (ended.returncode, ended.stderr) == (3, "")


def test_a_command_ends_so():
    program = (
        "import os, sys; from starter.__main__ import main\n"
        "class Part:\n"
        "    def __del__(self): os.write(1, b'taken apart')\n"
        "part = Part(); sys.argv = ['runbook', 'catalog', 'schema']; main()"
    )
    ended = end(program, stdout=subprocess.PIPE)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.rstrip().endswith("}")


@pytest.mark.parametrize(
    "words",
    [["--help"], ["list", "--help"], ["catalog", "schema"], ["completion", "bash"], ["demo", "--list"]],
)
def test_a_command_whose_reader_is_gone_ends_quietly_with_141(words):
    reading, writing = os.pipe()
    os.close(reading)
    program = f"import sys; from starter.__main__ import main; sys.argv = ['runbook', *{words}]; main()"
    ended = end(program, stdout=writing)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (141, "")
