"""What Haraka and this server are configured to do with the mail in each kind of row: the same files for both."""

from __future__ import annotations

from collections.abc import Mapping

OUTBOUND = "[main]\nconcurrency_max=100\nlocal_mx_ok=true\nenable_tls=false\n"
COMMON = {
    "smtp.ini": "listen=127.0.0.1:{port}\nnodes=0\n",
    "me": "relay.test\n",
    "log.ini": "[main]\nlevel=warn\n",
    "outbound.ini": OUTBOUND,
}
DISCARD = {"plugins": "rcpt_to.in_host_list\nqueue/discard\n", "host_list": "example.com\n"}
SUBMISSION = {  # and a message for example.com is thrown away
    **DISCARD,
    "plugins": f"tls\nauth/flat_file\n{DISCARD['plugins']}",
    "auth_flat_file.ini": "[core]\nmethods=PLAIN\n\n[users]\nanna=secret\n",
}
# Every second message of a run would meet the deferred ones of the run before it again; so they are not tried again that soon.
MIXED = {"outbound.ini": f"{OUTBOUND}temp_fail_intervals=1d\n"}
# The client is in none of the lists of relay, and no limit is reached: all plugins look, none objects.
CHAIN = {
    **DISCARD,
    "plugins": f"relay\nheaders\nlimit\naliases\n{DISCARD['plugins']}",
    "relay.ini": "[relay]\nacl=true\n",
    "relay_acl_allow": "192.0.2.0/24\n",
    "limit.ini": (
        "[concurrency]\nenabled=false\n\n[recipients]\nenabled=true\nmax=1000000\n\n"
        "[unrecognized_commands]\nenabled=true\nmax=10\n\n[errors]\nenabled=true\nmax=10\n"
    ),
    "aliases.json": '{"postmaster": {"action": "alias", "to": "anna"}}\n',
}
# A filter that computes, as a signature or a look into a body does: 2 ms of the processor for each message.
COMPUTE = {**DISCARD, "plugins": f"computes\n{DISCARD['plugins']}"}
COMPUTES_PY = """\
import time

from mta.plugin import Plugin

class Computes(Plugin):
    def hook_data_post(self, connection):
        end = time.thread_time() + 0.002
        while time.thread_time() < end:
            pass
"""
COMPUTES_JS = """\
exports.hook_data_post = (next) => {
    const begun = process.cpuUsage()
    let used = 0
    while (used < 2000) {
        const now = process.cpuUsage(begun)
        used = now.user + now.system
    }
    next()
}
"""


def forward(port: int) -> dict[str, str]:
    return {
        "plugins": "rcpt_to.in_host_list\nqueue/smtp_forward\n",
        "host_list": "example.com\n",
        "smtp_forward.ini": f"host=127.0.0.1\nport={port}\n",
    }


def files(kind: str, next_hop: int | None) -> Mapping[str, str]:
    """Return the configuration files of a kind of row that differ from plain discarding or relaying."""
    if kind == "forward":
        assert next_hop is not None
        return forward(next_hop)
    return {"relay-mixed": MIXED, "chain": CHAIN, "compute": COMPUTE}.get(kind, {})


def plugins(kind: str) -> Mapping[str, str]:
    """Return the plugins that a kind of row needs besides those that servers come with, for both: names and contents of files."""
    return {"computes.py": COMPUTES_PY, "computes.js": COMPUTES_JS} if kind == "compute" else {}


def has_next_hop(kind: str) -> bool:
    return kind.startswith("relay") or kind in ("forward", "latency")


def queues(kind: str) -> bool:
    """Say whether mail goes through the server's own queue to its next hop."""
    return kind.startswith("relay") or kind == "latency"
