import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.masking import mask

SPELLINGS = [
    ("ALTER USER root IDENTIFIED BY 'hunter2'", "ALTER USER root IDENTIFIED BY '***'"),
    ('create user a identified by "hunter2" x', 'create user a identified by "***" x'),
    ("IDENTIFIED  BY\n  'it''s \\' hunter2' ok", "IDENTIFIED  BY\n  '***' ok"),
    ("IDENTIFIED BY PASSWORD '*hunter2'", "IDENTIFIED BY PASSWORD '***'"),
    ("IDENTIFIED BY hunter2", "IDENTIFIED BY ***"),
    ("SET PASSWORD FOR u = PASSWORD('hunter2')", "SET PASSWORD FOR u = PASSWORD('***')"),
    ("password=hunter2&user=root", "password=***&user=root"),
    ("root_password: hunter2, port: 2881", "root_password: ***, port: 2881"),
    ('{"rootPassword":"hunter2","port":2881}', '{"rootPassword":"***","port":2881}'),
    (r"{\"password\":\"hunter2\"}", r"{\"password\":\"***\"}"),
    ("root_pass=hunter2", "root_pass=***"),
    ("obd start --root-password hunter2", "obd start --root-password ***"),
    ("obd start --password hunter2 --force", "obd start --password *** --force"),
    ("obclient -h1 -P2881 -p'hunter2' -uroot", "obclient -h1 -P2881 -p'***' -uroot"),
    ("mysql://root:hunter2@10.0.0.7:2881/db", "mysql://root:***@10.0.0.7:2881/db"),
]


@pytest.mark.parametrize(("line", "masked"), SPELLINGS)
def test_hides_the_usual_spellings(line: str, masked: str) -> None:
    """A password is hidden however it is spelled, and nothing around it is lost."""
    assert mask(line) == masked


@pytest.mark.parametrize(
    "line",
    [
        "start observer 10.0.0.7:2882 succeeded",
        "check password policy",
        "obproxy -p 2883",
        "bypass the pass node",
        "see http://10.0.0.7:2886/task/11",
        "",
    ],
)
def test_leaves_other_lines_alone(line: str) -> None:
    """A line without a password is told verbatim."""
    assert mask(line) == line


def test_hides_known_secrets_wherever_they_stand() -> None:
    """A known password is hidden in any context, the longer one first."""
    assert mask("login with abc-def or abc failed", ("abc", "abc-def", "")) == "login with *** or *** failed"


@given(st.text(alphabet=st.characters(exclude_characters="'\\\x00"), min_size=1))
def test_hides_any_quoted_password(secret: str) -> None:
    """No quoted password shines through."""
    assert mask(f"IDENTIFIED BY '{secret}'") == "IDENTIFIED BY '***'"


@pytest.mark.parametrize("piece", ["a", "a.", "password", "://", "a://", "identified ", "'", "pass ", '\\"'])
def test_a_long_line_takes_no_long_time(piece: str) -> None:
    """A line of 64 KiB is masked in passing: a pattern that backtracks would take minutes."""
    line = piece * (65_536 // len(piece))
    assert mask(line)
