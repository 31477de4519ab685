"""Look at the header of a message: what must be there, what must not, and what it tells about the sender."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_tz
from time import time

from mta.plugin import (
    DENY,
    Answer,
    Connection,
    HeadersSettings,
    Plugin,
    Transaction,
    domain_key,
    organizational_domain,
)

# A field with its folded lines, in SMTP form.
FIELD = re.compile(rb"^([!-9;-~]++)[ \t]*+:(.*+(?:\n[ \t].*+)*+)", re.MULTILINE)
LOOKED_AT = 100_000  # octets of a header; what is longer has other troubles
# A From field as most are: `a@b`, `Name <a@b>` or `"Name" <a@b>`. Anything else is parsed, which takes ten times as long.
USUAL_FROM = re.compile(r'(?:[\w .-]*<|"[^"\\]*" *<)?([\w.+-]+@[\w.-]+)(>?)', re.ASCII)
DAY = 86400
LONGEST_DATE = 100  # characters that are looked at; the longest date of RFC 5322 with a comment has less
LONGEST_AGENT = 12  # characters of a program's name that are noted
AGENTS = (b"user-agent", b"x-mailer", b"x-mua", b"x-yahoo-newman-property", b"x-ms-has-attach")
LISTS = {
    b"mailing-list": re.compile("ezmlm|yahoogroups|googlegroups", re.IGNORECASE),
    b"sender": re.compile("^(owner-)"),
    b"x-mailman-version": re.compile(""),
    b"x-majordomo-version": re.compile(""),
    b"x-google-loop": re.compile(""),
}
LIST_SOFTWARE = {
    b"sender": "majordomo",
    b"x-mailman-version": "mailman",
    b"x-majordomo-version": "majordomo",
    b"x-google-loop": "googlegroups",
}
# What is drawn like a letter, and read as one.
LOOKALIKES = str.maketrans("0134578)|$", "oieastbgls")


class Letter:
    """A message that is looked at: its header is read once, and what was found is noted at once in the end."""

    __slots__ = ("connection", "fields", "found", "transaction")

    def __init__(self, connection: Connection, transaction: Transaction) -> None:
        self.connection = connection
        self.transaction = transaction
        self.fields: dict[bytes, list[bytes]] = {}
        """The values of each field, by its name in lower case."""
        for name, value in FIELD.findall(transaction.header.to_bytes()[:LOOKED_AT]):
            self.fields.setdefault(name.lower(), []).append(value)
        self.found: dict[str, list[str]] = {}

    def note(self, key: str, text: str) -> None:
        """key: pass, fail, skip or msg."""
        self.found.setdefault(key, []).append(text)

    def times(self, name: bytes) -> int:
        """How often there is a field of this name, which is in lower case."""
        return len(self.fields.get(name, ()))

    def value(self, name: bytes) -> str:
        """That of the first field of this name, "" when there is none."""
        values = self.fields.get(name)
        return values[0].strip().decode("utf-8", "replace") if values else ""

    def sender(self) -> tuple[str, str] | None:
        """The first address of From and its domain, in lower case."""
        usual = USUAL_FROM.fullmatch(text := self.value(b"from"))
        if usual is not None and ("<" in text) is bool(usual[2]):
            address = usual[1].lower()
        else:
            address = next((one.address for one in self.transaction.header.get_addresses("From")), "").lower()
        return (address, address.rpartition("@")[2]) if address else None

    def shown_sender(self) -> str:
        """From as a mail reader shows it, in lower case."""
        text = self.value(b"from")
        return (self.transaction.header.get_decoded("From") if "=?" in text else text).lower()


Check = Callable[[Letter], Answer]


class Headers(Plugin):
    """Each switch of [check] is one of ten independent parts; the first that refuses decides."""

    timeout = 0.0  # nothing here waits
    cfg = HeadersSettings()
    singular: tuple[tuple[str, bytes], ...] = ()
    required: tuple[tuple[str, bytes], ...] = ()
    checks: tuple[Check, ...] = ()
    targets: Mapping[str, str] = {}
    brands: re.Pattern[str] | None = None

    def register(self) -> None:
        self.load(self.config.settings(HeadersSettings, on_change=self.load))

    def load(self, cfg: HeadersSettings) -> None:
        self.cfg = cfg
        self.singular = tuple((name, name.lower().encode()) for name in cfg.singular)
        self.required = tuple((name, name.lower().encode()) for name in cfg.required)
        self.targets = {
            brand.lower(): domain_key(domain) for brand, domain in cfg.phish_targets.items() if domain
        }
        words = "|".join(map(re.escape, self.targets))
        self.brands = re.compile(rf"\b({words})\b") if words else None
        every: tuple[tuple[bool, Check], ...] = (
            (cfg.check_duplicate_singular, self.duplicate_singular),
            (cfg.check_missing_required, self.missing_required),
            (cfg.check_invalid_return_path, self.invalid_return_path),
            (cfg.check_invalid_date, self.invalid_date),
            (cfg.check_user_agent, self.user_agent),
            (cfg.check_direct_to_mx, self.direct_to_mx),
            (cfg.check_from_match, self.from_match),
            (cfg.check_delivered_to, self.delivered_to),
            (cfg.check_mailing_list, self.mailing_list),
            (cfg.check_from_phish and self.brands is not None, self.from_phish),
        )
        self.checks = tuple(check for is_on, check in every if is_on)

    def hook_data_post(self, connection: Connection) -> Answer:
        transaction = connection.transaction
        if transaction is None or not self.checks:
            return None
        letter = Letter(connection, transaction)
        answer = self.judge(letter)
        transaction.results.add(self, letter.found)
        return answer

    def judge(self, letter: Letter) -> Answer:
        for check in self.checks:
            answer = check(letter)
            if answer is not None:
                return answer
        return None

    # ---- what RFC 5322 and RFC 5321 ask for

    def duplicate_singular(self, letter: Letter) -> Answer:
        doubles = [name for name, key in self.singular if letter.times(key) > 1]
        for name in doubles:
            letter.note("fail", f"duplicate:{name}")
        if not doubles:
            letter.note("pass", "duplicate")
        elif self.cfg.reject_duplicate_singular:
            return DENY, f"Only one {doubles[0]} header allowed. See RFC 5322, Section 3.6"
        return None

    def missing_required(self, letter: Letter) -> Answer:
        missing = [name for name, key in self.required if key not in letter.fields]
        for name in missing:
            letter.note("fail", f"missing:{name}")
        if not missing:
            letter.note("pass", "missing")
        elif self.cfg.reject_missing_required:
            return DENY, f"Required header '{missing[0]}' missing"
        return None

    def invalid_return_path(self, letter: Letter) -> Answer:
        """RFC 5321 4.4: the server that delivers writes it, so a message that arrives has none, or one that means nothing."""
        if b"return-path" in letter.fields:
            if letter.connection.relaying:
                letter.note("fail", "Return-Path")
                refused = self.cfg.reject_invalid_return_path
                return (
                    (DENY, "outgoing mail must not have a Return-Path header (RFC 5321)") if refused else None
                )
            letter.transaction.remove_header("Return-Path")
        letter.note("pass", "Return-Path")
        return None

    def invalid_date(self, letter: Letter) -> Answer:
        if b"date" not in letter.fields:
            return None
        trouble = self.trouble_with(letter.value(b"date"))
        if trouble is None:
            letter.note("pass", "invalid_date")
            return None
        word, text = trouble
        letter.note("fail", f"invalid_date({word})")
        return (DENY, f"The Date header {text}") if self.cfg.reject_invalid_date else None

    def trouble_with(self, date: str) -> tuple[str, str] | None:
        """What is wrong with a date, in a word and in words for the client."""
        seconds = seconds_of(date)
        if seconds is None:
            return "unparseable", "could not be parsed"
        future, past = self.cfg.date_future_days, self.cfg.date_past_days
        ahead = seconds - time()
        if future and ahead > future * DAY:
            return "future", "is too far in the future"
        return ("past", "is too old") if past and -ahead > past * DAY else None

    def delivered_to(self, letter: Letter) -> Answer:
        """Who delivers writes it: a message that comes back to the same recipient would come back for ever."""
        if b"delivered-to" not in letter.fields:
            return None
        delivered = {
            value.strip("<> ").lower() for value in letter.transaction.header.get_all("Delivered-To")
        }
        if not any(rcpt.address.lower() in delivered for rcpt in letter.transaction.rcpt_to):
            return None
        letter.note("fail", "delivered_to")
        return (DENY, "Invalid Delivered-To header content") if self.cfg.reject_delivered_to else None

    # ---- what the header tells about who sent it

    def user_agent(self, letter: Letter) -> Answer:
        agents = [letter.value(name) for name in AGENTS if name in letter.fields]
        for agent in agents:
            letter.note("pass", f"UA({agent[:LONGEST_AGENT]})")
        if not agents:
            letter.note("fail", "UA")
        return None

    def direct_to_mx(self, letter: Letter) -> Answer:
        """One Received field is ours: who did not come through a server of its own has no other."""
        if letter.connection.notes.get("auth_user"):
            letter.note("skip", "direct-to-mx(auth)")
            return None
        count = letter.times(b"received")
        if count < 2:
            letter.note("fail", f"direct-to-mx(too few Received({count}))" if count else "direct-to-mx(none)")
        else:
            letter.note("pass", f"direct-to-mx({count})")
        return None

    def mailing_list(self, letter: Letter) -> Answer:
        names = [name for name in LISTS if name in letter.fields]
        lists = [(name, match) for name in names if (match := LISTS[name].search(letter.value(name)))]
        for name, match in lists:
            letter.note("pass", f"MLM({LIST_SOFTWARE.get(name) or match[0].lower()})")
        if not lists:
            letter.note("msg", "not MLM")
        return None

    def from_match(self, letter: Letter) -> Answer:
        envelope = letter.transaction.mail_from
        if envelope.is_null:
            letter.note("fail", "from_match(null)")
        elif (sender := letter.sender()) is None:
            letter.note("fail", f"from_match({'unparsable' if b'from' in letter.fields else 'missing'})")
        elif sender[0] == envelope.address.lower():
            letter.note("pass", "from_match")
        else:
            self.domain_match(letter, organizational_domain(envelope.host), organizational_domain(sender[1]))
        return None

    def domain_match(self, letter: Letter, ours: str, theirs: str) -> None:
        if ours == theirs:
            letter.note("pass", f"from_match({','.join(['domain', *other_proofs(letter.connection, ours)])})")
        else:
            letter.note("fail", f"from_match({ours} / {theirs})")

    def from_phish(self, letter: Letter) -> Answer:
        assert self.brands is not None  # or the check would be off
        shown = letter.shown_sender()
        brands = {*self.brands.findall(shown), *self.brands.findall(shown.translate(LOOKALIKES))}
        if not brands:
            letter.note(*(("pass", "from_phish") if shown else ("skip", "from_phish(missing)")))
            return None
        sender = letter.sender()
        if sender is None:
            letter.note("fail", "from_phish(unparseable)")
            return None
        return self.impostor(letter, brands, organizational_domain(sender[1]))

    def impostor(self, letter: Letter, brands: set[str], domain: str) -> Answer:
        """domain: the one that the sender claims to be in."""
        for brand in sorted(brands):
            target = self.targets[brand]
            if domain != target and not is_proven(target, letter.connection, letter.transaction):
                letter.note("fail", f"from_phish({brand})")
                letter.note("msg", f"'{brand}' found when domain is '{domain}' instead of '{target}'")
                refused = self.cfg.reject_from_phish
                return (DENY, f"Phishing message appears to impersonate {target}") if refused else None
        letter.note("pass", "from_phish")
        return None


def seconds_of(date: str) -> float | None:
    """A date of RFC 5322 3.3 or 4.3 in seconds since 1970; None when it is none."""
    try:
        parsed = parsedate_tz(date[:LONGEST_DATE])
        if parsed is None:
            return None
        year, month, day, hour, minute, second = parsed[:6]
        zone = timezone(timedelta(seconds=parsed[9] or 0))
        # The 60 of a leap second is none for datetime.
        return datetime(year, month, day, hour, minute, min(second, 59), tzinfo=zone).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def is_within(host: object, domain: str) -> bool:
    """True for the domain and for what is below it."""
    name = str(host or "").lower().rstrip(".")
    return name == domain or name.endswith(f".{domain}")


def other_proofs(connection: Connection, domain: str) -> list[str]:
    """What besides the envelope says that the client belongs to the domain."""
    proofs = [] if not any(is_within(host, domain) for host in confirmed_hosts(connection)) else ["fcrdns"]
    helo = connection.results.get("helo.checks")
    return [*proofs, "helo"] if helo and is_within(helo.get("helo_host"), domain) else proofs


def confirmed_hosts(connection: Connection) -> list[str]:
    """The client's names that its address and the DNS agree on, as plugin fcrdns has noted them."""
    found = (connection.results.get("fcrdns") or {}).get("fcrdns") or ()
    return [found] if isinstance(found, str) else [str(host) for host in found]


def is_proven(domain: str, connection: Connection, transaction: Transaction) -> bool:
    """True when SPF, DKIM or the client's name say that the message comes from the domain."""
    mentions = re.compile(rf"(?<![\w.-])(?:[\w-]+\.)*{re.escape(domain)}(?![\w-]|\.\w)", re.IGNORECASE)
    if any(transaction.results.has(plugin, "pass", mentions) for plugin in ("spf", "dkim")):
        return True
    return any(is_within(host, domain) for host in confirmed_hosts(connection))
