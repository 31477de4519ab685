"""What every AUTH backend has in common: derive a class from AuthPlugin and say how a password is checked."""

from __future__ import annotations

import hmac
import secrets
import socket
import time
import traceback
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Final

from mta.connection import ClientGone
from mta.plugin.deadline import TookTooLong
from mta.plugin.domains import organizational_domain
from mta.plugin.hooks import Params, Plugin
from mta.plugin.scram import (
    END_POINT,
    SCRAM,
    SCRAM_PLUS,
    Scram,
    ScramCredentials,
    WrongProof,
    invented_salt,
    make_credentials,
    scram_available,
)
from mta.plugin.secret import Secret
from mta.plugin.verdict import DENY, OK, Answer
from mta.smtp import order
from mta.smtp.reply import ProtocolError, Reply
from mta.smtp.sasl_server import (
    UNKNOWN_MECHANISM,
    Claim,
    CramClaim,
    CramMd5,
    Login,
    Mechanism,
    PasswordClaim,
    Plain,
    decode_response,
    encode_challenge,
    parse_auth,
)

if TYPE_CHECKING:
    from mta.connection import Connection
    from mta.smtp.address import Address

# RFC 4954 4 and 6
SUCCESS: Final = Reply(235, "Authentication successful", "2.7.0")
FAILED: Final = Reply(535, "Authentication failed", "5.7.8")
UNAVAILABLE: Final = Reply(454, "Temporary authentication failure", "4.7.0")
ALREADY: Final = Reply(503, "Already authenticated", "5.5.1")
NEEDS_EHLO: Final = Reply(503, "Use EHLO before AUTH", "5.5.1")
NOT_OFFERED: Final = Reply(503, "AUTH is not available", "5.5.1")
NEEDS_TLS: Final = Reply(538, "Encryption required for requested authentication mechanism", "5.7.11")

OFFERED: Final = "allowed_auth_methods"  # the note with what EHLO offered, of all plugins together
MARGIN: Final = 3.0  # seconds between the last that a client may answer and the plugin's timeout


