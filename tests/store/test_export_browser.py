"""An exported page in a real browser: whatever stands in a message, nothing of it runs or loads."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chatrepl.chat.conversation import Conversation
from chatrepl.chat.messages import Message
from chatrepl.store.export import export
from tests.support.loopback import Loopback, Reply

CHROMIUM = shutil.which("chromium")

pytestmark = pytest.mark.skipif(
    CHROMIUM is None or CHROMIUM.startswith("/snap/"),
    reason="chromium is not installed (as a snap it could not read the tests' files)",
)

# Leaves a mark on the page; the mark's name stands nowhere in one piece until the code has run.
CODE = "top.document.documentElement.setAttribute('ran-'+'{name}','')"

# What runs or loads by itself, or when it is clicked or passed over, if it is written as HTML.
RUNS = {
    "script": "<script>{code}</script>",
    "after-style": "</style><script>{code}</script>",
    "after-title": "</title><script>{code}</script>",
    "after-code": "</code></pre><script>{code}</script>",
    "after-comment": "<!-- --><script>{code}</script>",
    "onerror": '<img src="x:" onerror="{code}">',
    "onload": '<svg onload="{code}"></svg>',
    "ontoggle": '<details open ontoggle="{code}"></details>',
    "onclick": '<b onclick="{code}">b</b>',
    "onmouseover": '<b onmouseover="{code}">b</b>',
    "onbegin": '<svg><animate onbegin="{code}" attributeName="x" dur="1s"></animate></svg>',
    "srcdoc": '<iframe srcdoc="&lt;script>{code}&lt;/script>"></iframe>',
    "frame": '<iframe src="javascript:{code}"></iframe>',
    "svg-link": '<svg><a xlink:href="javascript:{code}"><text>t</text></a></svg>',
    "formaction": '<form><button formaction="javascript:{code}">b</button></form>',
}
LOADS = {
    "image": '<img src="{server}/image">',
    "sheet": '<link rel="stylesheet" href="{server}/sheet">',
    "import": "<style>@import url({server}/import);</style>",
    "background": '<div style="background:url({server}/background)">b</div>',
    "object": '<object data="{server}/object"></object>',
    "inner": '<iframe src="{server}/inner"></iframe>',
    "poster": '<video poster="{server}/poster"></video>',
    "svg": '<svg><image href="{server}/svg"></image></svg>',
    "form": '<form action="{server}/form"><button>b</button></form>',
    "refresh": '<meta http-equiv="refresh" content="0;url={server}/refresh">',
    "base": '<base href="{server}/base/"><img src="relative">',
}
# Where a link may try to lead.
TARGETS = {
    "plain": "javascript:{code}",
    "case": "JaVaScRiPt:{code}",
    "space": " javascript:{code}",
    "control": "&#1;javascript:{code}",
    "tab": "java&#9;script:{code}",
    "newline": "java&#10;script:{code}",
    "entity": "&#x6A;avascript:{code}",
    "colon": "javascript&colon;{code}",
    "comment": "javascript://%0a{code}",
}
# What would break out of an attribute or a block of code that is written carelessly.
BREAKS = [
    '![" onerror="{code}]({server}/image)',
    '[b](https://example.com/"onmouseover="{code})',
    '[b](<https://example.com/" onclick="{code}>)',
    '[b](https://example.com "title&quot; onclick=&quot;{code}")',
    '```py"onmouseover="{code}\nx\n```',
    '```"><script>{code}</script>\nx\n```',
    "```<script>{code}</script>\nx\n```",
    "```html\n<script>{code}</script></code></pre><script>{code}</script>\n```",
    "    </pre><script>{code}</script>",
    "| <script>{code}</script> |\n|---|\n| `</code><script>{code}</script>` |",
    "[r]\n\n[r]: javascript:{code}",
    "<javascript:{code}>",
    "&lt;script&gt;{code}&lt;/script&gt;",
]

# Clicks and passes over everything, one at a time; a link to the web is not followed.
PROBE = """<script>
addEventListener('click', event => {
  const link = event.target.closest('a');
  if (link && /^(https?|mailto):$/.test(link.protocol)) event.preventDefault();
}, true);
addEventListener('load', async () => {
  const all = [...document.querySelectorAll('body, body *')];
  const root = document.documentElement;
  root.setAttribute('schemes', [...new Set([...document.links].map(a => a.protocol))].join(' '));
  for (const each of all) {
    for (const kind of ['mouseover', 'focus', 'click'])
      each.dispatchEvent(new MouseEvent(kind, {bubbles: true, cancelable: true}));
    if (each.closest('a, button')) await new Promise(done => setTimeout(done, 50));
  }
  root.setAttribute('probed', all.length);
});
</script>"""


@dataclass(frozen=True)
class Seen:
    """What came of a page: what ran, what was asked of the server, the page as it then was."""

    ran: set[str]
    asked: set[str]
    dom: str

    def told(self, name: str) -> str:
        """What the probe has written down."""
        found = re.search(rf'<html[^>]* {name}="([^"]*)"', self.dom)
        assert found, f"the probe did not come to its end: {self.dom[:300]}"
        return found[1]


class Browser:
    def __init__(self, folder: Path, server: Loopback) -> None:
        self._folder = folder
        self._server = server
        server.usual = lambda received: Reply(status=204, body=b"")  # a page that stays as it is

    def filled(self, name: str, text: str) -> str:
        code = CODE.format(name=name)
        return text.replace("{code}", code).replace("{server}", self._server.root)

    def raw(self, *, clicked: bool) -> str:
        """The hostile content as a careless program would write it."""
        links = {name: f'<a href="{target}">a</a>' for name, target in TARGETS.items()}
        parts = RUNS | LOADS | (links if clicked else {})
        return "\n".join(self.filled(name, part) for name, part in parts.items())

    def exported(self) -> str:
        """The page of a conversation that is hostile in every place."""
        html = [self.filled(name, part) for name, part in (RUNS | LOADS).items()]
        links = [f"[a](<{self.filled(name, target)}>)" for name, target in TARGETS.items()]
        links += [
            f'<a href="{self.filled(name, target)}">a</a>' for name, target in TARGETS.items()
        ]
        breaks = [self.filled("break", text) for text in BREAKS]
        text = "\n\n".join(
            [*html, *links, *breaks, "> " + " ".join(html), f"# {html[0]}", f"`{html[0]}`"]
        )
        line = " ".join(html)
        talk = Conversation(Message("system", text)).asking(Message("user", text, line))
        talk = talk.answered(Message("assistant", text + "\n\n~~~\n" + text), None, None)
        return export(talk, "html", title=line, created=datetime.now(UTC), model=line)

    def load(self, page: str) -> Seen:
        file = self._folder / "page.html"
        file.write_text(page, encoding="utf-8")
        self._server.requests.clear()
        done = subprocess.run(
            [
                *(str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu"),
                *("--disable-background-networking", "--no-first-run"),
                *(f"--user-data-dir={self._folder / 'profile'}", "--virtual-time-budget=30000"),
                *("--dump-dom", file.as_uri()),
            ],
            capture_output=True,
            encoding="utf-8",
            timeout=120,
            check=True,
        )
        asked = {re.split("[/?]", request.path)[1] for request in self._server.requests}
        return Seen(set(re.findall(r'\bran-([\w-]+)=""', done.stdout)), asked, done.stdout)


@pytest.fixture
def browser(tmp_path: Path, server: Loopback) -> Browser:
    return Browser(tmp_path, server)


def without_policy(page: str) -> str:
    bare, count = re.subn(r"<meta http-equiv=.Content-Security-Policy[^>]*>", "", page)
    assert count == 1
    return bare


def test_nothing_in_a_page_runs_or_loads(browser: Browser) -> None:
    seen = browser.load(browser.exported())
    assert "<article" in seen.dom
    assert (seen.ran, seen.asked) == (set(), set())


def test_nothing_runs_when_all_is_clicked_and_no_policy_forbids_it(browser: Browser) -> None:
    seen = browser.load(without_policy(browser.exported()) + PROBE)
    assert int(seen.told("probed")) > 100
    assert (seen.ran, seen.asked) == (set(), set())
    assert set(seen.told("schemes").split()) == {"http:", "https:"}


def test_the_same_content_written_raw_would_run_and_load(browser: Browser) -> None:
    """Without this, the two tests above might look for what no browser does."""
    seen = browser.load("<!doctype html>" + browser.raw(clicked=True) + PROBE)
    assert seen.told("probed")
    assert seen.ran == {*RUNS, *TARGETS}
    assert seen.asked == {*LOADS}


def test_the_policy_alone_stops_what_comes_through(browser: Browser) -> None:
    page = export(Conversation(), "html", title="t")
    seen = browser.load(page.replace("</main>", browser.raw(clicked=False) + "</main>"))
    assert "onmouseover=" in seen.dom
    assert seen.ran == set()
    assert seen.asked <= {"refresh"}, "a policy can't forbid to leave the page"
