from pathlib import Path

import pytest

from bot.config import ROLES, ConfigError, Listen, Settings
from bot.keys import new_key

SLACK = {"SLACK_BOT_TOKEN": "xoxb-1-made-up", "SLACK_APP_TOKEN": "xapp-1-made-up"}
SECRET = "made-up-s3cret"


def _problems(environment: dict[str, str], roles: frozenset[str] = frozenset()) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        Settings.from_env(environment, roles=roles)
    return caught.value.problems


def test_defaults() -> None:
    """With nothing set, all is as documented."""
    settings = Settings.from_env({})
    assert settings.database_url.get_secret_value() == "sqlite:///obdag.db"
    assert settings.slack_api_url == "https://slack.com/api/"
    assert (settings.command, settings.layout, settings.language) == ("/obdag", "plan", "en")
    assert (settings.poll_interval_s, settings.stall_after_s, settings.retention_days) == (10, 600, 180)
    assert settings.http == Listen("127.0.0.1", 8686)
    assert (settings.log_level, settings.log_format) == ("info", "console")
    assert settings.serve_metrics
    assert settings.socket_mode
    assert (settings.channel, settings.secret_key, settings.heartbeat_url, settings.admins) == (
        None,
        None,
        None,
        (),
    )


def test_everything_set() -> None:
    """Each variable reaches its member."""
    settings = Settings.from_env(
        {
            **SLACK,
            "DATABASE_URL": "postgres://u:p@h/db",
            "OBDAG_SECRET_KEY": "k",
            "SLACK_API_URL": "http://127.0.0.1:9/api",
            "OBDAG_CHANNEL": "C0123456789",
            "OBDAG_COMMAND": "/ob",
            "OBDAG_POLL_INTERVAL": "1",
            "OBDAG_STALL_AFTER": "8",
            "OBDAG_HTTP": "[::1]:80",
            "OBDAG_METRICS_PUBLIC": "1",
            "OBDAG_HEARTBEAT_URL": "https://beat/x",
            "OBDAG_RETENTION_DAYS": "30",
            "OBDAG_ADMINS": "U012, S345",
            "OBDAG_LAYOUT": "Classic",
            "OBDAG_LANGUAGE": "zh",
            "OBDAG_LOG_LEVEL": "DEBUG",
            "OBDAG_LOG_FORMAT": "json",
            "HTTPS_PROXY": "http://proxy:3128",
        }
    )
    assert settings.slack_api_url == "http://127.0.0.1:9/api/"
    assert (settings.channel, settings.command) == ("C0123456789", "/ob")
    assert (settings.poll_interval_s, settings.stall_after_s, settings.retention_days) == (1, 8, 30)
    assert settings.http == Listen("::1", 80)
    assert settings.admins == ("U012", "S345")
    assert (settings.layout, settings.language) == ("classic", "zh")
    assert (settings.log_level, settings.log_format) == ("debug", "json")
    assert settings.heartbeat_url == "https://beat/x"
    assert settings.metrics_public


