"""Answers to the slash command: values in, text and blocks out.

Each answer is one message. A long one shows the first entries, says how many more there are, and how to see
them; what it shows always carries its age.
"""

from collections.abc import Sequence
from datetime import datetime

from bot.core.views import ClusterState, ClusterView, DagView
from bot.slack import wording as say
from bot.slack.blocks import Block, Message, compose, context, section
from bot.slack.commands import Unavailable, Unknown
from bot.slack.markup import Bold, Code, Line, Piece, join, plain
from bot.slack.plan import host_lines, stage_line
from bot.slack.text import clip

MAX_DAGS = 20
MAX_CLUSTERS = 25
MAX_NAME = 80
MAX_ERROR = 200
LINES_PER_SECTION = 8
OLD_S = 60


def status(
    clusters: Sequence[ClusterView], *, now: datetime, command: str, asked: str | None = None
) -> Message:
    """Answer `status`: how many DAGs are unfinished; per cluster its health and age; per DAG one line."""
    total = sum(len(cluster.dags) for cluster in clusters)
    headline = _status_headline(total, len(clusters), asked)
    telling = [cluster for cluster in clusters if cluster.dags or cluster.state is not ClusterState.OK]
    shown = sorted(telling or clusters, key=lambda cluster: not cluster.dags)[:MAX_CLUSTERS]
    blocks, room = [section([(Bold(headline),)])], MAX_DAGS
    for cluster in shown:
        blocks += _cluster_sections(cluster, cluster.dags[:room], now=now)
        room -= min(room, len(cluster.dags))
    rest = join(
        " ",
        [_more_dags(total - MAX_DAGS, command, asked), _more_clusters(len(clusters) - len(shown), command)],
    )
    if rest:
        blocks.append(context([rest]))
    return compose(headline, blocks)


def show(view: DagView, *, now: datetime) -> Message:
    """Answer `show`: one DAG with all its stages, hosts and attempts."""
    dag, mood = view.snapshot, say.mood_of(view)
    headline: Line = (f"{mood.icon} ", Bold(dag.name), f" on {view.cluster} · DAG {dag.id}")
    stages = dag.stages or ()
    lines = [
        line for s in stages for line in (stage_line(s, current=s.position == dag.stage), *host_lines(s))
    ]
    missing: list[Line] = [] if stages else [("The agent gave no details of its stages.",)]
    blocks = [
        section([headline, _dag_facts(view), *missing]),
        *(section(some) for some in _portions(lines)),
        context([_age(view.checked_at, now), *_unknown(view)]),
    ]
    return compose(f"{plain(headline)} · {plain(_dag_facts(view))}", blocks)


def clusters(views: Sequence[ClusterView], *, now: datetime, command: str) -> Message:
    """Answer `clusters`: the health of each, those in trouble first."""
    if not views:
        return compose(_NO_CLUSTERS, [section([(_NO_CLUSTERS,)])])
    troubled = sum(view.state is not ClusterState.OK for view in views)
    headline = f"{say.count(len(views), 'cluster')}, {troubled or 'none'} in trouble or paused"
    shown = sorted(views, key=lambda view: view.state is ClusterState.OK)[:MAX_CLUSTERS]
    lines: list[Line] = [
        (*_health(view, now), f" · {say.count(len(view.dags), 'unfinished DAG')}") for view in shown
    ]
    blocks = [section([(Bold(headline),)]), *(section(some) for some in _portions(lines))]
    if len(views) > len(shown):
        blocks.append(
            context([(f"… and {len(views) - len(shown)} more: ", Code(f"{command} status CLUSTER"))])
        )
    return compose(headline, blocks)


def usage(command: str) -> Message:
    """Answer `help`."""
    lines: list[Line] = [
        (Bold("What you can type"),),
        ("• ", Code(command), " unfinished DAGs of this channel's clusters (of all when it has none)"),
        ("• ", Code(f"{command} status CLUSTER"), " unfinished DAGs of one cluster"),
        ("• ", Code(f"{command} show CLUSTER DAG_ID"), " one DAG: stages, hosts, attempts"),
        ("• ", Code(f"{command} clusters"), " health of all clusters"),
        ("• ", Code(f"{command} help"), " this text"),
        ("Put ", Code("public"), " at the end, and the whole channel sees the answer."),
    ]
    return compose("\n".join(plain(line) for line in lines), [section(lines)])


def unavailable(asked: Unavailable, *, command: str) -> Message:
    """Answer a word of a later version."""
    line: Line = (
        Code(f"{command} {asked.word}"),
        " is not available in this version yet. ",
        *_coded(asked.instead),
    )
    return _sentences([line, _see_help(command)])


