"""The configuration: one frozen value, read from the environment once and checked as a whole.

The only module that reads the environment. A `.env` file and files named by `NAME_FILE` are read here too.
All problems are reported together, each naming its variable; no text ever holds a rejected value, which might
be a secret in the wrong place.
"""

import os
import re
from collections.abc import Collection, Mapping
from io import StringIO
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import BeforeValidator, Field, PlainValidator, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from bot.demands import ROLES, missing
from bot.listen import Listen, listen
from bot.store.engine import BadDatabaseUrl, database_url

FROM_FILES = (
    "DATABASE_URL",
    "OBDAG_SECRET_KEY",
    "SLACK_BOT_TOKEN",
    "SLACK_APP_TOKEN",
    "SLACK_SIGNING_SECRET",
)
"""Variables that may also be given as `NAME_FILE`."""


def process_environment() -> Mapping[str, str]:
    """Return the variables that this process was started with."""
    return os.environ


class ConfigError(Exception):
    """The configuration cannot be used; `problems` each name a variable, `str()` is one line."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))


def _database(value: SecretStr | str) -> SecretStr:
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    try:
        database_url(text)
    except BadDatabaseUrl as error:
        raise ValueError(str(error).removeprefix("DATABASE_URL ")) from None
    except ValueError:
        raise ValueError("is no URL: check the port, and write %40 for an @ in a password") from None
    return SecretStr(text)


def _http_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("must be an http:// or https:// URL")
    return value


def _api_url(value: str) -> str:
    return _http_url(value).rstrip("/") + "/"


def _proxy(value: SecretStr | str) -> SecretStr:
    return SecretStr(_http_url(value.get_secret_value() if isinstance(value, SecretStr) else value))


def _channel(value: str) -> str:
    if not re.fullmatch(r"[CGD][A-Z0-9]{2,79}", value):
        raise ValueError("must be a channel ID like C0123456789 (channel details, at the bottom), not a name")
    return value


def _command(value: str) -> str:
    if not re.fullmatch(r"/[a-z0-9_-]{1,31}", value):
        raise ValueError("must be a slash and 1 to 31 of a-z 0-9 _ -")
    return value


def _admins(value: str | tuple[str, ...]) -> tuple[str, ...]:
    words = tuple(re.split(r"[\s,]+", value.strip(", "))) if isinstance(value, str) else value
    if not all(re.fullmatch(r"[UWS][A-Z0-9]{2,}", word) for word in words):
        raise ValueError("must be user or user-group IDs (U..., W..., S...), comma separated")
    return words


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


Seconds = Annotated[float, Field(ge=1, allow_inf_nan=False)]
HttpUrl = Annotated[str, PlainValidator(_http_url)]


def _named(variable: str, default: Any = None, *, shown: bool = True) -> Any:
    return Field(default=default, validation_alias=variable, repr=shown)


class Settings(BaseSettings):
    """What the environment says. Secrets are masked in `repr`; `None` means not set."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", hide_input_in_errors=True, validate_by_name=True
    )

    database_url: Annotated[SecretStr, PlainValidator(_database)] = _named(
        "DATABASE_URL", SecretStr("sqlite:///obdag.db")
    )
    secret_key: SecretStr | None = _named("OBDAG_SECRET_KEY")
    slack_bot_token: SecretStr | None = _named("SLACK_BOT_TOKEN")
    slack_app_token: SecretStr | None = _named("SLACK_APP_TOKEN")
    slack_signing_secret: SecretStr | None = _named("SLACK_SIGNING_SECRET")
    slack_api_url: Annotated[str, PlainValidator(_api_url)] = _named(
        "SLACK_API_URL", "https://slack.com/api/"
    )
    channel: Annotated[str, PlainValidator(_channel)] | None = _named("OBDAG_CHANNEL")
    command: Annotated[str, PlainValidator(_command)] = _named("OBDAG_COMMAND", "/obdag")
    poll_interval_s: Seconds = _named("OBDAG_POLL_INTERVAL", 10.0)
    stall_after_s: Seconds = _named("OBDAG_STALL_AFTER", 600.0)
    http: Annotated[Listen | None, PlainValidator(listen)] = _named(
        "OBDAG_HTTP", Listen(host="127.0.0.1", port=8686)
    )
    http_is_public: bool = False
    metrics_public: bool = _named("OBDAG_METRICS_PUBLIC", default=False)
    heartbeat_url: HttpUrl | None = _named("OBDAG_HEARTBEAT_URL", shown=False)
    retention_days: Annotated[int, Field(ge=1)] = _named("OBDAG_RETENTION_DAYS", 180)
    admins: Annotated[tuple[str, ...], PlainValidator(_admins)] = _named("OBDAG_ADMINS", ())
    layout: Annotated[Literal["plan", "classic"], BeforeValidator(_lower)] = _named("OBDAG_LAYOUT", "plan")
    language: Annotated[Literal["en", "zh"], BeforeValidator(_lower)] = _named("OBDAG_LANGUAGE", "en")
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)] = _named(
        "OBDAG_LOG_LEVEL", "info"
    )
    log_format: Annotated[Literal["console", "json"], BeforeValidator(_lower)] = _named(
        "OBDAG_LOG_FORMAT", "console"
    )
    https_proxy: Annotated[SecretStr, PlainValidator(_proxy)] | None = _named("HTTPS_PROXY")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what `from_env` has gathered and nothing else, so that a test decides what is set."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    @classmethod
    def from_env(
        cls,
        environment: Mapping[str, str] | None = None,
        dotenv: Path | None = None,
        *,
        roles: Collection[str] = (),
    ) -> Self:
        """Return the settings that the environment gives; raises `ConfigError` with all problems.

        `environment` is the process's own unless given; it wins over the file `dotenv`, which may be absent.
        An empty variable counts as not set, except `OBDAG_HTTP`, where it means no listener. `roles` are
        those that are to run (`poll`, `deliver`, `slack`): what they need and lack is a problem too.
        """
        given = process_environment() if environment is None else environment
        variables, problems = _gather(given, dotenv)
        variables |= _port(variables, problems)
        try:
            settings = cls(**variables)
        except ValidationError as error:
            problems += _texts(error)
            raise ConfigError((*problems, *missing(variables, roles))) from None
        problems += missing(variables, roles)
        if problems:
            raise ConfigError(tuple(problems))
        return settings

    @property
    def socket_mode(self) -> bool:
        """Whether Slack is reached by Socket Mode; otherwise Slack calls our HTTP listener."""
        return self.slack_signing_secret is None

    @property
    def serve_metrics(self) -> bool:
        """Whether `/metrics` is shown: not to the whole world unless asked for."""
        return self.metrics_public or not self.http_is_public

    def secrets(self) -> tuple[str, ...]:
        """Return the secret texts that must never be logged."""
        held = (self.slack_bot_token, self.slack_app_token, self.slack_signing_secret)
        texts = [value.get_secret_value() for value in held if value]
        if self.secret_key:
            texts += self.secret_key.get_secret_value().split(",")
        for url in (self.database_url, self.https_proxy):
            if url and (password := urlsplit(url.get_secret_value()).password):
                texts.append(password)
        return tuple(text.strip() for text in texts)


