from datetime import timedelta
from typing import Any

import msgspec
import pytest

from bot.obshell.auth import Ask, Conversation, Credentials, User
from bot.obshell.decoding import Malformed
from bot.obshell.wire import Answer, answer
from tests.obshell.helpers import NOW, PASSWORD, Clock, opened, secret, wrapped

TARGET = "/api/v1/task/dag/ob/unfinish?show_details=false"
KEY = Ask("/api/v1/secret")
ROOT, AGENT = "X-OCS-Header", "X-OCS-Agent-Header"
SECURITY = "Security.Authentication."
WRONG_KEY = (
    401,
    SECURITY + "Header.DecryptFailed",
    "Decrypt http header failed: crypto/rsa: decryption error",
)


def said(data: Any = None, **members: Any) -> Answer:
    """Return a good answer."""
    return answer(200, msgspec.json.encode(wrapped(data, **members)))


def no(status: int, code: str, message: str = "", **members: Any) -> Answer:
    """Return a refusal."""
    error = {"errCode": code, "message": message}
    return answer(status, msgspec.json.encode(wrapped(error=error, status=status, **members)))


def credentials(clock: Clock, user: User = User.ROOT) -> Credentials:
    """Return credentials that nothing is known about."""
    return Credentials(user=user, password=lambda: PASSWORD, clock=clock)


def end(talk: Conversation, last: Answer) -> Answer:
    """Give the last answer and return what the conversation came to."""
    with pytest.raises(StopIteration) as stopped:
        talk.send(last)
    result = stopped.value.value
    assert isinstance(result, Answer)
    return result


def begun(login: Credentials) -> tuple[Conversation, Ask]:
    """Start a conversation whose first question is for the key, and answer it."""
    talk = login.conversation(TARGET)
    assert next(talk) == KEY
    return talk, talk.send(said(secret()))


def header(ask: Ask) -> tuple[str, dict[str, Any]]:
    """Return name and content of a question's header."""
    assert ask.header is not None
    return ask.header[0], opened(ask.header[1])


def test_the_key_is_fetched_once_and_the_header_says_all() -> None:
    """First the key, then the request; the next request needs no key."""
    login = credentials(Clock())
    talk, ask = begun(login)
    assert ask.target == TARGET
    expires = int((NOW + timedelta(seconds=30)).timestamp())
    assert header(ask) == (ROOT, {"Auth": PASSWORD, "Ts": str(expires), "Uri": TARGET})
    good = said([])
    assert end(talk, good) is good
    assert next(login.conversation("/api/v1/task/dag/11")).target == "/api/v1/task/dag/11"


def test_the_header_serves_again_until_it_is_nearly_over() -> None:
    """Sealed once for 20 s, anew when it would have less than 10 s left; each target has its own."""
    clock = Clock()
    login = credentials(clock)
    talk, first = begun(login)
    end(talk, said())
    clock.advance(15)
    assert next(login.conversation(TARGET)) == first
    assert header(next(login.conversation("/other")))[1]["Uri"] == "/other"
    clock.advance(6)
    later = next(login.conversation(TARGET))
    assert later != first
    assert int(header(later)[1]["Ts"]) == int((NOW + timedelta(seconds=51)).timestamp())


def test_a_changed_key_is_fetched_once_more() -> None:
    """After DecryptFailed the key is read again; a second time is the caller's."""
    login = credentials(Clock())
    talk, ask = begun(login)
    assert talk.send(no(*WRONG_KEY)) == KEY
    again = talk.send(said(secret(1024)))
    assert again.header is not None
    assert opened(again.header[1], 1024)["Uri"] == TARGET
    assert again != ask
    assert end(talk, no(*WRONG_KEY)).status == 401


def old_no(timestamp: str = NOW.isoformat()) -> Answer:
    """Return the only rejection of an agent before 4.2.6.0, whatever was wrong."""
    error = {"code": 10008, "message": "Verification failed"}
    return answer(401, msgspec.json.encode(wrapped(error=error, status=401, timestamp=timestamp)))


def test_a_rejection_without_a_cause_is_tried_again_with_a_key_that_changed() -> None:
    """Such an agent has restarted: its key is another, and our password may be as good as before."""
    talk, _ = begun(credentials(Clock()))
    assert talk.send(old_no()) == KEY
    again = talk.send(said(secret(1024)))
    assert again.header is not None
    assert opened(again.header[1], 1024)["Uri"] == TARGET
    assert end(talk, old_no()).status == 401


def test_a_rejection_without_a_cause_is_believed_if_the_key_is_right() -> None:
    """The password is wrong, then: it is sent once, and the database counts one failed login."""
    talk, _ = begun(credentials(Clock()))
    assert talk.send(old_no()) == KEY
    assert end(talk, said(secret())).status == 401


def test_a_rejection_without_a_cause_blames_nobody_if_the_key_cannot_be_had() -> None:
    """Nothing is known about the password: what the agent said of its key is the answer."""
    talk, _ = begun(credentials(Clock()))
    assert talk.send(old_no()) == KEY
    assert talk.send(no(500, "Common.Unexpected")) == KEY
    assert end(talk, no(500, "Common.Unexpected")).status == 500


def test_a_rejection_without_a_cause_after_the_header_s_life_is_an_expiry() -> None:
    """The agent's clock has jumped: the answer's own time shows it."""
    talk, _ = begun(credentials(Clock()))
    ahead = (NOW + timedelta(minutes=5)).isoformat()
    again = talk.send(old_no(ahead))
    assert int(header(again)[1]["Ts"]) == int((NOW + timedelta(minutes=5, seconds=30)).timestamp())
    assert talk.send(old_no(ahead)) == KEY


