"""The files of bundled plugins that judge what clients send."""

from __future__ import annotations

from dataclasses import field
from typing import ClassVar

from mta.config.kinds import FLAG, LIST, TEXT, whole
from mta.config.spec import Settings, Spec, setting
from mta.record import record

# A field is one line of a file and is read best as one line here.
# fmt: off

# RFC 5322 3.6: fields that a message may have once.
SINGULAR = ("Date", "From", "Sender", "Reply-To", "To", "Cc", "Bcc", "Message-Id", "In-Reply-To", "References", "Subject")

# Names that are often abused, and the domain that mail in that name comes from.
PHISH_TARGETS = {
    "amazon": "amazon.com",
    "apple": "apple.com",
    "bankofamerica": "bankofamerica.com",
    "citibank": "citibank.com",
    "costco": "costco.com",
    "dhl": "dhl.com",
    "ebay": "ebay.com",
    "fedex": "fedex.com",
    "microsoft": "microsoft.com",
    "paypal": "paypal.com",
    "usps": "usps.com",
    "walmart": "walmart.com",
    "wellsfargo": "wellsfargo.com",
}


def _targets() -> dict[str, str]:
    return dict(PHISH_TARGETS)


@record
class HeadersSettings(Settings):
    """headers.ini: what is looked at in the header of a message, and what it is refused for."""

    FILE: ClassVar[str] = "headers.ini"

    required: tuple[str, ...] = setting("main", "required", LIST, ("From", "Date"), "Fields that a message must have (RFC 5322 3.6).")
    singular: tuple[str, ...] = setting("main", "singular", LIST, SINGULAR, "Fields that it may have once only (RFC 5322 3.6).")
    date_future_days: int = setting("main", "date_future_days", whole(0, 100000), 2, "Days that its Date may lie in the future; 0: no limit.")
    date_past_days: int = setting("main", "date_past_days", whole(0, 100000), 15, "Days that its Date may lie in the past; 0: no limit.")

    check_duplicate_singular: bool = setting("check", "duplicate_singular", FLAG, True, "Is a field of `singular` there more than once?")
    check_missing_required: bool = setting("check", "missing_required", FLAG, True, "Is a field of `required` not there?")
    check_invalid_return_path: bool = setting("check", "invalid_return_path", FLAG, True, "Is there a Return-Path? That of a client which may not relay is removed.")
    check_invalid_date: bool = setting("check", "invalid_date", FLAG, True, "Is the Date no date, or too far away?")
    check_user_agent: bool = setting("check", "user_agent", FLAG, True, "Which program wrote the message?")
    check_direct_to_mx: bool = setting("check", "direct_to_mx", FLAG, True, "Did it come without passing a server of the sender's?")
    check_from_match: bool = setting("check", "from_match", FLAG, True, "Is the domain of From that of the envelope?")
    check_delivered_to: bool = setting("check", "delivered_to", FLAG, True, "Is one of the recipients in Delivered-To already?")
    check_mailing_list: bool = setting("check", "mailing_list", FLAG, True, "Which software for mailing lists has sent it?")
    check_from_phish: bool = setting("check", "from_phish", FLAG, True, "Is a name of [phish_targets] in From, and the domain another one?")

    reject_duplicate_singular: bool = setting("reject", "duplicate_singular", FLAG, False, "Refuse a message that has such a field twice.")
    reject_missing_required: bool = setting("reject", "missing_required", FLAG, False, "Refuse a message that lacks one of them; some software that sends wanted mail writes no Date.")
    reject_invalid_return_path: bool = setting("reject", "invalid_return_path", FLAG, False, "Refuse a message that has one from a client that may relay.")
    reject_invalid_date: bool = setting("reject", "invalid_date", FLAG, False, "Refuse a message with such a Date.")
    reject_delivered_to: bool = setting("reject", "delivered_to", FLAG, True, "Refuse a message that has been at one of its recipients before: it goes round in circles.")
    reject_from_phish: bool = setting("reject", "from_phish", FLAG, False, "Refuse a message in such a name.")

    phish_targets: dict[str, str] = field(default_factory=_targets, metadata={"spec": Spec("phish_targets", "", TEXT, {}, "A name on each line, and the domain that mail in this name comes from; without a domain it is not looked for.")})
