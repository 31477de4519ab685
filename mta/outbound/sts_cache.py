"""The MTA-STS policies that are known, in memory and as files that outlive a restart (RFC 8461 5.1, 10.2).

That memory is the protection: whoever can forge a domain's DNS can hide its policy from those who never saw it, and not
from us.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import time
from collections import OrderedDict
from pathlib import Path

from mta.outbound.sts_policy import MAX_AGE, StsInvalid, StsPolicy, parse_policy
from mta.record import record

MAX_KNOWN = 10_000
LEFT_OVER = 3600.0  # seconds after which nobody, in this process or another, is still writing a file
_DOMAIN = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*\Z")
_MAX_DOMAIN = 244  # `mta-sts.` in front of it is a domain name still


@record
class Known:
    """A policy with the id of its TXT record; fetched: when, in seconds since 1970."""

    id: str
    fetched: float
    policy: StsPolicy

    def valid(self, now: float) -> bool:
        """True while the domain's word binds us; one from the future was written by a clock that was wrong."""
        return self.fetched <= now + 3600 and now < self.fetched + self.policy.max_age


def is_domain(domain: str) -> bool:
    """True for a domain that can have a policy, in lower case; its name is safe as the name of a file."""
    return len(domain) <= _MAX_DOMAIN and _DOMAIN.match(domain) is not None


class StsCache:
    """One file for each domain in `directory`, which is made when the first one comes; at most MAX_KNOWN of them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._known: OrderedDict[str, Known | None] = OrderedDict()
        self._files = -1

    def get(self, domain: str, now: float | None = None) -> Known | None:
        """What is known of a domain and valid still."""
        if domain in self._known:
            self._known.move_to_end(domain)
            known = self._known[domain]
        else:
            known = self._known[domain] = self._read(domain)
            if len(self._known) > MAX_KNOWN:
                self._known.popitem(last=False)
        return known if known is not None and known.valid(time.time() if now is None else now) else None

    def put(self, domain: str, known: Known) -> None:
        """Keep it. Raises OSError when the disk does not want it; it is known all the same until the end."""
        self._known[domain] = known
        self._known.move_to_end(domain)
        self._write(domain, known)

    def _path(self, domain: str) -> Path:
        return self._directory / f"{domain}.json"

    def _read(self, domain: str) -> Known | None:
        try:
            record = json.loads(self._path(domain).read_bytes())
            if record["domain"] != domain:
                return None
            policy = parse_policy("\n".join(record["policy"]))
            return Known(str(record["id"]), float(record["fetched"]), policy)
        except (OSError, ValueError, KeyError, TypeError, RecursionError, StsInvalid):
            return None  # none there, or nothing that we wrote

    def _write(self, domain: str, known: Known) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path(domain)
        if not path.exists():
            self._make_room()
        record = {
            "domain": domain,
            "id": known.id,
            "fetched": known.fetched,
            "policy": list(known.policy.lines()),
        }
        fd, temporary = tempfile.mkstemp(prefix=".new-", dir=self._directory)  # 0600
        try:
            with os.fdopen(fd, "w", encoding="utf-8") as file:
                json.dump(record, file)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise

    def _make_room(self) -> None:
        """Keep the number of files below MAX_KNOWN: those that nothing was heard of for longest go, a tenth at a time."""
        if self._files < 0 or self._files >= MAX_KNOWN:
            files = sorted(self._directory.glob("*.json"), key=_age)
            too_many = len(files) - MAX_KNOWN + MAX_KNOWN // 10 if len(files) >= MAX_KNOWN else 0
            expired = time.time() - MAX_AGE
            for file in [*files[:too_many], *(file for file in files[too_many:] if _age(file) < expired)]:
                file.unlink(missing_ok=True)
                files.remove(file)
            for leftover in self._directory.glob(".new-*"):
                if _age(leftover) < time.time() - LEFT_OVER:
                    leftover.unlink(missing_ok=True)
            self._files = len(files)
        self._files += 1


def _age(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0
