"""What plugins want done with the body of a message, done between the end of DATA and the queue."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

from mta.message.mime import TooManyParts
from mta.smtp.reply import Reply

if TYPE_CHECKING:
    from mta.inbound.session import Session
    from mta.transaction import Transaction

TOO_MANY_PARTS = Reply(554, "Transaction failed due to too many MIME parts", "5.6.0", close=True)
NOT_WORKED = Reply(451, "Message could not be processed, try again later", "4.3.0")


def look_into(session: Session, transaction: Transaction) -> Reply | None:
    """Run filters, banner and attachment hooks, if the transaction wants that; None when all went well.

    A function of a plugin that raises defers the mail, like a hook: it does not wave it through.
    """
    try:
        transaction.look_into_body()
    except TooManyParts:
        return TOO_MANY_PARTS
    except Exception:
        session.connection.logcrit(traceback.format_exc())
        return NOT_WORKED
    return None
