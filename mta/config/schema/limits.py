"""The file of bundled plugin limit."""

from __future__ import annotations

from dataclasses import field
from typing import ClassVar

from mta.config.kinds import FLAG, RATE_OR_NONE, SECONDS, TEXT, whole
from mta.config.rate import Rate
from mta.config.spec import Settings, Spec, setting
from mta.record import record

# A field is one line of a file and is read best as one line here.
# fmt: off

MANY = 1_000_000
_HISTORY = "Choose the limit by how the client has behaved before, as another plugin remembers it."
_PLUGIN = "That plugin; its result `history` is above 0 for good clients and below for bad ones."


def _this_machine() -> dict[str, Rate]:
    return {"127": Rate(0, 60)}


@record
class LimitPluginSettings(Settings):
    """limit.ini: how much one client, sender or recipient may do."""

    FILE: ClassVar[str] = "limit.ini"

    tarpit_delay: float = setting("main", "tarpit_delay", SECONDS, 3.0, "Seconds that a client waits for the reply which tells it that it has done too much; 0: none.")

    concurrency: bool = setting("concurrency", "enabled", FLAG, False, "Limit the connections that a client has open at the same time.")
    concurrency_max: int = setting("concurrency", "max", whole(0, MANY), 3, "Connections at the same time; 0: no limit.")
    concurrency_history: bool = setting("concurrency_history", "enabled", FLAG, False, _HISTORY)
    concurrency_history_plugin: str = setting("concurrency_history", "plugin", TEXT, "karma", _PLUGIN)
    concurrency_history_good: int = setting("concurrency_history", "good", whole(0, MANY), 10, "Connections of a good client; 0: no limit.")
    concurrency_history_bad: int = setting("concurrency_history", "bad", whole(0, MANY), 1, "Connections of a bad one.")
    concurrency_history_none: int = setting("concurrency_history", "none", whole(0, MANY), 2, "Connections of one that is neither.")

    recipients: bool = setting("recipients", "enabled", FLAG, False, "Limit the recipients of a connection, those that are refused included.")
    recipients_max: int = setting("recipients", "max", whole(0, MANY), 20, "Recipients in all mails of a connection; 0: no limit.")
    recipients_max_relaying: int = setting("recipients", "max_relaying", whole(0, MANY), 0, "The same for a client that may relay; 0: as for the others.")
    recipients_history: bool = setting("recipients_history", "enabled", FLAG, False, _HISTORY)
    recipients_history_plugin: str = setting("recipients_history", "plugin", TEXT, "karma", _PLUGIN)
    recipients_history_good: int = setting("recipients_history", "good", whole(0, MANY), 50, "Recipients of a good client; 0: no limit.")
    recipients_history_bad: int = setting("recipients_history", "bad", whole(0, MANY), 1, "Recipients of a bad one.")
    recipients_history_none: int = setting("recipients_history", "none", whole(0, MANY), 5, "Recipients of one that is neither.")

    unrecognized_commands: bool = setting("unrecognized_commands", "enabled", FLAG, False, "Limit the commands of a connection that nobody knows.")
    unrecognized_commands_max: int = setting("unrecognized_commands", "max", whole(0, MANY), 10, "Such commands; the next one ends the connection. 0: no limit.")

    errors: bool = setting("errors", "enabled", FLAG, False, "Limit the mistakes of a connection: commands in the wrong order, addresses that are none.")
    errors_max: int = setting("errors", "max", whole(0, MANY), 10, "Mistakes; the next command after one more ends the connection. 0: no limit.")

    rate_conn_names: dict[str, Rate] = field(default_factory=_this_machine, metadata={"spec": Spec("rate_conn", "", RATE_OR_NONE, {}, "Connections of a client whose address or host name is this one, or begins or ends with it: all of them together.")})
    rate_conn: bool = setting("rate_conn", "enabled", FLAG, False, "Limit the connections of a client in a time.")
    rate_conn_default: Rate = field(default=Rate(5, 60), metadata={"spec": Spec("rate_conn", "default", RATE_OR_NONE, Rate(5, 60), "Connections of each other client.")})
    rate_conn_history: bool = setting("rate_conn_history", "enabled", FLAG, False, _HISTORY)
    rate_conn_history_plugin: str = setting("rate_conn_history", "plugin", TEXT, "karma", _PLUGIN)
    rate_conn_history_good: Rate = field(default=Rate(15, 60), metadata={"spec": Spec("rate_conn_history", "good", RATE_OR_NONE, Rate(15, 60), "Connections of a good client.")})
    rate_conn_history_bad: Rate = field(default=Rate(1, 900), metadata={"spec": Spec("rate_conn_history", "bad", RATE_OR_NONE, Rate(1, 900), "Connections of a bad one.")})
    rate_conn_history_none: Rate = field(default=Rate(1, 300), metadata={"spec": Spec("rate_conn_history", "none", RATE_OR_NONE, Rate(1, 300), "Connections of one that is neither.")})

    rate_rcpt_host_names: dict[str, Rate] = field(default_factory=_this_machine, metadata={"spec": Spec("rate_rcpt_host", "", RATE_OR_NONE, {}, "Recipients of a client whose address or host name is this one, or begins or ends with it: all of them together.")})
    rate_rcpt_host: bool = setting("rate_rcpt_host", "enabled", FLAG, False, "Limit the recipients that a client names in a time.")
    rate_rcpt_host_default: Rate = field(default=Rate(50, 300), metadata={"spec": Spec("rate_rcpt_host", "default", RATE_OR_NONE, Rate(50, 300), "Recipients of each other client.")})

    rate_rcpt_sender_names: dict[str, Rate] = field(default_factory=dict, metadata={"spec": Spec("rate_rcpt_sender", "", RATE_OR_NONE, {}, "Recipients of a sender whose address is this one, or in this domain or below it: all of them together.")})
    rate_rcpt_sender: bool = setting("rate_rcpt_sender", "enabled", FLAG, False, "Limit the recipients that a sender has in a time.")
    rate_rcpt_sender_default: Rate = field(default=Rate(50, 300), metadata={"spec": Spec("rate_rcpt_sender", "default", RATE_OR_NONE, Rate(50, 300), "Recipients of each other sender.")})

    rate_rcpt_names: dict[str, Rate] = field(default_factory=dict, metadata={"spec": Spec("rate_rcpt", "", RATE_OR_NONE, {}, "Messages to a recipient whose address is this one, or in this domain or below it: all of them together.")})
    rate_rcpt: bool = setting("rate_rcpt", "enabled", FLAG, False, "Limit the messages to a recipient in a time.")
    rate_rcpt_default: Rate = field(default=Rate(50, 300), metadata={"spec": Spec("rate_rcpt", "default", RATE_OR_NONE, Rate(50, 300), "Messages to each other recipient.")})

    rate_rcpt_null_names: dict[str, Rate] = field(default_factory=dict, metadata={"spec": Spec("rate_rcpt_null", "", RATE_OR_NONE, {}, "Bounces to a recipient whose address is this one, or in this domain or below it: all of them together.")})
    rate_rcpt_null: bool = setting("rate_rcpt_null", "enabled", FLAG, False, "Limit the messages without a sender, such as bounces, to a recipient in a time.")
    rate_rcpt_null_default: Rate = field(default=Rate(1, 60), metadata={"spec": Spec("rate_rcpt_null", "default", RATE_OR_NONE, Rate(1, 60), "Bounces to each other recipient.")})
