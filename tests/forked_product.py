"""What the fork server of ``tests.programs`` imports once, and each of its forks then runs."""

import importlib
import pkgutil
import sys

import starter
import worker
from starter.__main__ import main as run_command

for module in pkgutil.walk_packages(starter.__path__, "starter."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)  # a command would import it only when it is run


def main():
    """Run the program that ``argv`` names."""
    return worker.main() if sys.argv[0] == "worker" else run_command()
