"""The configuration: one frozen value, read from the environment once and checked as a whole.

The only module that reads the environment. A `.env` file and files named by `NAME_FILE` are read here too.
All problems are reported together, each naming its variable; no text ever holds a rejected value, which might
be a secret in the wrong place.
"""

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, PlainValidator, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from bot import values
from bot.demands import OAUTH, ROLES, missing
from bot.listen import Listen, listen
from bot.variables import gather


def process_environment() -> Mapping[str, str]:
    """Return the variables that this process was started with."""
    return os.environ


class ConfigError(Exception):
    """The configuration cannot be used; `problems` each name a variable, `str()` is one line."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))


Seconds = Annotated[float, Field(ge=1, allow_inf_nan=False)]
HttpUrl = Annotated[str, PlainValidator(values.http_url)]


def _named(variable: str, default: Any = None, *, shown: bool = True) -> Any:
    return Field(default=default, validation_alias=variable, repr=shown)


class Settings(BaseSettings):
    """What the environment says. Secrets are masked in `repr`; `None` means not set."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", hide_input_in_errors=True, validate_by_name=True
    )

    database_url: Annotated[SecretStr, PlainValidator(values.database)] = _named(
        "DATABASE_URL", SecretStr("sqlite:///obdag.db")
    )
    secret_key: SecretStr | None = _named("OBDAG_SECRET_KEY")
    slack_bot_token: SecretStr | None = _named("SLACK_BOT_TOKEN")
    slack_app_token: SecretStr | None = _named("SLACK_APP_TOKEN")
    slack_signing_secret: SecretStr | None = _named("SLACK_SIGNING_SECRET")
    slack_api_url: Annotated[str, PlainValidator(values.api_url)] = _named(
        "SLACK_API_URL", "https://slack.com/api/"
    )
    channel: Annotated[str, PlainValidator(values.channel)] | None = _named("OBDAG_CHANNEL")
    command: Annotated[str, PlainValidator(values.command)] = _named("OBDAG_COMMAND", "/obdag")
    poll_interval_s: Seconds = _named("OBDAG_POLL_INTERVAL", 10.0)
    stall_after_s: Seconds = _named("OBDAG_STALL_AFTER", 600.0)
    http: Annotated[Listen | None, PlainValidator(listen)] = _named(
        "OBDAG_HTTP", Listen(host="127.0.0.1", port=8686)
    )
    http_is_public: bool = False
    metrics_public: bool = _named("OBDAG_METRICS_PUBLIC", default=False)
    heartbeat_url: HttpUrl | None = _named("OBDAG_HEARTBEAT_URL", shown=False)
    retention_days: Annotated[int, Field(ge=1)] = _named("OBDAG_RETENTION_DAYS", 180)
    admins: Annotated[tuple[str, ...], PlainValidator(values.admins)] = _named("OBDAG_ADMINS", ())
    layout: Annotated[Literal["plan", "classic"], BeforeValidator(values.lower)] = _named(
        "OBDAG_LAYOUT", "plan"
    )
    language: Annotated[Literal["en", "zh"], BeforeValidator(values.lower)] = _named("OBDAG_LANGUAGE", "en")
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(values.lower)] = (
        _named("OBDAG_LOG_LEVEL", "info")
    )
    log_format: Annotated[Literal["console", "json"], BeforeValidator(values.lower)] = _named(
        "OBDAG_LOG_FORMAT", "console"
    )
    https_proxy: Annotated[SecretStr, PlainValidator(values.proxy)] | None = _named("HTTPS_PROXY")

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
        names = {str(field.validation_alias) for field in cls.model_fields.values() if field.validation_alias}
        found, problems = gather({*names, "PORT", *OAUTH}, given, dotenv)
        variables = found | _port(found, problems)
        try:
            settings = cls(**variables)
        except ValidationError as error:
            problems += _texts(error)
            raise ConfigError((*problems, *missing(found, roles))) from None
        problems += missing(found, roles)
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
