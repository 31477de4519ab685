"""The files of bundled plugins that hold clients back, or look after the server."""

from __future__ import annotations

from dataclasses import field
from typing import ClassVar

from mta.config.kinds import FLAG, NETWORK, SECONDS, TEXT, WORDS, choice, whole
from mta.config.spec import Settings, Spec, setting
from mta.record import record

# A field is one line of a file and is read best as one line here.
# fmt: off

HOOKS_TO_DELAY = ("connect", "helo", "ehlo", "mail", "rcpt", "rcpt_ok", "data", "data_post", "queue", "unrecognized_command", "vrfy", "noop", "rset", "quit", "deny")


@record
class DelayDenySettings(Settings):
    """delay_deny.ini: whose refusals wait until the recipients are known."""

    FILE: ClassVar[str] = "delay_deny.ini"

    included_plugins: tuple[str, ...] = setting("main", "included_plugins", WORDS, (), "Only refusals of these wait: PLUGIN, PLUGIN:HOOK or PLUGIN:HOOK:FUNCTION; empty: those of all plugins.")
    excluded_plugins: tuple[str, ...] = setting("main", "excluded_plugins", WORDS, (), "Refusals of these do not wait, written in the same way; not read when included_plugins names some.")


@record
class TarpitSettings(Settings):
    """tarpit.ini: where clients that other plugins have marked are kept waiting."""

    FILE: ClassVar[str] = "tarpit.ini"

    hooks_to_delay: tuple[str, ...] = setting("main", "hooks_to_delay", WORDS, HOOKS_TO_DELAY, "Hooks whose reply is kept back; `deny` is any refusal of a plugin.")


@record
class EarlyTalkerSettings(Settings):
    """early_talker.ini: clients that speak before they were greeted."""

    FILE: ClassVar[str] = "early_talker.ini"

    pause: float = setting("main", "pause", SECONDS, 5.0, "Seconds before the greeting in which a client has to be silent; it is greeted at once when 0.")
    reject: bool = setting("main", "reject", FLAG, True, "Refuse a client that was not; otherwise it is only noted in its results.")
    ip_whitelist: dict[str, str] = field(default_factory=dict, metadata={"spec": Spec("ip_whitelist", "", TEXT, {}, "One address or network on each line: clients that are not kept waiting.", NETWORK)})


@record
class TooBusySettings(Settings):
    """toobusy.ini: when a server that is too slow already takes no more clients."""

    FILE: ClassVar[str] = "toobusy.ini"

    maxlag: int = setting("main", "maxlag", whole(10), 70, "Milliseconds by which the process may be late for its work; from here on some clients are turned away, at twice as much all.")
    interval: int = setting("main", "interval", whole(16), 500, "Milliseconds between two measurements.")


@record
class RecordEnvelopeAddressesSettings(Settings):
    """record_envelope_addresses.ini: which envelopes are written into the header."""

    FILE: ClassVar[str] = "record_envelope_addresses.ini"

    recipients: str = setting("main", "recipients", choice("single", "always", "never"), "single", "Write X-Envelope-To: for a mail with one recipient, for every mail, or for none. With `always` each recipient can read who else got the mail.")
    outgoing: bool = setting("main", "outgoing", FLAG, False, "Do it with the mail of clients that may relay, too.")


@record
class StatusSettings(Settings):
    """status.ini: what the command STATUS may do."""

    FILE: ClassVar[str] = "status.ini"

    changes: bool = setting("main", "changes", FLAG, True, "Allow STATUS QUEUE DISCARD and PUSH; whoever has an account on this machine can give them.")


@record
class ProfileSettings(Settings):
    """profile.ini: where the time of the server goes."""

    FILE: ClassVar[str] = "profile.ini"

    enabled: bool = setting("main", "enabled", FLAG, True, "Take samples.")
    interval: int = setting("main", "interval", whole(1, 1000), 5, "Milliseconds of processor time between two samples.")
    seconds: int = setting("main", "seconds", whole(1, 86400), 60, "Seconds that one file is about.")
    keep: int = setting("main", "keep", whole(1, 10000), 20, "Files that are kept; older ones are removed.")
    directory: str = setting("main", "directory", TEXT, "profile", "Directory of the files; relative to the installation.")
