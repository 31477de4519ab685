"""The envelope of a queue entry, and the JSON that keeps it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import NoReturn

from mta.notes import Notes
from mta.outbound.spool_errors import CorruptEntry
from mta.record import record
from mta.smtp.address import Address, AddressError

MAX_TIME_MS = 1 << 53
MAX_DEPTH = 32  # of notes that have to be cleaned
_KEYS = ("queue_time", "domain", "rcpt_to", "mail_from", "notes", "uuid", "force_tls")
MAIL_PARAMS, RCPT_PARAMS, HOLD_UNTIL, TOLD = "mail_params", "rcpt_params", "hold_until", "told"
TLS_OPTIONAL = "tls_optional"
NEXT_HOP = "next_hop"  # an URL, where an operator sends the entry
# by-value = by-time ";" by-mode [by-trace] (RFC 2852 4)
_BY = re.compile(r"([-+]?[0-9]{1,9});([NR])(T?)", re.IGNORECASE)
_NO_DOMAIN = re.compile(r"[\x00-\x20\x7f]")

_quoted: Callable[[str], str] = json.encoder.encode_basestring


def _encoder() -> Callable[[object], str]:
    """What json.dumps() does with our options; it makes its encoder anew each time, which is most of its work here."""
    usual = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return usual.encode
    # No markers for what contains itself: that ends in a RecursionError.
    parts = make(None, usual.default, _quoted, None, ": ", ", ", False, False, False)
    return lambda value: "".join(parts(value, 0))


_json = _encoder()

# What is noted about a mail by itself.
_USUAL_NOTES: dict[str, object] = {"skip_plugins": []}
_USUAL_NOTES_JSON = _json(_USUAL_NOTES)


@record
class DeliverBy:
    """When a mail shall have been delivered (RFC 2852): moment in seconds since 1970.

    returns: it comes back to its sender then, else he is told that it is late. trace: he wants to know when it is relayed.
    """

    moment: float
    returns: bool
    trace: bool


@dataclass(slots=True)
class Todo:
    """Who sent a message and who is to get it: recipients in one domain.

    queue_time: arrival in milliseconds since 1970. extra: further keys of the queue file, kept: those that mean nothing to
    us, and those that mean nothing to Haraka, which the properties below read.
    """

    queue_time: int
    domain: str
    rcpt_to: list[Address]
    mail_from: Address
    notes: Notes
    uuid: str
    force_tls: bool = False
    extra: dict[str, object] = field(default_factory=dict)

    def with_recipients(self, rcpt_to: Sequence[Address]) -> Todo:
        """The same envelope for other recipients."""
        return replace(self, rcpt_to=list(rcpt_to))

    @property
    def mail_params(self) -> Mapping[str, str | None]:
        """The parameters of MAIL that matter to a delivery, keys in upper case (mta.smtp.parameters.KEPT)."""
        return _params(self.extra.get(MAIL_PARAMS))

    @property
    def require_tls(self) -> bool:
        """The sender wants the mail sent by verified TLS or not at all (RFC 8689)."""
        return bool(self.extra) and "REQUIRETLS" in self.mail_params

    @property
    def tls_optional(self) -> bool:
        """The sender wants the mail delivered even if the recipient's domain asks for TLS that fails (RFC 8689 section 5)."""
        return bool(self.extra) and bool(self.extra.get(TLS_OPTIONAL)) and not self.require_tls

    def rcpt_params(self, rcpt: Address) -> Mapping[str, str | None]:
        """The parameters that this recipient was named with, keys in upper case."""
        return _params(_mapping(self.extra.get(RCPT_PARAMS)).get(rcpt.address))

    @property
    def hold_until(self) -> int:
        """When the mail may leave (RFC 4865), in milliseconds since 1970; 0: at once."""
        moment = self.extra.get(HOLD_UNTIL)
        return moment if isinstance(moment, int) and 0 <= moment <= MAX_TIME_MS else 0

    @property
    def waits_since(self) -> float:
        """Since when it is ours to deliver it, in seconds since 1970: its arrival, or its release if it was held."""
        return max(self.queue_time, self.hold_until) / 1000

    @property
    def deliver_by(self) -> DeliverBy | None:
        """What the sender wants to happen when the mail is late; None when he did not say."""
        match = _BY.fullmatch(self.mail_params.get("BY") or "") if self.extra else None
        if match is None:
            return None
        seconds, mode, trace = match.groups()
        return DeliverBy(self.queue_time / 1000 + int(seconds), mode in "Rr", bool(trace))

    def wants(self, report: str, rcpt: Address) -> bool:
        """True when the sender wants this report about a recipient: SUCCESS, FAILURE or DELAY (RFC 3461 4.1).

        Who did not say wants to know about failures and delays.
        """
        notify = self.rcpt_params(rcpt).get("NOTIFY") if self.extra else None
        return report in notify.upper().split(",") if notify else report != "SUCCESS"

    def wants_nothing(self, rcpt: Address) -> bool:
        """True when the sender said NOTIFY=NEVER about a recipient."""
        return (self.rcpt_params(rcpt).get("NOTIFY") or "").upper() == "NEVER"

    @property
    def told(self) -> frozenset[str]:
        """The warnings that the sender has had: "delay", "late"."""
        told = self.extra.get(TOLD)
        return frozenset(str(each) for each in told) if isinstance(told, list) else frozenset()

    def with_told(self, warnings: frozenset[str]) -> Todo:
        """The same envelope, remembering that the sender has had these warnings too."""
        return replace(self, extra={**self.extra, TOLD: sorted(self.told | warnings)})

    def encode(self) -> bytes:
        """The JSON that Haraka reads: keys in its order, between two line feeds.

        Haraka indents it. One line costs a relay of 1 KB 7 % less, since the standard library indents in Python.
        """
        try:
            if not self.extra:
                return self._encode_plain()
            return f"\n{_json(self._record())}\n".encode()
        except (TypeError, ValueError, RecursionError):
            # A plugin noted something that JSON, or UTF-8, has no form for.
            text = json.dumps(_plain(self._record(), 0), allow_nan=False)
            return f"\n{text}\n".encode()

    def _record(self) -> dict[str, object]:
        return {
            "queue_time": self.queue_time,
            "domain": self.domain,
            "rcpt_to": [rcpt.to_json() for rcpt in self.rcpt_to],
            "mail_from": self.mail_from.to_json(),
            "notes": self.notes,
            "uuid": self.uuid,
            "force_tls": self.force_tls,
            **self.extra,
        }

    def _encode_plain(self) -> bytes:
        """The same for an envelope without further keys: put together of texts, which saves 4 % of a relay of 1 KB."""
        rcpts = ", ".join(map(_address_json, self.rcpt_to))
        notes = _USUAL_NOTES_JSON if self.notes == _USUAL_NOTES else _json(self.notes)
        text = (
            f'\n{{"queue_time": {self.queue_time}, "domain": {_quoted(self.domain)}, "rcpt_to": [{rcpts}], '
            f'"mail_from": {_address_json(self.mail_from)}, "notes": {notes}, "uuid": {_quoted(self.uuid)}, '
            f'"force_tls": {"true" if self.force_tls else "false"}}}\n'
        )
        return text.encode()

    @staticmethod
    def decode(data: bytes) -> Todo:
        """Read what encode, or Haraka, wrote. Raises CorruptEntry."""
        try:
            record = json.loads(data, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise CorruptEntry(f"the todo is not JSON: {error}") from error
        if not isinstance(record, dict):
            raise CorruptEntry(f"the todo is not a JSON object but {_kind(record)}")
        return Todo(
            queue_time=_time(record.get("queue_time")),
            domain=_domain(record.get("domain")),
            rcpt_to=_recipients(record.get("rcpt_to")),
            mail_from=_address("mail_from", record.get("mail_from")),
            notes=_notes(record.get("notes")),
            uuid=_text("uuid", record.get("uuid")),
            force_tls=record.get("force_tls") is True,
            extra={key: value for key, value in record.items() if key not in _KEYS},
        )


def _address_json(address: Address) -> str:
    # By its texts: an address is equal to one that was written otherwise.
    return _texts_json(address.original, address.original_host, address.host, address.user)


@lru_cache(maxsize=4096)
def _texts_json(original: str, original_host: str, host: str, user: str) -> str:
    return _json(Address(user, host, original, original_host).to_json())


def _time(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_TIME_MS:
        raise CorruptEntry(f"the queue_time is not a time in milliseconds but {_kind(value)}")
    return int(value)


def _text(key: str, value: object) -> str:
    if not isinstance(value, str):
        raise CorruptEntry(f"the {key} is not text but {_kind(value)}")
    return value


def _domain(value: object) -> str:
    domain = _text("domain", value)
    if _NO_DOMAIN.search(domain):
        raise CorruptEntry(f"not a domain: {domain!r}")
    return domain


def _recipients(value: object) -> list[Address]:
    if not isinstance(value, list) or not value:
        raise CorruptEntry(f"rcpt_to is not a list of addresses but {_kind(value)}")
    return [_address("rcpt_to", item) for item in value]


def _address(key: str, value: object) -> Address:
    if not isinstance(value, Mapping):
        raise CorruptEntry(f"{key} is not an address but {_kind(value)}")
    try:
        address = Address.from_json(value)
    except AddressError as error:
        raise CorruptEntry(f"{key}: {error}") from error
    if address.is_null and key == "rcpt_to":
        raise CorruptEntry("rcpt_to has the null address")
    return address


def _notes(value: object) -> Notes:
    if value is None:
        return Notes()
    if not isinstance(value, dict):
        raise CorruptEntry(f"the notes are not an object but {_kind(value)}")
    return Notes(value)


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _params(value: object) -> dict[str, str | None]:
    return {key: text for key, text in _mapping(value).items() if text is None or isinstance(text, str)}


def _kind(value: object) -> str:
    if isinstance(value, list | dict | str) and not value:
        return f"an empty {type(value).__name__}"
    return "missing" if value is None else type(value).__name__


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _plain(value: object, depth: int) -> object:
    """What JSON can hold of a value: as in JavaScript, members without a JSON form vanish, items become null."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if depth >= MAX_DEPTH:
        return None
    if isinstance(value, Mapping):
        members = ((key, _plain(item, depth + 1)) for key, item in value.items() if isinstance(key, str))
        return {key: item for key, item in members if item is not None or value[key] is None}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item, depth + 1) for item in value]
    return None
