"""Plays tests/dialogues/*.smtp: in memory, in memory byte by byte, over a socket, and over TLS."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.dialogue import Dialogue, read_all
from tests.support.stage import PLACES, perform

DIALOGUES = read_all()


@pytest.mark.parametrize("dialogue", DIALOGUES, ids=str)
def test_dialogue(dialogue: Dialogue, tmp_path: Path) -> None:
    for place in PLACES:
        if not dialogue.only or place in dialogue.only:
            try:
                perform(dialogue, place, tmp_path)
            except AssertionError as error:
                error.add_note(f"played in the place {place!r}")
                raise
