"""The lines of relay_dest_domains.ini: `example.com={"action":"accept","nexthop":"host:port"}`."""

from __future__ import annotations

import json

from mta.config.kinds import scalar
from mta.record import record

ACTIONS = ("accept", "continue", "deny")
_ALLOWED = 'JSON such as {"action":"accept","nexthop":"host:port"}, with action ' + ", ".join(ACTIONS)


@record
class Route:
    """What happens to mail for one domain; `nexthop` is empty when its MX decides.

    `action` is empty when none is written: mail is routed then, but a recipient there is not accepted for that.
    """

    action: str = ""
    nexthop: str = ""


def parse_route(text: str) -> Route:
    """Read one route; raises ValueError that says what is wrong with it."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("this is not JSON") from None
    if not isinstance(value, dict):
        raise ValueError("this is not a JSON object")
    unknown = sorted(set(value) - {"action", "nexthop"})
    if unknown:
        raise ValueError(f"{unknown[0]!r} is not known")
    return _route(value.get("action", ""), value.get("nexthop", ""))


def _route(action: object, nexthop: object) -> Route:
    if action not in (*ACTIONS, ""):
        raise ValueError(f"the action {action!r} is not one of them")
    if not isinstance(nexthop, str):
        raise ValueError("nexthop is not text")
    return Route(str(action), nexthop)


ROUTE = scalar(_ALLOWED, parse_route)
