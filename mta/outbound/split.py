"""One message becomes one queue entry for each destination."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from mta.outbound.todo import HOLD_UNTIL, MAIL_PARAMS, RCPT_PARAMS, TLS_OPTIONAL, Todo
from mta.smtp.parameters import KEPT

if TYPE_CHECKING:
    from mta.smtp.address import Address
    from mta.transaction import Transaction


def split(transaction: Transaction, always_split: bool, now_ms: int | None = None) -> list[Todo]:
    """The envelopes for a transaction: one a domain in the order they were first named, or one a recipient.

    A recipient named twice counts once. now_ms: milliseconds since 1970, the present if it is not given.
    """
    # RFC 8689 section 5; when the client says REQUIRETLS itself, that counts.
    header = transaction.header
    tls_optional = header.has("TLS-Required") and header.get("TLS-Required").strip().lower() == "no"
    queue_time = int(time.time() * 1000) if now_ms is None else now_ms
    todos: list[Todo] = []
    for rcpts in _groups(transaction.rcpt_to, always_split):
        uuid = f"{transaction.uuid}.{len(todos) + 1}"
        extra = _parameters(transaction, rcpts, tls_optional)
        # Its fields by position: half the price.
        todos.append(
            Todo(
                queue_time, rcpts[0].host, rcpts, transaction.mail_from, transaction.notes, uuid, False, extra
            )
        )
    return todos


def _parameters(transaction: Transaction, rcpts: list[Address], tls_optional: bool) -> dict[str, object]:
    """What the client said in MAIL and RCPT beyond the addresses, as far as the delivery has to know it."""
    extra: dict[str, object] = {}
    if transaction.params and (
        kept := {key: transaction.params[key] for key in KEPT if key in transaction.params}
    ):
        extra[MAIL_PARAMS] = kept
    if transaction.rcpt_params:
        said = {
            rcpt.address: transaction.rcpt_params[rcpt] for rcpt in rcpts if rcpt in transaction.rcpt_params
        }
        if said:
            extra[RCPT_PARAMS] = said
    if transaction.hold_until is not None:
        extra[HOLD_UNTIL] = int(transaction.hold_until * 1000)
    if tls_optional:
        extra[TLS_OPTIONAL] = True
    return extra


def _groups(rcpt_to: list[Address], always_split: bool) -> list[list[Address]]:
    if len(rcpt_to) == 1:
        return [list(rcpt_to)]
    rcpts = dict.fromkeys(rcpt_to)
    if always_split:
        return [[rcpt] for rcpt in rcpts]
    domains: dict[str, list[Address]] = {}
    for rcpt in rcpts:
        domains.setdefault(rcpt.host, []).append(rcpt)
    return list(domains.values())
