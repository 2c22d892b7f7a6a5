"""Reading one file that is to be attached: a text in whatever encoding, or an image."""

import codecs
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from chatrepl.chat.attachments import AttachedImage, AttachedText, Attachment
from chatrepl.errors import SettingsError

TEXT_LIMIT = 10_000_000
"""Bytes of a text: a token of English is about four, and the largest windows have a million."""

IMAGE_LIMIT = 20_000_000
"""Bytes of an image; what OpenAI takes."""

_KINDS = "Text files and images (PNG, JPEG, GIF, WebP) can be attached."
_IMAGES = (
    (b"\x89PNG\r\n\x1a\n", 0, "image/png"),
    (b"\xff\xd8\xff", 0, "image/jpeg"),
    (b"GIF87a", 0, "image/gif"),
    (b"GIF89a", 0, "image/gif"),
    (b"WEBPVP8", 8, "image/webp"),
)
# The longer ones first: UTF-32's begins as UTF-16's does.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_USUAL, _NEARLY = "cp1252", 0.1
_WIDE = ["utf_16", "utf_16_le", "utf_16_be", "utf_32", "utf_32_le", "utf_32_be"]


def read_attachment(file: Path, name: str, say: Callable[[str], object]) -> Attachment:
    """Read a file under the name that it is known by; `say` is told of a guessed encoding.

    Raises SettingsError: it can't be read, is too large, or neither text nor image.
    """
    shown = printable(name)
    data = _read(file, shown)
    if media_type_of(data) is not None:
        return read_image(data, name)
    if len(data) > TEXT_LIMIT:
        raise _too_large(shown, file, TEXT_LIMIT)
    decoded = _decoded(data)
    if decoded is None:
        raise SettingsError(f"{shown} is binary ({len(data):,} bytes).", _KINDS)
    text, encoding = decoded
    if not encoding.startswith("utf"):
        say(f"{shown} is not UTF-8: it was read as {encoding}")
    return AttachedText(name, text)


def media_type_of(data: bytes) -> str | None:
    """Tell by its first bytes what kind of image it is; None if it is none that can be sent."""
    return next((kind for sign, at, kind in _IMAGES if data.startswith(sign, at)), None)


def read_image(data: bytes, name: str, detail: str = "high") -> AttachedImage:
    """Make an attachment of an image's bytes; any detail but "low" is "high".

    Raises SettingsError if it is no image that can be sent.
    """
    import imagesize  # noqa: PLC0415 - not needed to start

    media_type = media_type_of(data)
    if media_type is None:
        raise SettingsError(f"{name} is no PNG, JPEG, GIF or WebP.", _KINDS)
    width, height = imagesize.get(BytesIO(data))
    if width < 1 or height < 1:
        kind = media_type.removeprefix("image/")
        raise SettingsError(
            f"{printable(name)} begins as a {kind} image does, but is not a whole one."
        )
    return AttachedImage(
        name, media_type, data, width, height, "low" if detail == "low" else "high"
    )


def printable(name: str) -> str:
    """Give a name as it may stand in a line."""
    return "".join(each if each.isprintable() else "\ufffd" for each in name)


def _read(file: Path, name: str) -> bytes:
    try:
        with file.open("rb") as opened:
            data = opened.read(IMAGE_LIMIT + 1)  # of what has no end too
    except FileNotFoundError:
        raise SettingsError(f"There is no file {name}.", "Check the name and the folder.") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise SettingsError(f"{name} can't be read: {why}.") from error
    if len(data) > IMAGE_LIMIT:
        raise _too_large(name, file, IMAGE_LIMIT if media_type_of(data) else TEXT_LIMIT)
    return data


def _too_large(name: str, file: Path, limit: int) -> SettingsError:
    size = file.stat().st_size
    size_text = f"{size / 1e6:,.1f} MB" if size > limit else f"over {limit / 1e6:,.0f} MB"
    text = f"{name} is too large to attach: {size_text}, and {limit / 1e6:,.0f} MB are the most."
    return SettingsError(text, "Attach a part of it.")


def _decoded(data: bytes) -> tuple[str, str] | None:
    """Give a text and its encoding, which is guessed where nothing tells it; None for no text."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            try:
                return data.decode(encoding), encoding
            except UnicodeDecodeError:
                return None
    has_nul = b"\0" in data
    if not has_nul:
        try:
            return data.decode(), "utf-8"
        except UnicodeDecodeError:
            pass
    from charset_normalizer import from_bytes  # noqa: PLC0415 - not needed to start

    # Without a mark, UTF-16 is believed where there are NULs, as in all Western text; any few
    # bytes could be Chinese else.
    only, never = (_WIDE, None) if has_nul else (None, _WIDE)
    found = from_bytes(data, cp_isolation=only, cp_exclusion=never)
    best = found.best()
    if best is None:
        return None
    # In few words with an accent or two much can be seen; then it is what Windows writes.
    for each in found:
        is_as_good = each.chaos <= best.chaos and each.coherence > best.coherence - _NEARLY
        if is_as_good and _USUAL in {each.encoding, *each.could_be_from_charset}:
            return str(each), _USUAL
    return str(best), best.encoding
