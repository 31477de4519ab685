"""Files that hold one value, a list or a text."""

from __future__ import annotations

from typing import Any

from mta.config.bounce_rules import BOUNCE_RULE
from mta.config.kinds import (
    ADDRESS,
    FLAG,
    LEVEL,
    NETWORK,
    PATTERN,
    SECONDS,
    TEXT,
)
from mta.config.spec import LinesFile, ValueFile

ME = ValueFile(
    "me", TEXT, "", "Name of this server in greetings, HELO and trace fields; empty: the host name."
)
PLUGIN_TIMEOUT = ValueFile(
    "plugin_timeout", SECONDS, 30.0, "Seconds that a plugin may take; `NAME.timeout` says it for one plugin."
)
QUEUE_DIR = ValueFile("queue_dir", TEXT, "queue", "Directory of the queue; relative to the installation.")
LOGLEVEL = ValueFile(
    "loglevel",
    LEVEL,
    "",
    "Level instead of the one in log.ini; while the server runs, the file edited last wins.",
)
LOG_TIMESTAMPS = ValueFile("log_timestamps", FLAG, False, "Timestamps, like `timestamps` in log.ini.")
ANTI_SPOOF = ValueFile(
    "host_list.anti_spoof",
    FLAG,
    False,
    "Refuse MAIL FROM with a domain of host_list, unless the client may relay.",
)
"""The file host_list.anti_spoof, for self.config.value."""
BLOCK_ME_RECIPIENT = ValueFile(
    "block_me.recipient",
    ADDRESS,
    "",
    "Address that takes mails whose senders are to be blocked; empty: none.",
)
"""The file block_me.recipient, for self.config.value."""

VALUES: tuple[ValueFile[Any], ...] = (
    ME,
    QUEUE_DIR,
    PLUGIN_TIMEOUT,
    LOGLEVEL,
    LOG_TIMESTAMPS,
    ANTI_SPOOF,
    BLOCK_ME_RECIPIENT,
)
LISTS = (
    LinesFile("plugins", "Plugins in the order in which they are asked."),
    LinesFile("host_list", "Domains that we accept mail for."),
    LinesFile(
        "host_list_regex",
        "The same as regular expressions, each matching a whole domain in any case.",
        kind=PATTERN,
    ),
    LinesFile("relay_acl_allow", "Addresses and networks whose clients may relay.", kind=NETWORK),
    LinesFile(
        "xclient.hosts",
        "Addresses and networks of proxies and content filters that may say XCLIENT and XFORWARD; this machine always may.",
        kind=NETWORK,
    ),
    LinesFile("data.signatures", "Texts that no mail may contain."),
    LinesFile("block_me.senders", "Addresses whose mail to block_me.recipient is obeyed.", kind=ADDRESS),
    LinesFile(
        "aliases.yaml",
        "What becomes of mail for some recipients, for plugin aliases; aliases.json says the same in JSON.",
        raw=True,
    ),
    LinesFile(
        "mail_from.blocklist",
        "Senders that are refused; plugin block_me reads the file and adds to it.",
        kind=ADDRESS,
    ),
    LinesFile(
        "outbound.bounce_message", "Text of a bounce: header fields, an empty line, the body.", raw=True
    ),
    LinesFile("outbound.bounce_message_html", "The body of a bounce as HTML; empty: text only.", raw=True),
    LinesFile(
        "outbound.bounce_message_image",
        "A picture for that HTML: a MIME part with its own header fields; empty: none.",
        raw=True,
    ),
    LinesFile("outbound.delay_message", "The same as outbound.bounce_message for a delay warning.", raw=True),
    LinesFile(
        "outbound.delivered_message",
        "The same as outbound.bounce_message for a report of success, which a sender has to ask for.",
        raw=True,
    ),
    LinesFile(
        "outbound.bounce_rules",
        "Rules that put the replies of next hops into categories; the first that fits counts.",
        kind=BOUNCE_RULE,
    ),
)
