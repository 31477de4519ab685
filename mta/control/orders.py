"""What may be asked over the control socket: one function an order, its arguments checked. Values in, JSON values out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from mta.net.next_hop import NextHopError
from mta.outbound.route import reroute_to
from mta.outbound.service import Outbound
from mta.outbound.suspensions import Suspension, SuspensionsError

MAX_NAMES = 1000  # in one order, so that none of them keeps others waiting for long
MAX_TEXT = 1000

Request = Mapping[str, Any]


class OrderError(ValueError):
    """An order that makes no sense, or could not be carried out; the text is one line for the operator."""


class Orders:
    """Carries out requests. outbound: what they are about; about: what `status` tells beyond the queue."""

    def __init__(self, outbound: Outbound, about: Callable[[], Mapping[str, object]]) -> None:
        self._outbound = outbound
        self._desk = outbound.desk
        self._about = about
        self._orders: dict[str, Callable[[Request], object]] = {
            "status": self._status,
            "explain": self._explain,
            "sites": self._sites,
            "inspect": lambda request: self._outbound.inspect(),
            "pools": lambda request: self._outbound.pools(),
            "flush": self._flush,
            "retry": lambda request: self._desk.retry(_names(request)),
            "hold": lambda request: self._desk.hold(_names(request)),
            "release": lambda request: self._desk.release(_names(request)),
            "delete": lambda request: self._desk.delete(_names(request)),
            "bounce": lambda request: self._desk.bounce(_names(request), _text(request, "reason")),
            "reroute": self._reroute,
            "suspend": self._suspend,
            "resume": self._resume,
        }

    def carry_out(self, request: object) -> object:
        """The answer to a request `{"do": ORDER, ...}`. Raises OrderError."""
        if not isinstance(request, Mapping):
            raise OrderError("an order is a JSON object")
        order = self._orders.get(request.get("do", ""))
        if order is None:
            raise OrderError(f"no such order; there are {', '.join(self._orders)}")
        try:
            return order(request)
        except SuspensionsError as error:
            raise OrderError(str(error)) from error

    def _status(self, request: Request) -> object:
        suspensions = [asdict(each) for each in self._desk.suspensions()]
        return {**self._about(), **self._desk.stats(), "suspensions": suspensions}

    def _explain(self, request: Request) -> object:
        return {name: self._explained(name) for name in _names(request)}

    def _explained(self, name: str) -> object:
        gates = self._desk.explain(name)
        if gates is None:
            return None
        return {"gates": [asdict(gate) for gate in gates], "reason": self._desk.reason(name)}

    def _sites(self, request: Request) -> object:
        return {domain: self._desk.site_of(domain) for domain in _names(request, "domains")}

    def _flush(self, request: Request) -> object:
        self._outbound.flush()
        return True

    def _reroute(self, request: Request) -> object:
        next_hop = _text(request, "next_hop")
        try:
            if next_hop:
                next_hop = reroute_to(next_hop)
        except NextHopError as error:
            raise OrderError(str(error)) from error
        return self._desk.reroute(_names(request), next_hop)

    def _suspend(self, request: Request) -> object:
        until = request.get("until")
        if until is not None and (isinstance(until, bool) or not isinstance(until, int | float)):
            raise OrderError("until is a time in seconds since 1970, or null")
        self._desk.suspend(Suspension(_scope(request), until, _text(request, "reason")))
        return True

    def _resume(self, request: Request) -> object:
        return self._desk.resume(_scope(request))


def _names(request: Request, key: str = "names") -> list[str]:
    names = request.get(key)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise OrderError(f"{key} is a list of texts")
    if len(names) > MAX_NAMES:
        raise OrderError(f"more than {MAX_NAMES} {key} in one order")
    return names


def _text(request: Request, key: str) -> str:
    text = request.get(key, "")
    if not isinstance(text, str) or len(text) > MAX_TEXT or not (text.isprintable() or not text):
        raise OrderError(f"{key} is one line of text with at most {MAX_TEXT} characters")
    return text


def _scope(request: Request) -> str:
    scope = _text(request, "scope").strip().lower()
    if not scope or " " in scope:
        raise OrderError("scope is the name of a site or a domain, or *")
    return scope
