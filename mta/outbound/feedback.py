"""What the outcomes of one attempt say about the site: was anybody there?"""

from __future__ import annotations

from mta.outbound.outcome import DEFERRED, Outcomes

GOODBYE = 421  # RFC 5321 3.8: the site has more than it can take
# RFC 3463 3.5: no answer, bad connection. Ours, for a connection that could not be made or broke.
LOST = ("4.4.1", "4.4.2")


def nobody_there(outcomes: Outcomes) -> str | None:
    """Why the site as a whole took nothing, in one line; None when it answered, whatever it answered.

    Only what is about the connection counts: a recipient who is deferred, or refused, was heard by somebody.
    """
    for outcome in outcomes.values():
        reply = outcome.reply
        if outcome.fate is not DEFERRED or (reply.code != GOODBYE and reply.enhanced not in LOST):
            return None
    return str(next(iter(outcomes.values())).reply)