class AuthPlugin(Plugin):
    """Override check_password, or password_of, or scram_credentials; each may block, and raise when it cannot know.

    What is overridden decides which mechanisms are offered; override `methods` and `may_authenticate` to change that.
    A user that does not exist should take as long as one that does: password_of and scram_credentials see to it.
    """

    timeout = 120.0
    """Seconds for the whole dialogue."""
    first_delay: float = 1.0
    """Seconds before a wrong password is answered; they double with each further one in the session."""
    longest_delay: float = 32.0

    # ---- what a backend overrides

    def check_password(self, connection: Connection, user: str, password: str) -> bool:
        """True when this is the user's password (neither is empty). Slow computations belong into self.offload."""
        known = self.password_of(connection, user)
        same = hmac.compare_digest((known or secrets.token_hex()).encode(), password.encode())
        return known is not None and same

    def password_of(self, connection: Connection, user: str) -> str | None:
        """The password itself, which CRAM-MD5 needs; None when there is no such user."""
        return None

    def scram_credentials(self, connection: Connection, user: str) -> ScramCredentials | None:
        """The salted keys that SCRAM needs, made from the password by default; None when there is no such user."""
        password = self.password_of(connection, user)
        made = self.offload(
            make_credentials, password or secrets.token_hex(), invented_salt(self.secret, user)
        )
        return made if password else None

    def methods(self, connection: Connection) -> Sequence[str]:
        """The mechanisms that the backend can do, in the order in which they are offered."""
        knows_password = _overrides(self, "password_of")
        found = ["PLAIN", "LOGIN"] if knows_password or _overrides(self, "check_password") else []
        found += ["CRAM-MD5"] if knows_password else []
        scram = (knows_password or _overrides(self, "scram_credentials")) and scram_available()
        return [*found, SCRAM] if scram else found

    def may_authenticate(self, connection: Connection) -> bool:
        """True for clients that may send a password: those that use TLS."""
        return connection.tls.enabled

    def constrain_sender(self, connection: Connection, mail_from: Address, params: Params) -> Answer:
        """For hook mail: who logged in as user@domain may send as that organisational domain only."""
        found = connection.results.get("auth")
        domain = str(found["user"]).rpartition("@")[2] if found and "@" in found.get("user", "") else ""
        if not domain or not mail_from.host:
            return None
        theirs, envelope = organizational_domain(domain), organizational_domain(mail_from.host)
        if theirs == envelope:
            return None
        return DENY, f"Envelope domain '{envelope}' doesn't match AUTH domain '{theirs}'"

    # ---- the dialogue

    def hook_capabilities(self, connection: Connection) -> Answer:
        """Offer AUTH, on one line with other plugins of this kind."""
        lines = connection.capabilities
        others = next((line for line in lines if line.startswith("AUTH ")), "AUTH").split()[1:]
        offered = list(dict.fromkeys([*others, *self.offered(connection)]))
        connection.notes[OFFERED] = offered
        if offered:
            lines[:] = [line for line in lines if not line.startswith("AUTH ")]
            lines.append("AUTH " + " ".join(offered))
        return None

    def hook_unrecognized_command(self, connection: Connection, verb: str, argument: str) -> Answer:
        """AUTH (RFC 4954), from the command to 235 or what it failed with."""
        if verb != "AUTH":
            return None
        try:
            reply = self._authenticate(connection, argument)
        except ProtocolError as error:
            connection.errors += 1
            reply = error.reply
        return None if reply is None else (OK, reply)

    def offered(self, connection: Connection) -> list[str]:
        """The mechanisms that this client may use now."""
        if not self.may_authenticate(connection):
            return []
        names = list(self.methods(connection))
        # To read our own certificate takes a twentieth of a TLS session: only where something depends on it.
        if SCRAM_PLUS in names and _binding(connection, END_POINT) is None:
            names = [name for name in names if name != SCRAM_PLUS]
        return names

    @cached_property
    def secret(self) -> bytes:
        """Known to this process alone."""
        return secrets.token_bytes(32)

    def _authenticate(self, connection: Connection, argument: str) -> Reply | None:
        deadline = time.monotonic() + self.timeout if self.timeout else None
        refusal = _out_of_order(connection)
        if refusal is not None:
            raise ProtocolError(refusal)
        name, initial = parse_auth(argument)
        offered = self.offered(connection)
        if name not in offered:
            return self._not_here(connection, name, offered)
        mechanism = self._mechanism(connection, name, offered)
        try:
            claim = _ask(connection, mechanism, initial, deadline)
            passed = self._check(connection, claim)
            if passed:
                self._keep_password(connection, claim)
        except WrongProof as error:
            claim, passed = Claim(error.user), False
        except (ProtocolError, ClientGone):
            raise
        except TookTooLong as late:
            late.excused = True  # the client is to read 454, not 500
            return self._unavailable(connection, name, late)
        except Exception as error:
            return self._unavailable(connection, name, error)
        if passed:
            return self._welcome(connection, claim.user, name)
        return self._turn_away(connection, claim.user, name, deadline)

    def _not_here(self, connection: Connection, name: str, offered: Sequence[str]) -> Reply | None:
        """A mechanism that this plugin does not offer: perhaps another one does."""
        if name in connection.notes.get(OFFERED, ()):
            return None
        if offered or connection.notes.get(OFFERED):
            raise ProtocolError(UNKNOWN_MECHANISM)
        in_clear = self.methods(connection) and not connection.tls.enabled
        raise ProtocolError(NEEDS_TLS if in_clear else NOT_OFFERED)

    def _mechanism(self, connection: Connection, name: str, offered: Sequence[str]) -> Mechanism:
        if name == "PLAIN":
            return Plain()
        if name == "LOGIN":
            return Login()
        if name == "CRAM-MD5":
            return CramMd5(connection.local.host or socket.gethostname())
        if name not in (SCRAM, SCRAM_PLUS):
            raise ProtocolError(UNKNOWN_MECHANISM)
        binding = (lambda kind: _binding(connection, kind)) if SCRAM_PLUS in offered else None
        return Scram(name, lambda user: self._credentials(connection, user), binding)

    def _credentials(self, connection: Connection, user: str) -> ScramCredentials:
        found = self.scram_credentials(connection, user)
        if found is not None:
            return found
        # Nobody has this name: go on with keys that no password fits.
        key = secrets.token_bytes(32)
        return ScramCredentials(invented_salt(self.secret, user), 4096, key, key)

    def _check(self, connection: Connection, claim: Claim) -> bool:
        if isinstance(claim, CramClaim):
            known = self.password_of(connection, claim.user)
            return claim.proves(known or secrets.token_hex()) and bool(known)
        if isinstance(claim, PasswordClaim):
            if not (claim.user and claim.password):
                return False
            return self.check_password(connection, claim.user, claim.password) is True
        return claim.proven

    # ---- what comes of it

    def _keep_password(self, connection: Connection, claim: Claim) -> None:
        """Note it for a plugin that asked for it, see Server.keep_passwords; SCRAM may not tell us what it is."""
        server = getattr(self, "server", None)  # a plugin without one is being tested by itself
        if server is None or not server.keep_passwords:
            return
        if isinstance(claim, PasswordClaim):
            password: str | None = claim.password
        else:
            password = self.password_of(connection, claim.user)
        if password:
            connection.notes["auth_passwd"] = Secret(password)

    def _welcome(self, connection: Connection, user: str, name: str) -> Reply:
        connection.relaying = True
        connection.notes["auth_user"] = user
        connection.notes["auth_method"] = name
        connection.results.add("relay", {"pass": self.name})
        connection.results.add("auth", {"pass": self.name, "method": name, "user": user})
        _note_result(connection, f"auth=pass ({name.lower()})")
        self.lognotice("authenticated", {"user": user, "method": name}, connection)
        return SUCCESS

    def _turn_away(self, connection: Connection, user: str, name: str, deadline: float | None) -> Reply:
        connection.errors += 1
        fails = connection.notes["auth_fails"] = connection.notes.get("auth_fails", 0) + 1
        connection.notes["auth_failed_user"] = user
        connection.results.add("auth", {"fail": f"{self.name}/{name}"})
        _note_result(connection, f"auth=fail ({name.lower()}) smtp.auth={_quoted(user)}")
        delay = min(self.first_delay * 2.0 ** min(fails - 1, 30), self.longest_delay)
        if deadline is not None:
            delay = max(0.0, min(delay, deadline - time.monotonic() - 1.0))
        self.lognotice(
            "authentication failed",
            {"user": user, "method": name, "ip": connection.remote.ip, "delay": f"{delay:g}"},
            connection,
        )
        time.sleep(delay)
        return FAILED

    def _unavailable(self, connection: Connection, name: str, error: BaseException) -> Reply:
        self.logcrit(
            f"cannot authenticate: {type(error).__name__}: {error}",
            {"method": name, "traceback": "".join(traceback.format_exception(error))},
            connection,
        )
        return UNAVAILABLE


