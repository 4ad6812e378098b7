"""Compares a simulated answer with a recorded one: all but times, keys, and what differs from run to run."""

from collections.abc import Iterator
from typing import Any

from tests.sandbox.asking import Answer
from tests.sandbox.recorded import Json, moment

TIMES = {"start_time", "end_time", "create_time", "update_time"}
EPOCH, ZERO = "1970-01-01", "0001-01-01"
OF_THE_RUN = {"pid", "startAt", "homePath", "public_key", "sqlPort"}
LATE_S = 0.6
"""How much times in answers may differ from recorded ones: the lab's ticks took some time."""


def differences(exchange: Json, *answers: Answer) -> Iterator[str]:
    """Give what differs between a recorded answer and a simulated one.

    Of several simulated ones, given one soon after the other, each value may be that of any: a real agent
    writes a step in parts, and a question may fall in between.
    """
    one = answers[-1]
    if one.status != exchange["status"]:
        yield f"status: {exchange['status']} recorded, {one.status} simulated"
    headers = {name: value for name, value in exchange["headers"].items() if name != "Transfer-Encoding"}
    if one.headers != headers:
        yield f"headers: {headers} recorded, {one.headers} simulated"
    if "text" in exchange:
        if one.text != exchange["text"]:
            yield f"text: {exchange['text']!r} recorded, {one.text!r} simulated"
        return
    told = exchange["body"]
    if list(one.json) != list(told):
        yield f"members: {list(told)} recorded, {list(one.json)} simulated"
    if (one.json["traceId"] == "") != (told["traceId"] == ""):
        yield "traceId: missing in one of the two"
    yield from _unlike("error", told.get("error"), [one.json.get("error")])
    if "opened_data" not in exchange and not exchange["target"].endswith("/time"):
        yield from _unlike("data", told.get("data"), [answer.json.get("data") for answer in answers])


def _unlike(path: str, theirs: Any, ours: list[Any]) -> Iterator[str]:
    alike = [value for value in ours if _same_shape(theirs, value)]
    if not alike:
        yield f"{path}: {_short(theirs)} recorded, {_short(ours[-1])} simulated"
    elif isinstance(theirs, dict):
        for name in theirs:
            yield from _unlike_member(f"{path}.{name}", name, theirs, alike)
    elif isinstance(theirs, list):
        for n, item in enumerate(theirs):
            yield from _unlike(f"{path}[{n}]", item, [value[n] for value in alike])


def _same_shape(theirs: Any, ours: Any) -> bool:
    """Whether values are equal as far as they have no parts: members and lengths of others count."""
    if isinstance(theirs, dict):
        return isinstance(ours, dict) and list(theirs) == list(ours)
    if isinstance(theirs, list):
        return isinstance(ours, list) and len(theirs) == len(ours)
    return bool(theirs == ours)


def _short(value: Any) -> str:
    return repr(value) if not isinstance(value, list | dict) else f"{type(value).__name__} of {len(value)}"


def _unlike_member(path: str, name: str, theirs: Json, ours: list[Json]) -> Iterator[str]:
    if name in OF_THE_RUN or (name == "id" and "log_content" in theirs):
        return
    if name not in TIMES:
        yield from _unlike(path, theirs[name], [value[name] for value in ours])
    elif not any(_same_time(theirs[name], value[name]) for value in ours):
        yield f"{path}: {theirs[name]} recorded, {ours[-1][name]} simulated"


def _same_time(theirs: str, ours: str) -> bool:
    """Whether two times are nearly the same; one that was reset or never set is only like itself."""
    for special in (EPOCH, ZERO):
        if theirs.startswith(special) or ours.startswith(special):
            return theirs[:10] == ours[:10]
    return abs((moment(theirs) - moment(ours)).total_seconds()) <= LATE_S + ("." not in theirs)
