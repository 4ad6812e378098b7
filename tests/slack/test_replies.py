import msgspec
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.views import ClusterState, ClusterView
from bot.sandbox.validate import validate_message
from bot.slack import replies
from bot.slack.blocks import Message
from bot.slack.manifest import SCOPES, manifest
from tests.slack.samples import CLUSTERS, ROOTS, at, snapshot, view

NOW = at(65)


def visible(message: Message) -> str:
    """Return what a person reads in the blocks of an answer."""
    return "\n".join(
        str(text["text"])
        for block in message.blocks
        for text in ([block["text"]] if "text" in block else block.get("elements", []))
    )


def busy(name: str, count: int) -> ClusterView:
    """Return a cluster with many DAGs."""
    dags = tuple(
        view(msgspec.structs.replace(snapshot(4), id=str(1000 + n), name=f"DAG no {n}")) for n in range(count)
    )
    return ClusterView(name=name, state=ClusterState.OK, checked_at=at(60), dags=dags)


def status(clusters: tuple[ClusterView, ...], asked: str | None = None) -> Message:
    """Return the answer to `status`."""
    return replies.status(clusters, now=NOW, command="/obdag", asked=asked)


def test_status_tells_health_age_and_each_dag() -> None:
    """One line per DAG with state, stage, bar, elapsed and time left; per cluster health and age."""
    text = visible(status(CLUSTERS))
    assert "*4 unfinished DAGs in 4 clusters*" in text
    assert "🟢 *ob-prod* ok · as of 5 s ago" in text
    assert "▶️ *Cluster scale out* 1123 · running · 4/9 ▓▓▓░░░░░░░ · Start observer · for 1 m 00 s" in text
    assert "about 3 m 20 s left" in text
    assert "🔌 *ob-test* unreachable · as of 1 h 07 m ago (" in text
    assert "connection refused" in text
    assert "state unknown since" in text
    assert "ob-dev* paused · never read" in text
    assert "1 other cluster: `/obdag clusters`" in text


def test_status_shows_at_least_ten_dags_and_counts_the_rest() -> None:
    """A long list is a first page with the number of what is missing, and how to see it."""
    answer = status((busy("ob-prod", 100), busy("ob-test", 3)))
    text = visible(answer)
    assert sum(f"*DAG no {n}* " in text for n in range(100)) >= 10
    assert "… and 83 more DAGs: `/obdag status CLUSTER`" in text
    one = visible(status((busy("ob-prod", 100),), "ob-prod"))
    assert "… and 80 more DAGs: `obdag status ob-prod` at a terminal" in one


def test_status_of_thousands_of_clusters_is_one_message() -> None:
    """Those with something to tell come first."""
    quiet = tuple(ClusterView(name=f"c{n}", state=ClusterState.OK, checked_at=at(60)) for n in range(5_000))
    text = visible(status((*quiet, busy("ob-prod", 1))))
    assert "1 unfinished DAG in 5,001 clusters" in text
    assert "ob-prod" in text
    assert "5,000 other clusters" in text


def test_nothing_unfinished_is_said() -> None:
    """Silence would be no answer, and an empty installation is told what to do."""
    assert "Nothing is unfinished in ob-lab" in status(CLUSTERS[3:], "ob-lab").text
    assert "obdag clusters add" in status(()).text


def test_show_has_every_stage_host_and_try() -> None:
    """One DAG in full."""
    text = visible(replies.show(ROOTS["attempt-2"], now=NOW))
    assert all(f" {n} " in text for n in range(1, 10))
    assert "10.0.0.8:2886 · through" in text
    assert "2nd try" in text
    assert "run 2" in text


def test_clusters_in_trouble_come_first() -> None:
    """The healthy ones can wait."""
    text = visible(replies.clusters(CLUSTERS, now=NOW, command="/obdag"))
    assert text.index("ob-test") < text.index("ob-prod")
    assert "4 clusters, 2 in trouble or paused" in text


def test_help_lists_what_works_and_nothing_else() -> None:
    """A word that is not there yet is not advertised."""
    text = visible(replies.usage("/ops"))
    assert "`/ops show CLUSTER DAG_ID`" in text
    assert not any(word in text for word in ("mute", "subscribe", "history", "logs"))


texts = st.text(max_size=4_000) | st.text(alphabet="&<>`*|\n\x1b", max_size=4_000)


@settings(max_examples=40, deadline=None)
@given(name=texts, error=texts, dags=st.integers(0, 30), clusters=st.integers(0, 60))
def test_any_answer_is_taken_by_slack(name: str, error: str, dags: int, clusters: int) -> None:
    """Whatever things are called, each answer keeps the limits."""
    base = snapshot(4)
    assert base.stages
    stages = tuple(msgspec.structs.replace(s, name=name) for s in base.stages) * 6
    dag = view(msgspec.structs.replace(base, name=name, stages=stages, max_stage=54), cluster=name)
    one = ClusterView(
        name=name, state=ClusterState.UNREACHABLE, checked_at=at(-1e6), error=error, dags=(dag,) * dags
    )
    for message in (
        status((one,) * clusters),
        replies.show(dag, now=NOW),
        replies.clusters((one,) * clusters, now=NOW, command="/obdag"),
        replies.problem(error),
    ):
        assert validate_message({"text": message.text, "blocks": list(message.blocks)}) == []
        assert message.text.strip()


@pytest.mark.parametrize("url", [None, "https://bot.example.com/"])
def test_manifest(url: str | None) -> None:
    """Socket Mode without addresses, HTTP mode with the same one everywhere; only the scopes in use."""
    app = yaml.safe_load(manifest("/ops", url))
    command = app["features"]["slash_commands"][0]
    endpoint = "https://bot.example.com/slack/events" if url else None
    assert command["command"] == "/ops"
    assert command["should_escape"] is True
    assert command.get("url") == endpoint
    assert app["settings"]["interactivity"].get("request_url") == endpoint
    assert app["settings"]["socket_mode_enabled"] is (url is None)
    assert app["settings"]["token_rotation_enabled"] is False
    assert app["oauth_config"]["scopes"]["bot"] == list(SCOPES)
    assert len(app["display_information"]["name"]) <= 35
    assert len(app["display_information"]["description"]) <= 140
