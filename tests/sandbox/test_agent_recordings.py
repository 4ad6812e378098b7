"""Every recording of real agents, played on simulated ones: the same questions, the same answers."""

import pytest

from tests.sandbox.play import play
from tests.sandbox.recorded import SITUATIONS
from tests.sandbox.situations import NOT_PLAYED, SCRIPTS


@pytest.mark.parametrize("situation", sorted(SCRIPTS))
def test_the_simulated_agents_answer_as_recorded(situation: str) -> None:
    """No difference but times, keys, and numbers of the run."""
    assert not play(situation, SCRIPTS[situation])


def test_no_recording_is_left_out() -> None:
    """Each has its script, or a reason not to be played."""
    assert set(SITUATIONS) == {*SCRIPTS, *NOT_PLAYED}
    assert not set(SCRIPTS) & set(NOT_PLAYED)