def unknown(asked: Unknown, *, command: str) -> Message:
    """Answer what was not understood."""
    return _sentences([_coded(asked.why), _see_help(command)])


def problem(sentence: str) -> Message:
    """Answer a request that cannot be done, with the sentence that says why and what to do."""
    return _sentences([(sentence,)])


def apology() -> Message:
    """Answer when something broke that nobody foresaw."""
    return _sentences([("Something went wrong while answering; it is in obdag's log. Please try again.",)])


def no_button_yet() -> Message:
    """Answer a press of something that this version does not serve."""
    return _sentences([("This button does nothing in the version of obdag that runs now.",)])


_NO_CLUSTERS = "No cluster is registered yet: obdag clusters add NAME URL"


def _status_headline(total: int, clusters_: int, asked: str | None) -> str:
    if asked is None and clusters_ == 0:
        return _NO_CLUSTERS
    where = asked or say.count(clusters_, "cluster")
    return (
        f"{say.count(total, 'unfinished DAG')} in {where}" if total else f"Nothing is unfinished in {where}"
    )


def _cluster_sections(cluster: ClusterView, dags: Sequence[DagView], *, now: datetime) -> list[Block]:
    error: list[Line] = [(f"    {clip(cluster.error, MAX_ERROR)}",)] if cluster.error else []
    return [section(some) for some in _portions([_health(cluster, now), *error, *map(_dag_line, dags)])]


def _health(cluster: ClusterView, now: datetime) -> Line:
    mood = say.CLUSTERS[cluster.state]
    age = _age(cluster.checked_at, now) if cluster.checked_at else ("never read",)
    return (f"{mood.icon} ", Bold(cluster.name), f" {mood.words} · ", *age)


def _age(checked_at: datetime, now: datetime) -> Line:
    """Tell how old something is; beyond a minute with the time itself."""
    seconds = (now - checked_at).total_seconds()
    told = f"as of {say.duration(seconds)} ago"
    return (f"{told} (", checked_at, ")") if seconds >= OLD_S else (told,)


def _dag_line(view: DagView) -> Line:
    dag, mood = view.snapshot, say.mood_of(view)
    stage: Line = (clip(dag.stage_name, MAX_NAME),) if dag.stage_name else ()
    parts: list[Line] = [
        (Bold(clip(dag.name, MAX_NAME)), f" {dag.id}"),
        (mood.words,),
        (f"{dag.stage}/{dag.max_stage} {say.bar(dag.stage - 1, dag.max_stage)}",),
        stage,
        *_spans(view),
        *_unknown(view),
    ]
    return (f"    {mood.icon} ", *join(" · ", parts))


def _dag_facts(view: DagView) -> Line:
    dag = view.snapshot
    started: Line = ("started ", dag.started_at) if dag.started_at else ("first seen ", view.first_seen_at)
    parts: list[Line] = [
        (f"stage {dag.stage}/{dag.max_stage}",),
        (say.mood_of(view).words,),
        (f"run {view.run}",) if view.run > 1 else (),
        started,
        *_spans(view),
    ]
    return join(" · ", parts)


def _spans(view: DagView) -> list[Line]:
    spans: list[Line] = []
    if view.elapsed_s is not None:
        spans.append((f"for {say.duration(view.elapsed_s)}",))
    if view.eta_s is not None and view.outcome is None:
        spans.append((f"about {say.duration(view.eta_s)} left",))
    return spans


def _unknown(view: DagView) -> list[Line]:
    return [("state unknown since ", view.unknown_since)] if view.unknown_since else []


def _more_dags(missing: int, command: str, asked: str | None) -> Line:
    if missing <= 0:
        return ()
    how = f"obdag status {asked}" if asked else f"{command} status CLUSTER"
    return (f"… and {missing} more DAGs: ", Code(how), " at a terminal." if asked else ".")


def _more_clusters(missing: int, command: str) -> Line:
    others = say.count(missing, "other cluster")
    return (f"{others}: ", Code(f"{command} clusters"), ".") if missing > 0 else ()


def _portions(lines: Sequence[Line]) -> list[Sequence[Line]]:
    """Divide lines over sections, as a section holds only so much."""
    return [lines[at : at + LINES_PER_SECTION] for at in range(0, len(lines), LINES_PER_SECTION)]


def _coded(sentence: str) -> Line:
    """Turn a sentence with `commands` into a line."""
    pieces: list[Piece] = [
        Code(part) if index % 2 else part for index, part in enumerate(sentence.split("`")) if part
    ]
    return tuple(pieces)


def _see_help(command: str) -> Line:
    return ("All that can be typed: ", Code(f"{command} help"))


def _sentences(lines: Sequence[Line]) -> Message:
    return compose("\n".join(plain(line) for line in lines), [section(lines)])
