"""Where variables come from: the environment, then a `.env` file; secrets also from files."""

from collections.abc import Iterable, Mapping
from io import StringIO
from pathlib import Path

from dotenv import dotenv_values

FROM_FILES = (
    "DATABASE_URL",
    "OBDAG_SECRET_KEY",
    "SLACK_BOT_TOKEN",
    "SLACK_APP_TOKEN",
    "SLACK_SIGNING_SECRET",
)
"""Variables that may also be given as `NAME_FILE`."""


def gather(
    names: Iterable[str], environment: Mapping[str, str], dotenv: Path | None
) -> tuple[dict[str, str], list[str]]:
    """Return the named variables that are set, and what is wrong with their files.

    A variable that is set to nothing is not set, except `OBDAG_HTTP`, where nothing means no listener.
    """
    problems: list[str] = []
    layers = [environment, *_dotenv(dotenv, problems)]
    variables: dict[str, str] = {}
    for name in sorted(names):
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
