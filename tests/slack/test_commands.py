import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.slack.commands import (
    LATER,
    Clusters,
    Command,
    Help,
    Show,
    Status,
    Unavailable,
    Unknown,
    parse,
)

UNDERSTOOD: list[tuple[str, Command]] = [
    ("", Status()),
    ("   ", Status()),
    ("status", Status()),
    ("STATUS", Status()),
    ("public", Status(public=True)),
    ("status public", Status(public=True)),
    ("status Ob-Prod", Status(cluster="ob-prod")),
    ("status\u00a0ob-prod Public", Status(cluster="ob-prod", public=True)),
    ("status “ob-prod”", Status(cluster="ob-prod")),
    ("status 'ob-prod'", Status(cluster="ob-prod")),
    ("status <http://ob.prod.cn|ob.prod.cn>", Status(cluster="ob.prod.cn")),
    ("show ob-prod 11", Show(cluster="ob-prod", dag_id="11")),
    ("Show ob-prod #11 public", Show(cluster="ob-prod", dag_id="11", public=True)),
    ("show ob-prod `11`", Show(cluster="ob-prod", dag_id="11")),
    ("clusters", Clusters()),
    ("help", Help()),
]


@pytest.mark.parametrize(("text", "command"), UNDERSTOOD)
def test_understood(text: str, command: Command) -> None:
    """Each spelling means what a person meant."""
    assert parse(text) == command


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("staus ob-prod", "Did you mean `status ob-prod`?"),
        ("shwo ob-prod 11", "Did you mean `show ob-prod 11`?"),
        ("ob-prod", "If it is a cluster: `status ob-prod`."),
        ("show", "`show CLUSTER 11`"),
        ("show ob-prod", "`show CLUSTER 11`"),
        ("show a b c", "`show CLUSTER 11`"),
        ("status a b", "one cluster at most"),
        ("help me", "takes nothing"),
    ],
)
def test_not_understood(text: str, hint: str) -> None:
    """What is not understood is answered with what might have been meant."""
    command = parse(text)
    assert isinstance(command, Unknown)
    assert hint in command.why
    assert command.text == text


@pytest.mark.parametrize("word", LATER)
def test_words_of_a_later_version(word: str) -> None:
    """A word that is not there yet is known as such, with what helps today."""
    command = parse(f"{word.upper()} ob-prod 2h")
    assert isinstance(command, Unavailable)
    assert command.word == word
    assert command.instead


@given(st.text())
def test_anything_is_answered(text: str) -> None:
    """No text at all makes the parser fail."""
    assert isinstance(parse(text), Command)
