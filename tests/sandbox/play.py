"""Plays a recording on the simulated agents and tells what differs.

Most questions are asked at all moments about the recorded one: the answer has to be right at any of them, for
the lab's ticks and polls took some time. What the simulated agents show for longer than a moment has to be in
the recording too, where somebody watched.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial

from tests.sandbox import recorded
from tests.sandbox.alike import differences
from tests.sandbox.asking import Answer
from tests.sandbox.lab import Act, Lab, Note, Script
from tests.sandbox.recorded import Json

STEP = timedelta(milliseconds=20)
ONE_STEP = timedelta(seconds=0.06)
"""What an agent writes within this time may be seen in part."""
SHORT = timedelta(seconds=0.3)
"""A state this short may be missing in a recording."""
WATCHED = 4
"""A target that was asked so often was watched: every change of it is in the recording."""


class Question:
    """A recorded exchange, and what came closest to its answer so far."""

    def __init__(self, number: int, exchange: Json, at: datetime) -> None:
        self.number, self.exchange, self.at = number, exchange, at
        self.found: list[str] = ["never asked"]
        self._nearest = timedelta.max
        self._happened: object = None
        self._lately: list[tuple[datetime, Answer]] = []

    @property
    def answered(self) -> bool:
        """Whether a simulated answer was like the recorded one."""
        return not self.found

    @property
    def target(self) -> tuple[str, str, str]:
        """What is asked, and how."""
        exchange = self.exchange
        return exchange["agent"], exchange["target"], exchange.get("password", "")

    def look(self, lab: Lab, now: datetime) -> None:
        """Ask about the time, if anything happened since the last try."""
        happened = lab.happened(now)
        if lab.would_storm(self.exchange):
            return
        if not self.answered and happened != self._happened:
            self._happened = happened
            self._compare(lab, now, lambda: lab.look(self.exchange, now))

    def ask(self, lab: Lab, now: datetime) -> None:
        """Ask with a real header and a real body."""
        self._compare(lab, now, lambda: lab.ask(self.number, self.exchange, now))

    def _compare(self, lab: Lab, now: datetime, ask: Callable[[], Answer]) -> None:
        """Keep what differs, if that answer is right or nearer in time than any before."""
        told = self._told(lab, now, ask)
        if not told or abs(now - self.at) < self._nearest:
            self.found, self._nearest = told, abs(now - self.at)

    def _told(self, lab: Lab, now: datetime, ask: Callable[[], Answer]) -> list[str]:
        failure = self.exchange.get("failure")
        try:
            answer = ask()
        except ConnectionRefusedError:
            return [] if failure == "ConnectionRefusedError" else ["nobody listens"]
        if failure == "TimeoutError" and answer.delay_s > lab.patience_s(self.exchange):
            return []
        if failure:
            return [f"answered {answer.status}"]
        if list(differences(self.exchange, answer)):
            return list(differences(self.exchange, *self._seen_with(answer, now)))
        return []

    def _seen_with(self, answer: Answer, now: datetime) -> list[Answer]:
        """Return the answers of the step that is being written, the last one before it included."""
        self._lately.append((now, answer))
        while len(self._lately) > 1 and now - self._lately[1][0] > ONE_STEP:
            self._lately.pop(0)
        return [told for _, told in self._lately if told.json]

    def __str__(self) -> str:
        e = self.exchange
        told = "; ".join(self.found[:4])
        return f"{e['t']} {e['agent']} {e['method']} {e['target']} {e.get('note') or ''}: {told}"


class Course:
    """The answers of the simulated agents to one watched question, each from when on it was given."""

    def __init__(self, questions: list[Question]) -> None:
        self._questions = questions
        self._answers: list[tuple[datetime, Answer]] = []
        self._happened: object = None

    def note(self, lab: Lab, now: datetime) -> None:
        """Ask, while somebody watched and if anything happened since."""
        watched = self._questions[0].at <= now <= self._questions[-1].at
        happened = lab.happened(now)
        if watched and happened != self._happened:
            self._happened = happened
            with suppress(ConnectionRefusedError):
                self._answers.append((now, lab.look(self._questions[0].exchange, now)))

    def unrecorded(self, late: timedelta, lab: Lab) -> Iterator[str]:
        """Give the answers that lasted and are not in the recording."""
        ends = [at for at, _ in self._answers[1:]] + [self._questions[-1].at]
        for (since, answer), until in zip(self._answers, ends, strict=True):
            if until - since < SHORT or lab.is_blind(since, until):
                continue
            if not any(
                not list(differences(q.exchange, answer))
                for q in self._questions
                if "failure" not in q.exchange and q.at <= until + late
            ):
                yield f"{since - lab.begun}: {self._questions[0].target}: never recorded: {answer.text[:300]}"


def play(situation: str, script: Script) -> list[str]:
    """Play a recording; returns what differs, nothing if all is well."""
    lab = Lab(situation, script)
    late = timedelta(seconds=script.late_s)
    asked = [Question(n, e, lab.at(e["t"])) for n, e in enumerate(recorded.exchanges(situation))]
    asked.sort(key=lambda question: question.at)
    looks = [question for question in asked if late and question.exchange["method"] == "GET"]
    events: list[tuple[datetime, Act]] = [(q.at, q.ask) for q in asked if q not in looks]
    events += list(_notes(lab, recorded.entries(situation)))
    events.sort(key=lambda event: event[0])
    courses = _courses(looks) if script.watched else []
    now = min(lab.begun, asked[0].at - late)
    end = asked[-1].at + late + STEP
    while now <= end:
        while events and events[0][0] <= now:
            at, act = events.pop(0)
            lab.live(at)
            act(lab, at)
        lab.live(now)
        for question in looks:
            if abs(now - question.at) <= late:
                question.look(lab, now)
        for course in courses:
            course.note(lab, now)
        due = lab.next_due
        now = min(now + STEP, max(due, now + timedelta(microseconds=500))) if due else now + STEP
    wrong = [str(question) for question in asked if not question.answered]
    return wrong + [text for course in courses for text in course.unrecorded(late, lab)]


def _courses(looks: list[Question]) -> list[Course]:
    by_target: dict[tuple[str, str, str], list[Question]] = {}
    for question in looks:
        by_target.setdefault(question.target, []).append(question)
    refused = {question.target for question in looks if "failure" in question.exchange}
    return [
        Course(questions)
        for target, questions in by_target.items()
        if len(questions) >= WATCHED and target not in refused
    ]


def _notes(lab: Lab, entries: tuple[Json, ...]) -> Iterator[tuple[datetime, Act]]:
    """Give the notes with a time just before the exchange behind them."""
    notes = [(n, entry) for n, entry in enumerate(entries) if "status" not in entry]
    for number, (n, entry) in enumerate(notes):
        act = lab.script.notes.get(number)
        following = next((float(e["t"]) for e in entries[n:] if "status" in e), 0.0)
        if act is not None:
            yield lab.at(following - 0.001), partial(_noted, act, entry)


def _noted(act: Note, entry: Json, lab: Lab, now: datetime) -> None:
    act(lab, entry, now)
