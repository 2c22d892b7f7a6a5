"""What is read of a PDF, and what is said of one that can't be."""

import base64
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from chatrepl.attaching import attach
from chatrepl.chat.attachments import AttachedText
from chatrepl.errors import SettingsError
from chatrepl.installing import install
from chatrepl.pdf import MOST_PAGES, is_pdf, read_pdf
from tests.support.loopback import Loopback
from tests.support.pdfs import bomb, of_streams, pdf
from tests.support.program import environment, run

# fpdf2 made it: one page, "secret", for those who know the password "u".
LOCKED = (
    b"c-n<iJ%}7P6owQ@m^Pg&VOZkEH_}L>AF>>bq|y1Xk2AY=TwJag@9HiS<}}NU*1mILFfLQ4Na51BNR!533?XIGxQK"
    b"D(E=__lgakqeNs4H8_wFWak!dvgp7g!%d+%v*U7O2jBaH@c-v0J&ga8Ef?a!j&Fp5<@cOIZ9zFJOOu!lovv>(Mgc"
    b"3Kv)J_dU*AgM?<5)L>)8(f6wjgy%L@%7@+w$bKhWZkr*OM0}sGwZU6FKf5r1hFao72xJo6$rYk*NT&R?m@iktg5T"
    b"|kz2wo=;Vz~lc>TMRejh?ga4!6dFy-&$nwrsQ_p8$I9y#`ZsReCZ#0E#XGLS(<Rp*=MB6*%#E!OPU=E2x#Ghs!*|"
    b"wfHlOTomrF80gI!I54DJyTA;IS&a)pk-(Z4_U#?$Cb<DDN({zOlto^ux`ahj)J&+<GOydKv%z_0}ivK7aJRzo>q?"
    b"@b?E_zW(dkJMTsJ9zVFS|IhvW()+)ni%*}t_~s4z`N@wT{*it3`RhNw`0mB?PQZ$8B_-`ikwt4wC<}<M*y@h;<)n"
    b"z>+yzOcI|T8q(q*nKPk|^N&u{yMz0M>$_1ZD?ywbkcjy#muAkgI<E$Y|Qld<(+FAkFysO)jbzkL)6CReLkt=s!OT"
    b"Gnr6Fx1V94iyALoJwg@hBHaDW?X4w6z9xH3bjH~Ahy}#;XR(<tT~za9qWr}m>qCXRINSl(AXDlS~SzM_Mn7^aRtL"
    b"9OAO4A5D<w(QHT&>7)q@)76vn(@GQlOiwqN}b%-gRCPHYHCMnO6>Z$-PlQ2C1hpPG`(<PfK(`}mb%}p?r5K_sA#t"
    b"<Vxq)LpzFf)*%RHr86f=gip!Yn5Q<wg@}Fd-QgdB)N_gCW(&AnEx(ZtOt>fr#MQ2WXn&6dZsv425njBJK=BFj>PA"
    b"xPA^3w1yE5*RYhaHH=cShA~XfG2awrWt&Cw#^pU5Y{a9w_8?h4zHN6<1GfBMH5c$zNQ1qh)|6%j=Q50i6qHhy<-$"
    b"<TvBFR>w)y`j_LncTX#Ap*LL|{(knfu4Uj)K)*#"
)


def refusal(data: bytes, **options: float) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        read_pdf(data, "a.pdf", str, **options)
    assert "\n" not in caught.value.text + caught.value.hint
    return caught.value


def test_each_page_stands_under_its_number_and_one_without_text_is_told(tmp_path: Path) -> None:
    file = tmp_path / "paper.pdf"
    file.write_bytes(pdf("A café\nof two lines", "", "The end"))
    said: list[str] = []
    text = (
        "[page 1 of 3]\nA café\nof two lines\n\n[page 2 of 3]\n(no text)\n\n[page 3 of 3]\nThe end"
    )
    assert attach([str(file)], said.append) == (AttachedText(str(file), text),)
    assert said == [f"1 of 3 pages of {file} has no text: pictures are not read"]


def test_a_word_that_was_broken_is_put_together_and_nothing_controls_a_terminal() -> None:
    text = read_pdf(pdf("a manip-\nulation \x1b[31mred"), "a.pdf", str)
    assert text == "[page 1 of 1]\na manipulation [31mred"


def test_a_pdf_is_known_by_what_is_in_it() -> None:
    assert is_pdf(pdf("x"), ".txt")
    assert is_pdf(b"\r\nmail headers\r\n" + pdf("x"), ".PDF")
    assert not is_pdf(b"A file that begins with %PDF- is a PDF.", ".md")
    assert "Hello" in read_pdf(b"\r\nmail headers\r\n" + pdf("Hello"), "a.pdf", str)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (pdf("", ""), "a.pdf has no text: 2 pages with nothing but pictures."),
        (pdf("x").partition(b"xref")[0], "a.pdf is no whole PDF: it is damaged or was cut off."),
        (b"%PDF-1.4\n", "a.pdf is no whole PDF: it is damaged or was cut off."),
        (zlib.decompress(base64.b85decode(LOCKED)), "a.pdf is locked with a password."),
        (pdf(*["x"] * (MOST_PAGES + 1)), "a.pdf has over 2,000 pages."),
        (of_streams(b"", count=10**6), "a.pdf has over 2,000 pages."),
        (pdf("x").replace(b"/Kids[4 0 R]", b"/Kids[2 0 R]"), "a.pdf has no text: 1 page with"),
        (pdf("x").replace(b"/Catalog", b"/Catalog/X " + b"<</A " * 10**5), "a.pdf is no whole PDF"),
    ],
    ids=["pictures", "cut", "head", "locked", "long", "boasting", "circle", "deep"],
)
def test_what_can_not_be_read_says_why(data: bytes, words: str) -> None:
    error = refusal(data)
    assert error.text.startswith(words)
    assert error.hint


def test_a_file_that_takes_too_long_is_given_up() -> None:
    error = refusal(bomb(20_000_000), patience=0.5)
    assert error.text == "a.pdf can't be read: its text was not there after 0.5 seconds."


def test_the_text_goes_out_as_that_of_any_file(home: Path, server: Loopback) -> None:
    (home / "paper.pdf").write_bytes(pdf("The capital is Lima."))
    to = ("--base-url", server.base_url, "-m", "gpt-4", "-f", str(home / "paper.pdf"))
    done = run(*to, "Which city?", home=home)
    assert done.returncode == 0, done.stderr
    sent = server.requests[-1].body["messages"][-1]["content"]
    assert "\n[page 1 of 1]\nThe capital is Lima.\n</file-" in sent


WITHOUT = """
import sys
sys.modules["pypdfium2"] = None
from chatrepl.__main__ import main
main()
"""


def test_without_the_extra_it_is_named(home: Path) -> None:
    (home / "paper.pdf").write_bytes(pdf("Hello"))
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, "-m", "openai/gpt-4", "-f", str(home / "paper.pdf"), "Hi"],
        input=b"",
        capture_output=True,
        env=environment(home, {"OPENAI_API_KEY": "sk-x"}),
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"paper.pdf is a PDF, and the extra that reads those is not installed." in done.stderr
    assert f"Run: {install('chatrepl-terminal[pdf]')}\n".encode() in done.stderr
