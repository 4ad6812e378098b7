"""What the polls of a cluster come to: told once per trouble, whatever forms the trouble takes."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.events import (
    AuthFailed,
    ClusterDegraded,
    ClusterEvent,
    ClusterRecovered,
    ClusterUnreachable,
    NotClusterAgent,
    event_id,
)
from bot.core.health import (
    STATE_OF,
    Health,
    PollFailure,
    Trouble,
    another_password,
    answered,
    failed,
    state_after,
)
from bot.core.views import ClusterState
from tests.factories import at

OK = "ok"
WORDS = {
    "gone": Trouble.UNREACHABLE,
    "down": Trouble.DEGRADED,
    "refused": Trouble.AUTH,
    "single": Trouble.NOT_CLUSTER,
}


def failure(trouble: Trouble) -> PollFailure:
    """Return a failed poll."""
    agent = "http://10.0.0.1:2886"
    return PollFailure(trouble=trouble, error="why", agent=agent, agents=(agent,), open_dags=("Scale out",))


def live(polls: Sequence[str], health: Health | None = None) -> tuple[Health, list[ClusterEvent]]:
    """Go through polls, one every ten seconds; return the health at the end and what was told."""
    health, told = health or Health(), []
    for number, word in enumerate(polls):
        now = at(10 * number)
        if word == OK:
            health, event = answered(health, "prod", now)
        else:
            health, event = failed(health, "prod", failure(WORDS[word]), now)
        told += [event] if event else []
    return health, told


STORIES = {
    "quiet": (["ok", "ok"], []),
    "two failures are nobody's business": (["gone", "gone", "ok"], []),
    "third failure, told once": (["gone"] * 9, ["cluster_unreachable"]),
    "outage and its end": (["gone"] * 4 + ["ok", "ok"], ["cluster_unreachable", "cluster_recovered"]),
    "lost database": (["down"] * 3 + ["ok"], ["cluster_degraded", "cluster_recovered"]),
    "a good poll begins the count anew": (["gone", "gone", "ok", "gone", "gone"], []),
    "the third failure names the trouble": (["gone", "down", "down"], ["cluster_degraded"]),
    "one trouble in two forms": (
        ["gone"] * 3 + ["down"] * 3 + ["ok"],
        ["cluster_unreachable", "cluster_recovered"],
    ),
    "refused at once": (["refused"], ["auth_failed"]),
    "refused inside an outage": (["gone"] * 3 + ["refused"], ["cluster_unreachable", "auth_failed"]),
    "refused once, then again": (["refused", "refused"], ["auth_failed"]),
    "no cluster agent at once": (["single", "single"], ["not_cluster_agent"]),
    "two outages": (
        ["gone"] * 3 + ["ok"] + ["down"] * 3 + ["ok"],
        ["cluster_unreachable", "cluster_recovered", "cluster_degraded", "cluster_recovered"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STORIES)
def test_story_tells_exactly_this(name: str) -> None:
    """Each trouble is told once, at its time, and its end only if its beginning was."""
    polls, kinds = STORIES[name]
    assert [event.kind for event in live(polls)[1]] == kinds


def test_outage_says_since_when_and_what_is_in_doubt() -> None:
    """The trouble dates from its first failure and names the agents and DAGs concerned."""
    (told,) = live(["ok", "gone", "gone", "gone"])[1]
    assert isinstance(told, ClusterUnreachable)
    assert (told.since, told.at) == (at(10), at(30))
    assert (told.error, told.agents, told.open_dags) == ("why", ("http://10.0.0.1:2886",), ("Scale out",))


def test_recovery_belongs_to_its_trouble() -> None:
    """The end carries the episode, the kind and the beginning of what it ends."""
    begun, over = live(["down"] * 3 + ["ok"])[1]
    assert isinstance(begun, ClusterDegraded)
    assert isinstance(over, ClusterRecovered)
    assert (over.episode, over.was, over.since) == (begun.episode, begun.kind, at(0))


@pytest.mark.parametrize(("word", "kind"), [("refused", AuthFailed), ("single", NotClusterAgent)])
def test_what_an_operator_must_mend_names_the_agent(
    word: str, kind: type[AuthFailed | NotClusterAgent]
) -> None:
    """A refusal says which agent refused, and why."""
    (told,) = live([word])[1]
    assert isinstance(told, kind)
    assert (told.agent, told.error) == ("http://10.0.0.1:2886", "why")


def test_refusal_of_a_new_password_is_news() -> None:
    """After an operator has set another password, its refusal is told as well, and so is its success."""
    health, _ = live(["refused"])
    again = another_password(health)
    _, told = live(["refused", "refused"], again)
    assert [(event.kind, event.episode) for event in told] == [("auth_failed", 2)]
    _, over = live(["ok"], again)
    assert [event.kind for event in over] == ["cluster_recovered"]


@pytest.mark.parametrize("trouble", Trouble)
def test_state_shown(trouble: Trouble) -> None:
    """What an operator must mend shows at once, the rest at the third failure."""
    at_once = trouble in {Trouble.AUTH, Trouble.NOT_CLUSTER}
    shown = [state_after(Health(failures=n), trouble) for n in (1, 2, 3, 9)]
    early = STATE_OF[trouble] if at_once else None
    assert shown == [early, early, STATE_OF[trouble], STATE_OF[trouble]]


def test_every_trouble_has_its_own_state() -> None:
    """No trouble looks like another, or like health."""
    states = {STATE_OF[trouble] for trouble in Trouble}
    assert len(states) == len(Trouble)
    assert not states & {ClusterState.OK, ClusterState.PAUSED, ClusterState.UNKNOWN}


@given(st.lists(st.sampled_from([OK, *WORDS]), max_size=40))
def test_whatever_happens_beginnings_and_ends_alternate(polls: list[str]) -> None:
    """No fact is told twice; an end follows a beginning, and nothing is left told after a good poll."""
    health, told = live([*polls, OK])
    keys = [event_id(1, 1, event) for event in told]
    assert len(set(keys)) == len(keys)
    open_episode: int | None = None
    for event in told:
        if isinstance(event, ClusterRecovered):
            assert event.episode == open_episode
            open_episode = None
        else:
            assert open_episode in {None, event.episode}
            assert open_episode is None or isinstance(event, AuthFailed)
            open_episode = event.episode
    assert open_episode is None
    assert health == Health(episode=health.episode, answers_since=health.answers_since)