BAD = [
    ("DATABASE_URL", "mysql://h/db"),
    ("DATABASE_URL", "sqlite://"),
    ("DATABASE_URL", f"postgres://u:{SECRET}@x:y@h:port/db"),
    ("SLACK_API_URL", "slack.com"),
    ("OBDAG_CHANNEL", "#dba"),
    ("OBDAG_CHANNEL", "dba"),
    ("OBDAG_COMMAND", "obdag"),
    ("OBDAG_COMMAND", "/Ob Dag"),
    ("OBDAG_POLL_INTERVAL", "0"),
    ("OBDAG_POLL_INTERVAL", "0.5"),
    ("OBDAG_POLL_INTERVAL", "nan"),
    ("OBDAG_POLL_INTERVAL", "inf"),
    ("OBDAG_STALL_AFTER", "ten"),
    ("OBDAG_HTTP", "8686"),
    ("OBDAG_HTTP", "localhost:99999"),
    ("OBDAG_HTTP", ":80"),
    ("PORT", "http"),
    ("OBDAG_METRICS_PUBLIC", "perhaps"),
    ("OBDAG_HEARTBEAT_URL", "ftp://h"),
    ("OBDAG_RETENTION_DAYS", "0"),
    ("OBDAG_ADMINS", "alice"),
    ("OBDAG_LAYOUT", "pretty"),
    ("OBDAG_LANGUAGE", "de"),
    ("OBDAG_LOG_LEVEL", "loud"),
    ("OBDAG_LOG_FORMAT", "xml"),
    ("HTTPS_PROXY", "proxy:3128"),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_bad_value_is_named(name: str, value: str) -> None:
    """A bad value gives one problem, which begins with its variable."""
    [problem] = _problems({name: value})
    assert problem.startswith(f"{name}: ")
    assert SECRET not in problem


def test_all_problems_at_once() -> None:
    """Wrong values, missing tokens and contradictions are reported together."""
    problems = _problems({"OBDAG_LAYOUT": "pretty", "OBDAG_HTTP": "x", "PORT": "y"}, ROLES)
    assert {problem.split(":")[0] for problem in problems} >= {"OBDAG_LAYOUT", "OBDAG_HTTP"}
    assert any("SLACK_BOT_TOKEN" in problem for problem in problems)


@pytest.mark.parametrize("name", [name for name, _ in BAD])
def test_rejected_value_is_never_repeated(name: str) -> None:
    """A secret in the wrong variable does not show up in the error, nor in what it was raised from."""
    with pytest.raises(ConfigError) as caught:
        Settings.from_env({name: SECRET}, roles=ROLES)
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_repr_masks_secrets() -> None:
    """Printing the settings shows no secret, no password of a URL and no heartbeat address."""
    settings = Settings.from_env(
        {
            "SLACK_BOT_TOKEN": SECRET,
            "SLACK_APP_TOKEN": SECRET,
            "SLACK_SIGNING_SECRET": SECRET,
            "OBDAG_SECRET_KEY": SECRET,
            "DATABASE_URL": f"postgresql://u:{SECRET}@h/db",
            "HTTPS_PROXY": f"http://u:{SECRET}@proxy",
            "OBDAG_HEARTBEAT_URL": f"https://beat/{SECRET}",
        }
    )
    assert SECRET not in repr(settings)
    assert SECRET not in str(settings)
    assert settings.secrets().count(SECRET) == 6


def test_settings_are_frozen() -> None:
    """Nobody changes the configuration behind another's back."""
    with pytest.raises(ValueError, match="frozen"):
        Settings.from_env({}).channel = "C0123456789"


def test_empty_variable_is_not_set() -> None:
    """A variable that is set to nothing counts as not set, as deployment files need it."""
    assert Settings.from_env({"OBDAG_CHANNEL": "", "OBDAG_LAYOUT": " "}).channel is None


def test_empty_http_means_no_listener() -> None:
    """Only for OBDAG_HTTP is nothing a value."""
    assert Settings.from_env({"OBDAG_HTTP": ""}).http is None


def test_port_of_a_platform() -> None:
    """PORT opens the listener to the world, and hides the figures unless they are meant to be public."""
    settings = Settings.from_env({"PORT": "5000"})
    assert settings.http == Listen("0.0.0.0", 5000)  # noqa: S104 - that is what PORT asks for
    assert not settings.serve_metrics
    assert Settings.from_env({"PORT": "5000", "OBDAG_METRICS_PUBLIC": "1"}).serve_metrics


def test_explicit_address_wins_over_port() -> None:
    """Whoever sets OBDAG_HTTP means it."""
    settings = Settings.from_env({"PORT": "5000", "OBDAG_HTTP": "127.0.0.1:1"})
    assert settings.http == Listen("127.0.0.1", 1)
    assert settings.serve_metrics


@pytest.mark.parametrize(
    "name", ["DATABASE_URL", "OBDAG_SECRET_KEY", "SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "SLACK_SIGNING_SECRET"]
)
def test_value_from_a_file(tmp_path: Path, name: str) -> None:
    """A secret may stand in a file, with a newline at its end."""
    value = "sqlite:///other.db" if name == "DATABASE_URL" else SECRET
    (tmp_path / "it").write_text(f"{value}\n", "utf-8")
    settings = Settings.from_env({f"{name}_FILE": str(tmp_path / "it")})
    assert getattr(settings, name.removeprefix("OBDAG_").lower()).get_secret_value() == value


def test_file_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing, empty or binary file is named with its variable."""
    (tmp_path / "empty").touch()
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for name, reason in (("nowhere", "No such file"), ("empty", "is empty"), ("binary", "not UTF-8")):
        [problem] = _problems({"SLACK_BOT_TOKEN_FILE": str(tmp_path / name)})
        assert problem.startswith("SLACK_BOT_TOKEN_FILE: ")
        assert reason in problem


def test_value_and_file_together(tmp_path: Path) -> None:
    """A value and its file at once are a contradiction."""
    (tmp_path / "it").write_text("x", "utf-8")
    [problem] = _problems({"SLACK_BOT_TOKEN": "y", "SLACK_BOT_TOKEN_FILE": str(tmp_path / "it")})
    assert "SLACK_BOT_TOKEN and SLACK_BOT_TOKEN_FILE" in problem


def test_dotenv_is_read_and_the_environment_wins(tmp_path: Path) -> None:
    """A `.env` file fills in what the environment leaves open."""
    dotenv = tmp_path / ".env"
    dotenv.write_text(
        "# mine\nOBDAG_LAYOUT=classic\nexport OBDAG_LANGUAGE='zh'\nOBDAG_COMMAND=/a$b\n", "utf-8"
    )
    settings = Settings.from_env({"OBDAG_LAYOUT": "plan", "OBDAG_COMMAND": "/ob"}, dotenv)
    assert (settings.layout, settings.language, settings.command) == ("plan", "zh", "/ob")


def test_value_wins_over_a_file_named_in_dotenv(tmp_path: Path) -> None:
    """The environment's value and the `.env` file's NAME_FILE are no contradiction."""
    dotenv = tmp_path / ".env"
    dotenv.write_text("SLACK_BOT_TOKEN_FILE=/nowhere\n", "utf-8")
    settings = Settings.from_env({"SLACK_BOT_TOKEN": SECRET}, dotenv)
    assert settings.slack_bot_token is not None


def test_unreadable_dotenv(tmp_path: Path) -> None:
    """A `.env` that cannot be read is a problem, not silence."""
    (tmp_path / ".env").mkdir()
    with pytest.raises(ConfigError, match=r"\.env: cannot be read"):
        Settings.from_env({}, tmp_path / ".env")


def test_all_roles_need_slack() -> None:
    """A whole service needs both tokens; the texts say where they are found."""
    bot, app = _problems({}, ROLES)
    assert "OAuth & Permissions" in bot
    assert "App-Level Tokens" in app
    assert Settings.from_env(SLACK, roles=ROLES).socket_mode


@pytest.mark.parametrize(("role", "count"), [("poll", 0), ("deliver", 1), ("slack", 2)])
def test_what_each_role_needs(role: str, count: int) -> None:
    """Polling needs no Slack, delivery the bot token, commands a way in as well."""
    if count == 0:
        assert Settings.from_env({}, roles={role}).slack_bot_token is None
    else:
        assert len(_problems({}, frozenset({role}))) == count


def test_tokens_that_were_mixed_up() -> None:
    """A token in the other's place is recognised, without a letter of it."""
    bot, app = _problems({"SLACK_BOT_TOKEN": f"xapp-{SECRET}", "SLACK_APP_TOKEN": f"xoxb-{SECRET}"}, ROLES)
    assert "SLACK_BOT_TOKEN: this is an app-level token" in bot
    assert "SLACK_APP_TOKEN: this is a bot token" in app
    assert SECRET not in bot + app


def test_http_mode() -> None:
    """A signing secret instead of the app token means HTTP mode, which needs the listener."""
    http = {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_SIGNING_SECRET": SECRET}
    assert not Settings.from_env(http, roles=ROLES).socket_mode
    [problem] = _problems({**http, "OBDAG_HTTP": ""}, ROLES)
    assert problem.startswith("OBDAG_HTTP: ")


def test_both_modes_are_refused() -> None:
    """An app token and a signing secret contradict each other; both are named."""
    [problem] = _problems({**SLACK, "SLACK_SIGNING_SECRET": SECRET}, ROLES)
    assert "SLACK_APP_TOKEN" in problem
    assert "SLACK_SIGNING_SECRET" in problem


def test_stray_oauth_variables_are_refused() -> None:
    """Two variables would switch the Slack library to another kind of installation."""
    stray = {"SLACK_CLIENT_ID": "1", "SLACK_CLIENT_SECRET": SECRET}
    [problem] = _problems({**SLACK, **stray}, ROLES)
    assert "SLACK_CLIENT_ID and SLACK_CLIENT_SECRET" in problem
    assert Settings.from_env(stray).slack_bot_token is None


def test_postgres_needs_a_key() -> None:
    """A service on PostgreSQL does not start without a key."""
    [problem] = _problems({**SLACK, "DATABASE_URL": "postgres://h/db"}, ROLES)
    assert problem.startswith("OBDAG_SECRET_KEY: ")
    with_key = {**SLACK, "DATABASE_URL": "postgres://h/db", "OBDAG_SECRET_KEY": new_key()}
    assert Settings.from_env(with_key, roles=ROLES).secret_key is not None
