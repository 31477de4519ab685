"""What one test with a session in memory takes; printed, not judged."""

import time
from pathlib import Path
from statistics import median

from mta.testing import MailServer

GREYLIST = """
from mta.plugin import DENYSOFT, Plugin
class Greylist(Plugin):
    def hook_rcpt(self, connection, rcpt, params):
        return DENYSOFT, "later"
"""
TIMES = 20


def test_a_session_with_a_plugin(tmp_path: Path) -> None:
    plugin = tmp_path / "greylist.py"
    plugin.write_text(GREYLIST)
    wall, cpu = [], []
    for _ in range(TIMES):
        begun, used = time.perf_counter(), time.process_time()
        with MailServer(plugin) as server:
            client = server.connect()
            client.ehlo()
            client.mail("ann@a.test")
            assert client.rcpt("joe@example.com").code == 450
        wall.append(time.perf_counter() - begun)
        cpu.append(time.process_time() - used)
    print(
        f"\none test in memory: {median(wall) * 1000:.1f} ms, {median(cpu) * 1000:.1f} ms of them processor time (median)"
    )
