"""Who is measured, and what each of them can do at all."""

from __future__ import annotations

HARAKA, HARAKA_NODES = "Haraka", "Haraka nodes=2"
OURS, OURS_NODES = "ours", "ours nodes=2"
POSTFIX, AIOSMTPD, SLIMTA, BARE = "Postfix", "aiosmtpd", "slimta", "bare gevent"

PAIR = (HARAKA, OURS)
NODES = (HARAKA_NODES, OURS_NODES)
PEERS = (POSTFIX, AIOSMTPD, SLIMTA, BARE)
EVERYBODY = (*PAIR, *NODES, *PEERS)

# What kinds of rows a peer can do; Haraka and this server do all. aiosmtpd and the bare responder have no queue.
# Nobody but the pair has plugins of Haraka's names, and only they forward while the client waits.
DOES = {
    POSTFIX: ("discard", "relay", "relay-mixed", "latency"),
    AIOSMTPD: ("discard",),
    SLIMTA: ("discard", "relay"),
    BARE: ("discard",),
}


def does(name: str, kind: str) -> bool:
    """Say whether a contender can do rows of a kind."""
    return name not in DOES or kind in DOES[name]
