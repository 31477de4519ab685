"""No two test processes are given the same port."""

from __future__ import annotations

import subprocess
import sys

from tests.support import ports
from tests.support.server import ROOT

OTHER = """\
import sys
from tests.support import ports
print(ports._claim(int(sys.argv[1])))
"""


def test_a_port_is_given_once() -> None:
    given = [ports.free_port() for _ in range(200)]
    assert len(set(given)) == 200


def test_another_process_cannot_claim_it() -> None:
    command = [sys.executable, "-c", OTHER, str(ports.free_port())]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
