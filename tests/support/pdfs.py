"""PDF files made by hand: pages of Helvetica text, and odd ones."""

import zlib


def pdf(*pages: str) -> bytes:
    """A whole file of such pages, of lines each; an empty one has a drawing and no text."""
    return of_streams(*(_content(page) for page in pages))


def bomb(size: int) -> bytes:
    """A small file whose one page is so many bytes of text once it is unpacked."""
    return of_streams(b"BT /F 9 Tf " + b"(a) Tj " * (size // 7) + b"ET")


def of_streams(*contents: bytes, count: int = 0) -> bytes:
    """A file with a page for each content stream; `count` is the number that it tells instead."""
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(contents)))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Kids[{kids}]/Count {count or len(contents)}>>".encode(),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
    ]
    for content in contents:
        packed = zlib.compress(content)
        objects.append(
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Resources<</Font<</F 3 0 R>>>>"
            b"/Contents %d 0 R>>" % (len(objects) + 2)
        )
        objects.append(
            b"<</Filter/FlateDecode/Length %d>>stream\n%s\nendstream" % (len(packed), packed)
        )
    return _file(objects)


def _content(page: str) -> bytes:
    if not page:
        return b"10 10 80 80 re f"
    lines = [line.encode("cp1252") for line in page.split("\n")]
    return b"BT /F 12 Tf 40 760 Td 14 TL " + b" ".join(b"(%s) '" % line for line in lines) + b" ET"


def _file(objects: list[bytes]) -> bytes:
    data, places = b"%PDF-1.4\n", list[bytes]()
    for number, each in enumerate(objects, 1):
        places.append(b"%010d 00000 n \n" % len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    table = b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(places) + 1, b"".join(places))
    trailer = b"trailer\n<</Size %d/Root 1 0 R>>" % (len(places) + 1)
    return data + table + trailer + b"\nstartxref\n%d\n%%%%EOF\n" % len(data)
