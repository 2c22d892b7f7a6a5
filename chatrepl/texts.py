"""What the settings may name a file for: the system message and the schema."""

from pathlib import Path

from chatrepl.chat.schema import Schema, read_fields, read_rules
from chatrepl.errors import SettingsError
from chatrepl.paths import expanded, is_there
from chatrepl.providers import smollm2
from chatrepl.settings import Settings, Sources


def system_text(settings: Settings, sources: Sources) -> str:
    """Give the system message, read from its file if it names one. Raises SettingsError."""
    system = settings.system
    if system is None:
        return smollm2.SYSTEM if settings.kind == "embedded" else ""
    if not system.startswith("@"):
        return system
    file = _placed(system[1:], "system", settings, sources)
    hint = "Without a leading @, --system takes the text."
    return _read(file, "system message", hint).strip()


def schema_of(settings: Settings, sources: Sources) -> Schema | None:
    """Give the schema that replies are to hold to, if one is set. Raises SettingsError."""
    text = settings.schema
    if text is None:
        return None
    origin = settings.origins["schema"]
    setting = origin if origin.startswith("--") else f"schema ({origin})"
    file = _placed(text, "schema", settings, sources)
    if not (text.strip() and is_there(file)):
        return read_fields(text, setting, str(file))
    hint = f"{setting} names the file of a JSON Schema, or has fields: name:str,age:int"
    source = text if origin.startswith("--") else f"{text} ({origin})"
    return read_rules(_read(file, "schema", hint), source)


def _placed(name: str, setting: str, settings: Settings, sources: Sources) -> Path:
    """Give the path of a file: one that stands in a file is meant from there."""
    origin = settings.origins[setting]
    if origin.startswith("--"):
        return expanded(name)
    if origin == f"persona {settings.persona}" and settings.persona is not None:
        return sources.shelf.base(settings.persona) / expanded(name)
    return (sources.file_path.parent if sources.file_path else Path()) / expanded(name)


def _read(file: Path, what: str, hint: str) -> str:
    try:
        return file.read_bytes().decode("utf-8-sig")
    except (OSError, ValueError) as error:  # a ValueError: no UTF-8, or a NUL in the name
        why = getattr(error, "strerror", None) or error
        raise SettingsError(f"The {what} file {file} can't be read: {why}", hint) from error