def _gather(environment: Mapping[str, str], dotenv: Path | None) -> tuple[dict[str, Any], list[str]]:
    problems: list[str] = []
    layers = [environment, *_dotenv(dotenv, problems)]
    names = {
        str(field.validation_alias) for field in Settings.model_fields.values() if field.validation_alias
    }
    variables: dict[str, Any] = {}
    for name in sorted(names | {"PORT", "SLACK_CLIENT_ID", "SLACK_CLIENT_SECRET"}):
        for layer in layers:
            if name in layer or (name in FROM_FILES and layer.get(f"{name}_FILE")):
                value = _value(layer, name, problems)
                if value or name == "OBDAG_HTTP":
                    variables[name] = value
                break
    return variables, problems


def _dotenv(path: Path | None, problems: list[str]) -> list[dict[str, str]]:
    if path is None or not path.exists():
        return []
    try:
        values = dotenv_values(stream=StringIO(path.read_text("utf-8")), interpolate=False)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        problems.append(f"{path}: cannot be read: {reason}")
        return []
    return [{name: value for name, value in values.items() if value is not None}]


def _value(layer: Mapping[str, str], name: str, problems: list[str]) -> str:
    plain, file = layer.get(name, "").strip(), layer.get(f"{name}_FILE", "").strip()
    if name not in FROM_FILES or not file:
        return plain
    if plain:
        problems.append(f"{name} and {name}_FILE are both set: unset one")
        return plain
    try:
        content = Path(file).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        problems.append(f"{name}_FILE: cannot read {file}: {reason}")
        return ""
    if not content:
        problems.append(f"{name}_FILE: {file} is empty")
    return content


def _port(variables: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
    """Return the listener that `PORT`, the habit of hosting platforms, asks for."""
    if "PORT" not in variables or "OBDAG_HTTP" in variables:
        return {}
    try:
        return {"OBDAG_HTTP": listen(f"0.0.0.0:{variables['PORT']}"), "http_is_public": True}
    except ValueError:
        problems.append("PORT: must be a number up to 65535")
        return {}


def _texts(error: ValidationError) -> list[str]:
    texts = []
    for item in error.errors(include_url=False, include_context=False, include_input=False):
        text = item["msg"].removeprefix("Value error, ").removeprefix("Input ")
        texts.append(f"{item['loc'][0]}: {text[:1].lower()}{text[1:]}")
    return texts


__all__ = ["ROLES", "ConfigError", "Listen", "Settings", "process_environment"]