def _ask(
    connection: Connection, mechanism: Mechanism, initial: bytes | None, deadline: float | None
) -> Claim:
    """Send challenges and read responses until the mechanism has what it wants. Raises ProtocolError, ClientGone."""
    step = mechanism.step(None) if initial is None else mechanism.step(initial)
    while not isinstance(step, Claim):
        left = None if deadline is None else max(1.0, deadline - time.monotonic() - MARGIN)
        step = mechanism.step(decode_response(connection.ask(334, encode_challenge(step), left)))
    return step


def _out_of_order(connection: Connection) -> Reply | None:
    if connection.notes.get("auth_user"):
        return ALREADY
    if not (connection.hello.verb and connection.esmtp):
        return NEEDS_EHLO
    return order.check("AUTH", order.Phase.MAIL if connection.transaction else order.Phase.GREETED)


def _binding(connection: Connection, kind: str) -> bytes | None:
    """What identifies the TLS session on both its ends (RFC 5929)."""
    session = connection.tls.session
    return session.channel_binding(kind) if session is not None else None


def _overrides(plugin: AuthPlugin, method: str) -> bool:
    return getattr(type(plugin), method) is not getattr(AuthPlugin, method)


def _note_result(connection: Connection, result: str) -> None:
    """For the Authentication-Results field (RFC 8601)."""
    connection.notes.setdefault("authentication_results", []).append(result)


def _quoted(user: str) -> str:
    """A user name as a value of RFC 8601: what a stranger typed does not become a field of its own."""
    shown = "".join(c for c in user[:128] if c.isprintable() and c not in '"\\')
    return shown if shown and all(c.isalnum() or c in "@.+-_" for c in shown) else f'"{shown}"'
