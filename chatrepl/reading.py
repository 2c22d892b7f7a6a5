"""Reading one file that is to be attached: a text in whatever encoding, a PDF, or an image."""

import codecs
import locale
import re
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from chatrepl.chat.attachments import AttachedImage, AttachedText, Attachment
from chatrepl.errors import SettingsError
from chatrepl.pdf import is_pdf, read_pdf

TEXT_LIMIT = 10_000_000
"""Bytes of a text: a token of English is about four, and the largest windows have a million."""

IMAGE_LIMIT = 20_000_000
"""Bytes of an image, which is what OpenAI takes, and of a PDF, which is mostly pictures too."""

_KINDS = "Text files, PDF files and images (PNG, JPEG, GIF, WebP) can be attached."
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
_IMAGE_ENDINGS = {".png", ".jpg", ".jpeg", ".gif", ".webp"}
# What people still have, and of two that fit as well the one that is believed: of few words many
# fit. The rare ones (johab, shift_jis_2004, mac_*) fit nearly anything and are almost never meant.
_LIKELY = (
    *("cp1252", "cp932", "euc_jp", "gb18030", "big5", "cp949", "cp1251", "koi8_r", "cp1250"),
    *("iso8859_2", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258", "cp874"),
    *("iso8859_15", "latin_1", "koi8_u", "iso8859_5", "iso8859_7", "iso8859_9", "cp437", "cp850"),
    *("cp852", "cp866", "iso2022_jp"),
)
_NEARLY = 0.1
_HALF_WIDTH = re.compile("[\uff61-\uff9f]")  # single bytes of cp932: seldom what was written
_WIDE = ["utf_16", "utf_16_le", "utf_16_be", "utf_32", "utf_32_le", "utf_32_be"]


def read_attachment(
    file: Path, name: str, say: Callable[[str], object], usual: str = ""
) -> Attachment:
    """Read a file under the name that it is known by; `say` is told what was guessed or replaced.

    `usual` is the encoding that is believed of those that fit equally well: else the locale's.
    Raises SettingsError: it can't be read, is too large, or neither text, PDF nor image.
    """
    shown = printable(name)
    data = _read(file, shown)
    if media_type_of(data) is not None:
        return read_image(data, name)
    if is_pdf(data, file.suffix):
        return AttachedText(name, read_pdf(data, shown, say))
    if len(data) > TEXT_LIMIT:
        raise _too_large(shown, file, TEXT_LIMIT)
    decoded = _decoded(data, usual or locale.getencoding())
    if decoded is None:
        raise SettingsError(f"{shown} is binary ({_bytes(len(data))}).", _KINDS)
    text, encoding, replaced = decoded
    if file.suffix.lower() in _IMAGE_ENDINGS:
        say(f"{shown} is no image: it is sent as text")
    if replaced:
        verb = "is" if replaced == 1 else "are"
        say(f"{_bytes(replaced)} of {shown} {verb} not UTF-8: replaced by \ufffd")
    if not encoding.startswith("utf"):
        hint = "if that is wrong, convert it to UTF-8 first"
        say(f"{shown} is not UTF-8: it was read as {encoding}; {hint}")
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
        is_larger = media_type_of(data) or is_pdf(data, file.suffix)
        raise _too_large(name, file, IMAGE_LIMIT if is_larger else TEXT_LIMIT)
    return data


def _too_large(name: str, file: Path, limit: int) -> SettingsError:
    size = file.stat().st_size
    size_text = f"{size / 1e6:,.1f} MB" if size > limit else f"over {limit / 1e6:,.0f} MB"
    text = f"{name} is too large to attach: {size_text}, and {limit / 1e6:,.0f} MB are the most."
    return SettingsError(text, "Attach a part of it.")


def _bytes(size: int) -> str:
    return f"{size:,} byte{'s' * (size != 1)}"


class _Decoded(NamedTuple):
    text: str
    encoding: str
    replaced: int = 0  # bytes that stand as U+FFFD


def _decoded(data: bytes, usual: str) -> _Decoded | None:
    """Give a text and its encoding, which is guessed where nothing tells it; None for no text."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            try:
                return _Decoded(data.decode(encoding), encoding)
            except UnicodeDecodeError:
                return _as_utf8(data) if mark == codecs.BOM_UTF8 else None
    if b"\0" in data:
        return _guessed(data, _WIDE)
    return _as_utf8(data) or _guessed(data, [usual, *_LIKELY])


def _as_utf8(data: bytes) -> _Decoded | None:
    """Decode what is UTF-8, or was before a few bytes were spoilt or its end was cut off.

    Only a text with at least as many whole characters of several bytes as spoilt bytes was UTF-8:
    in other encodings a few such characters come about by chance.
    """
    cut = False
    try:
        return _Decoded(data.decode(), "utf-8")
    except UnicodeDecodeError as error:
        cut = error.end == len(data)
    whole = data.decode(errors="ignore")
    spoilt = len(data) - len(whole.encode())
    wide = len(whole) - len(whole.encode("ascii", "ignore"))
    few = spoilt <= max(len(whole) // 100, wide // 10)
    if spoilt > wide or not (few or cut):
        return None
    return _Decoded(data.decode("utf-8-sig", errors="replace"), "utf-8", spoilt)


def _guessed(data: bytes, likely: list[str]) -> _Decoded | None:
    """Guess one of the likely encodings, of which the first is believed where several fit.

    Without a mark, UTF-16 is believed only where there are NULs, as in all Western text; any few
    bytes could be Chinese else.
    """
    from charset_normalizer import from_bytes  # noqa: PLC0415 - not needed to start
    from charset_normalizer.utils import iana_name  # noqa: PLC0415

    likely = [iana_name(each, strict=False) for each in likely]  # as it calls them itself
    found = from_bytes(data, cp_isolation=likely)
    best = found.best()
    if best is None:
        return None
    as_good = (
        (encoding, each)
        for each in found
        if each.chaos <= best.chaos and each.coherence > best.coherence - _NEARLY
        for encoding in (each.encoding, *each.could_be_from_charset)
        if encoding in likely
    )
    encoding, match = min(
        as_good, key=lambda it: (bool(_HALF_WIDTH.search(str(it[1]))), likely.index(it[0]))
    )
    return _Decoded(str(match), encoding)
