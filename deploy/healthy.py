"""Whether an address answers well: the health check of containers that have no curl."""

import sys
from urllib.request import urlopen

with urlopen(sys.argv[1], timeout=4) as answer:  # noqa: S310 - the address stands in the compose file
    sys.exit(answer.status != 200)
