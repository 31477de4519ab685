"""What an operator may ask and order while the engine runs. Entries are named by their queue files."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Literal

from mta.outbound import delivery_events
from mta.outbound.gate import NOT_YET, Gate, cause_of
from mta.outbound.hmail import HMail
from mta.outbound.outcome import FAILED, Outcome
from mta.outbound.qfile import HELD_MS
from mta.outbound.settle import Later
from mta.outbound.spool import EntryGone, SpoolError
from mta.outbound.suspensions import Suspension
from mta.outbound.todo import NEXT_HOP
from mta.smtp.reply import Reply

if TYPE_CHECKING:
    from mta.logger import Logger
    from mta.outbound.attempt import Attempts
    from mta.outbound.engine import Engine
    from mta.outbound.job import Job
    from mta.outbound.settle import Settler
    from mta.outbound.spool import Spool
    from mta.outbound.todo import Todo
    from mta.outbound.waiting import Waiting

MAX_SITES_SHOWN = 1000

Result = Literal["done", "busy", "gone", "held"] | str
"""What became of an order for one entry: carried out; under way just now; not in the queue; held; or why it failed."""


class Desk:
    """Carries out orders one entry after the other; each is durable when it is reported as done."""

    def __init__(
        self,
        spool: Spool,
        engine: Engine,
        waiting: Waiting,
        attempts: Attempts,
        settler: Settler,
        logger: Logger,
        run: Callable[..., object],
    ) -> None:
        """run: calls a function that blocks, with its arguments, in a thread."""
        self._spool = spool
        self._engine = engine
        self._waits = waiting
        self._attempts = attempts
        self._settler = settler
        self._logger = logger
        self._run = run
        self._suspending = threading.Lock()  # two at once would each write down what it knows alone

    # -- asking

    def explain(self, name: str) -> list[Gate] | None:
        """Everything that keeps an entry from being delivered now; None when it is not in the queue of this process."""
        since = self._engine.under_way(name)
        if since is not None:
            return [Gate("delivering", f"an attempt is under way for {time.monotonic() - since:.0f} seconds")]
        gates = self._waits.gates(name, int(time.time() * 1000), time.monotonic())
        if gates is None:
            return None
        cause = cause_of(self._engine.reason(name))
        if cause is not None:
            gates.append(cause)
        if self._engine.disabled:
            gates.append(Gate("disabled", "outbound.ini has disabled=true"))
        if not gates:
            gates.append(Gate("concurrency", f"{self._engine.in_progress} deliveries are under way in all"))
        return gates

    def reason(self, name: str) -> str | None:
        """Why the last attempt at an entry put it off; None when this process has made none."""
        return self._engine.reason(name)

    def stats(self) -> dict[str, object]:
        """How much waits for what, and the sites that have something waiting or under way, the fullest first."""
        now = time.monotonic()
        sites = [site.stats(now) for site in self._waits.sites]
        sites.sort(key=lambda site: (site["waiting"], site["busy"]), reverse=True)
        return {
            "in_progress": self._engine.in_progress,
            **self._waits.counts(),
            "disabled": self._engine.disabled,
            "sites": sites[:MAX_SITES_SHOWN],
        }

    def site_of(self, domain: str) -> str | None:
        """Where the last mail for a domain was counted; None when nobody knows."""
        site = self._attempts.hints.get(domain)
        return site.name if site is not None else None

    def suspensions(self) -> list[Suspension]:
        """What is suspended."""
        return self._waits.sites.suspensions.all()

    # -- ordering

    def retry(self, names: Iterable[str]) -> dict[str, Result]:
        """Attempt entries now, whatever their schedule says; sites that rest are asked again."""
        for site in self._waits.sites:
            site.wake()
        return self._each(names, self._retry)

    def hold(self, names: Iterable[str]) -> dict[str, Result]:
        """Keep entries in the queue until they are released; restarts, and Haraka, respect that."""
        return self._each(names, self._hold)

    def release(self, names: Iterable[str]) -> dict[str, Result]:
        """Let go of entries that are held: they are attempted now."""
        return self._each(names, self._release, held=True)

    def reroute(self, names: Iterable[str], next_hop: str) -> dict[str, Result]:
        """Send entries to another next hop (an URL, see NextHop.parse), "" for the way they would take by themselves; now."""
        return self._each(names, lambda job: self._reroute(job, next_hop))

    def bounce(self, names: Iterable[str], reason: str) -> dict[str, Result]:
        """Give entries up: their senders are told the reason."""
        outcome = Outcome(FAILED, Reply(550, reason or "given up by the operator", "5.3.0"))
        return self._each(names, lambda job: self._bounce(job, outcome), held=True)

    def delete(self, names: Iterable[str]) -> dict[str, Result]:
        """Remove entries; nobody is told but the log."""
        return self._each(names, self._delete, held=True)

    def suspend(self, suspension: Suspension) -> None:
        """Let no delivery to a site or domain begin. Raises SuspensionsError."""
        with self._suspending:
            self._run(self._waits.sites.suspensions.suspend, suspension)
        self._logger.notice(f"{suspension.scope} suspended", {"reason": suspension.reason}, origin="outbound")
        self._changed()

    def resume(self, scope: str) -> bool:
        """End a suspension; False when there is none. Raises SuspensionsError."""
        with self._suspending:
            ended = self._run(self._waits.sites.suspensions.resume, scope)
        if not ended:
            return False
        self._logger.notice(f"{scope} resumed", origin="outbound")
        self._changed()
        return True

    def _changed(self) -> None:
        self._attempts.hints.clear()
        self._engine.reconsider()

    # -- one entry

    def _each(
        self, names: Iterable[str], order: Callable[[Job], Later | None], *, held: bool = False
    ) -> dict[str, Result]:
        """held: the order is for entries that are held as well."""
        results = {name: self._one(name, order, held) for name in names}
        if "done" not in results.values():
            return results
        try:
            self._spool.sync()
        except SpoolError as error:
            # Carried out, but a power cut may undo it: that is not what `done` promises.
            return {name: str(error) if result == "done" else result for name, result in results.items()}
        return results

    def _one(self, name: str, order: Callable[[Job], Later | None], held: bool) -> Result:
        if self._engine.under_way(name) is not None:
            return "busy"
        job = self._engine.claim(name)
        if job is None:
            return NOT_YET if self._engine.loading else "gone"
        later: Later | None = Later(job.name, job.due_ms or job.name.next_attempt, job.todo)
        try:
            if job.name.is_held and not held:
                return "held"
            later = order(job)
            return "done"
        except EntryGone:
            later = None
            return "gone"
        except SpoolError as error:
            return str(error)
        finally:
            self._engine.unclaim(job, later)

    def _retry(self, job: Job) -> Later:
        return Later(job.name, 0, job.todo)

    def _hold(self, job: Job) -> Later:
        self._note("hold", "held by an operator", job)
        return Later(self._spool.reschedule(job.name, job.name.attempts, HELD_MS), HELD_MS, job.todo)

    def _release(self, job: Job) -> Later:
        now_ms = int(time.time() * 1000)
        if not job.name.is_held:
            return Later(job.name, job.due_ms or job.name.next_attempt, job.todo)
        self._note("release", "released by an operator", job)
        return Later(self._spool.reschedule(job.name, job.name.attempts, now_ms), now_ms, job.todo)

    def _reroute(self, job: Job, next_hop: str) -> Later:
        hmail = self._mail(job)
        if next_hop:
            hmail.todo.extra[NEXT_HOP] = next_hop
        else:
            hmail.todo.extra.pop(NEXT_HOP, None)
        self._spool.rewrite(job.name, hmail.todo)
        hmail.lognotice(f"rerouted by an operator to {next_hop or 'its own way'}")
        self._tell("reroute", job, hmail.todo, next_hop or None)
        return Later(job.name, 0)

    def _bounce(self, job: Job, outcome: Outcome) -> Later | None:
        hmail = self._mail(job)
        return self._settler.settle(hmail, dict.fromkeys(hmail.todo.rcpt_to, outcome))

    def _delete(self, job: Job) -> None:
        self._note("delete", "deleted by an operator", job)
        self._spool.forget(job.name)

    def _mail(self, job: Job) -> HMail:
        todo, message = self._spool.load(job.name)
        stale = job.todo is not None
        return HMail(job.name, job.todo or todo, message, self._logger, stale=stale)

    def _note(self, order: str, what: str, job: Job) -> None:
        """The log must tell where a mail went, so the envelope is read for it. Raises SpoolError."""
        todo = job.todo or self._spool.load(job.name)[0]
        fields = {
            "file": job.name.text,
            "from": todo.mail_from.address,
            "rcpts": ", ".join(map(str, todo.rcpt_to)),
        }
        self._logger.notice(what, fields, origin="outbound", uuid=todo.uuid)
        self._tell(order, job, todo)

    def _tell(self, order: str, job: Job, todo: Todo, next_hop: str | None = None) -> None:
        events = self._settler.events
        if events.on:
            delivery_events.ordered(events, order, job.name, todo, next_hop)
