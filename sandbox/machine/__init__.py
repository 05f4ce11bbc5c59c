"""What every part of the sandbox needs of this machine: processes, ports, and HTTP."""
