from __future__ import annotations

import pytest

from mta.plugin.verdict import CONT, CONTINUE, DENY, OK, Code, Verdict, as_verdict


def test_the_numbers_are_harakas():
    assert [code.value for code in Code] == list(range(900, 910))
    assert Code.CONT == 900 and Code.DENY == 902 and Code.OK == 906 and Code.DENYSOFTDISCONNECT == 909


@pytest.mark.parametrize(
    ("answer", "code", "message"),
    [
        (None, CONT, None),
        (CONT, CONT, None),
        ((CONT, "hello"), CONT, "hello"),
        (DENY, DENY, None),
        ((DENY, "no"), DENY, "no"),
        ((OK, ["two", "lines"]), OK, ["two", "lines"]),
    ],
)
def test_what_a_hook_may_return(answer, code, message):
    verdict = as_verdict(answer, "greylist")
    assert (verdict.code, verdict.message) == (code, message)


def test_the_verdict_names_who_decided():
    assert as_verdict(DENY, "greylist").plugin == "greylist"


def test_nothing_said_is_one_shared_verdict():
    assert as_verdict(None, "a") is CONTINUE
    assert as_verdict(CONT, "b") is CONTINUE


@pytest.mark.parametrize(
    "answer", [True, False, 902, "DENY", (902, "no"), (DENY,), (DENY, "a", "b"), [DENY, "no"]]
)
def test_anything_else_is_refused(answer):
    with pytest.raises(TypeError, match="must return None, a code or"):
        as_verdict(answer, "p")


def test_a_verdict_can_be_read_in_a_failed_test():
    assert repr(Verdict(DENY, "no", "p")) == "Verdict(DENY, 'no', 'p')"
