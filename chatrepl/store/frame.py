"""What every HTML page that chatrepl writes has around it: head, policy, heading, plain style.

A page holds no script and loads nothing; the policy says so too, should anything come through.
"""

from html import escape

from chatrepl.store.sections import UNSAFE


def framed(title: str, about: str, main: str, style: str = "", images: str = "") -> str:
    """Give a whole page: `main` and `style` are HTML and CSS of ours, the others any text.

    `images` is where images may come from, as the policy has it. What steers is U+FFFD.
    """
    html = _PAGE.format(
        policy=_POLICY.format(f"img-src {images}; " if images else ""),
        title=escape(title),
        about=f'<p class="about">{escape(about)}</p>' if about else "",
        style=_STYLE + style + _LAST,
        main=main,
    )
    return UNSAFE.sub("\ufffd", html)  # here: a parser may have decoded entities


_POLICY = "default-src 'none'; {}style-src 'unsafe-inline'"

_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<header>
<h1 dir="auto">{title}</h1>
{about}
</header>
<main>
{main}</main>
</body>
</html>
"""

_STYLE = """\
:root {
  color-scheme: light dark;
  --page: #fff; --tint: #f6f8fa; --line: #d1d9e0; --ink: #1f2328; --dim: #59636e; --link: #0550ae;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --page: #0d1117; --tint: #161b22; --line: #30363d; --ink: #e6edf3; --dim: #9198a1;
    --link: #79b8ff;
  }
}
* { box-sizing: border-box; }
body {
  max-width: 48rem; margin: 0 auto; padding: 2rem 1rem 4rem;
  background: var(--page); color: var(--ink);
  font: 1rem/1.6 system-ui, sans-serif; overflow-wrap: anywhere;
}
h1 { margin: 0; font-size: 1.6rem; line-height: 1.3; }
.about, h2 { color: var(--dim); }
.about { margin: .3rem 0 0; font-size: .9rem; }
body > header { margin-bottom: 2rem; padding-bottom: 1rem; border-bottom: 1px solid var(--line); }
h2 { margin: 0 0 .4rem; font-size: .85rem; line-height: 1.4; }
p, .wide { margin: 0 0 .9rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; overflow-wrap: normal; }
th, td {
  padding: .3rem .7rem; border: 1px solid var(--line); text-align: start; vertical-align: top;
}
th { background: var(--tint); }
@media screen and (max-width: 30rem) {
  body { padding: 1rem .75rem 2rem; }
}
"""

_LAST = """\
@media print {
  :root { color-scheme: light; }
  @page { margin: 2cm; }
  body { max-width: none; padding: 0; font-size: 10.5pt; }
  h1, h2, h3, h4, h5, h6 { break-after: avoid; }
  tr { break-inside: avoid; }
  .wide { overflow: visible; }
}
"""