def test_a_header_that_we_spoilt_is_not_sent_again() -> None:
    """DecryptFailed for another cause than the key is our mistake."""
    talk, _ = begun(credentials(Clock()))
    assert end(talk, no(401, SECURITY + "Header.DecryptFailed", "illegal base64 data")).status == 401


def test_expired_measures_the_clock_and_tries_once() -> None:
    """The agent's clock is an hour ahead: its answer tells, and the second header is made for it."""
    login = credentials(Clock())
    talk = login.conversation(TARGET)
    next(talk)
    talk.send(said(secret(), timestamp=None))
    ahead = (NOW + timedelta(hours=1)).isoformat()
    again = talk.send(no(401, SECURITY + "Expired", timestamp=ahead))
    assert int(header(again)[1]["Ts"]) == int((NOW + timedelta(hours=1, seconds=30)).timestamp())
    assert login.skew_s == 3600
    assert end(talk, no(401, SECURITY + "Expired", timestamp=ahead)).status == 401


def test_the_clock_is_unknown_before_the_first_answer() -> None:
    """No measurement is not a difference of zero."""
    assert credentials(Clock()).skew_s is None


def test_expired_without_a_time_is_the_callers() -> None:
    """Nothing was learnt, so nothing is tried again."""
    talk, _ = begun(credentials(Clock()))
    assert end(talk, no(401, SECURITY + "Expired", timestamp=None)).status == 401


def test_a_panic_does_not_tell_the_time() -> None:
    """Its timestamp is that of the agent's start; it has no trace id."""
    login = credentials(Clock())
    talk, _ = begun(login)
    end(talk, no(500, "Common.Unexpected", traceId="", timestamp="2026-01-01T00:00:00Z"))
    assert login.skew_s == 0


def test_an_agent_behind_our_clock_gets_its_own_time() -> None:
    """The skew of an unsealed answer counts for the header, whatever our clock says."""
    login = credentials(Clock())
    behind = (NOW - timedelta(minutes=10)).isoformat()
    talk = login.open_conversation("/api/v1/info")
    assert next(talk) == Ask("/api/v1/info")
    end(talk, said({}, timestamp=behind))
    assert login.skew_s == -600
    talk = login.conversation(TARGET)
    next(talk)
    ask = talk.send(said(secret(), timestamp=behind))
    assert int(header(ask)[1]["Ts"]) == int((NOW - timedelta(minutes=10) + timedelta(seconds=30)).timestamp())


@pytest.mark.parametrize(
    ("user", "first", "code", "second"),
    [
        (User.ROOT, ROOT, "WithAgentPassword", AGENT),
        (User.AGENT, AGENT, "WithOceanBasePassword", ROOT),
    ],
)
def test_the_other_header_is_tried_once_and_kept_if_it_serves(
    user: User, first: str, code: str, second: str
) -> None:
    """The agent says which password it wants."""
    login = credentials(Clock(), user)
    talk, ask = begun(login)
    assert header(ask)[0] == first
    assert header(talk.send(no(401, SECURITY + code)))[0] == second
    end(talk, said())
    assert header(next(login.conversation(TARGET)))[0] == second


def test_the_declared_header_comes_back_if_the_other_did_not_serve() -> None:
    """A password that is wrong both ways is the caller's."""
    login = credentials(Clock())
    talk, _ = begun(login)
    talk.send(no(401, SECURITY + "WithAgentPassword"))
    assert end(talk, no(401, SECURITY + "IncorrectAgentPassword")).status == 401
    assert header(next(login.conversation(TARGET)))[0] == ROOT


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, SECURITY + "IncorrectOceanbasePassword"),
        (401, SECURITY + "IncorrectAgentPassword"),
        (401, SECURITY + "Header.UriMismatch"),
        (401, SECURITY + "Unauthorized"),
        (401, "Common.Unauthorized"),
        (400, "Request.Header.NotFound"),
        (500, "Agent.OceanBase.NotHold"),
    ],
)
def test_any_other_refusal_is_asked_once(status: int, code: str) -> None:
    """Above all a wrong password is not tried again: the database counts it."""
    talk, _ = begun(credentials(Clock()))
    assert end(talk, no(status, code)).status == status


def test_each_correction_is_made_once_even_in_a_row() -> None:
    """Key, clock and header may all be wrong at once; then it ends."""
    talk, _ = begun(credentials(Clock()))
    talk.send(no(*WRONG_KEY))
    talk.send(said(secret()))
    talk.send(no(401, SECURITY + "Expired"))
    talk.send(no(401, SECURITY + "WithAgentPassword"))
    assert end(talk, no(401, SECURITY + "WithOceanBasePassword")).status == 401


def test_a_rejection_drops_the_header() -> None:
    """What was refused is not sent again."""
    login = credentials(Clock())
    talk, refused_ask = begun(login)
    end(talk, no(401, SECURITY + "Unauthorized"))
    assert next(login.conversation(TARGET)) != refused_ask


def test_a_refused_key_is_the_answer() -> None:
    """An agent that does not tell its key is not asked for more."""
    talk = credentials(Clock()).conversation(TARGET)
    next(talk)
    assert end(talk, no(500, "Common.Unexpected")).status == 500


def test_a_key_that_is_none_is_malformed() -> None:
    """Nothing is sealed with it."""
    talk = credentials(Clock()).conversation(TARGET)
    next(talk)
    with pytest.raises(Malformed, match=r"data\.public_key"):
        talk.send(said({"public_key": "junk"}))


def test_credentials_do_not_show_the_password() -> None:
    """In logs and tracebacks."""
    assert repr(credentials(Clock())) == "Credentials(user='root')"
