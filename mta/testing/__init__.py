"""What plugin authors test with: a real server in memory, and objects to call a plugin's methods with. See docs/Testing.md.

Works in any test runner; with pytest the fixtures of mta.pytest_plugin are there without further ado.
"""

from mta.plugin.verdict import Verdict
from mta.smtp.reply import Reply
from mta.testing.client import Client, NoReply
from mta.testing.clock import Clock
from mta.testing.dns import NXDOMAIN, REFUSED, SERVFAIL, TIMEOUT, FakeDns, Question
from mta.testing.loading import make_plugin
from mta.testing.mailroom import QueuedMail
from mta.testing.objects import make_address, make_connection, make_hmail, make_transaction
from mta.testing.server import MailServer, StartServer
from mta.testing.tracing import Asked
from mta.testing.web import Page

__all__ = [
    "NXDOMAIN",
    "REFUSED",
    "SERVFAIL",
    "TIMEOUT",
    "Asked",
    "Client",
    "Clock",
    "FakeDns",
    "MailServer",
    "NoReply",
    "Page",
    "Question",
    "QueuedMail",
    "Reply",
    "StartServer",
    "Verdict",
    "make_address",
    "make_connection",
    "make_hmail",
    "make_plugin",
    "make_transaction",
]
