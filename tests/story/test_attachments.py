"""Files and images, attached to messages of the real program in a terminal."""

from pathlib import Path

from tests.story.test_commands import command, refused
from tests.support.images import png
from tests.support.loopback import Cut, Loopback, Reply, chunk, says
from tests.support.program import Terminal
from tests.support.talk import say_and_hear, talk


def clear(terminal: Terminal) -> None:
    terminal.key("ctrl-c")
    terminal.wait_for_prompt()


def fill(home: Path) -> None:
    (home / "notes.txt").write_text("one\ntwo\n")
    (home / "my notes.txt").write_text("three\n")
    (home / "shot.png").write_bytes(png(800, 600))
    (home / "program").write_bytes(bytes(50))
    (home / "large.txt").write_text("word " * 3_000)


def test_what_is_attached_goes_with_a_message_and_comes_back_with_it(
    home: Path, server: Loopback
) -> None:
    fill(home)
    server.usual = lambda received: says(f"Heard {len(server.requests)}.")
    flags = ("--context-window", "3000", "-f", "~/notes.txt")
    with talk(home, server, *flags, model="gpt-4o") as terminal:
        terminal.wait_for("for the next message: ~/notes.txt; /file lists it")
        say_and_hear(terminal, "Hello", "Heard 1.")
        terminal.wait_for("attached ~/notes.txt, 2")
        assert "one\ntwo\n</file-" in server.requests[0].said[0][1]
        command(terminal, "/file", "nothing is attached;")
        command(terminal, '/file ~/notes.txt "~/my notes.txt"', "message: ~/my notes.txt, ")
        command(terminal, '/file ""', "nothing is attached to the next message")
        refused(terminal, "/file ~/program", "~/program is binary (50 bytes).")
        refused(terminal, "/file ~/large.txt", "~/large.txt does not fit: 3,0")
        refused(terminal, "See @~/no.txt", "There is no file ~/no.txt: nothing was sent.")
        refused(terminal, "See @~/large.txt", "~/large.txt does not fit: 3,0")
        assert len(server.requests) == 1
        line = 'See @~/shot.png and @"~/my notes.txt", ann@x.org @property'
        say_and_hear(terminal, line, "Heard 2.")
        text, image = server.requests[1].body["messages"][-1]["content"]
        assert text["text"].startswith(f"{line}\n\nAttached as data;")
        assert "three\n</file-" in text["text"]
        assert image["type"] == "image_url"
        # What a pasted text names is not attached.
        terminal.paste("@~/notes.txt\n" * 50)
        terminal.wait_for("[pasted 50 lines")
        terminal.key("enter")
        terminal.wait_for("Heard 3.")
        terminal.wait_for_prompt()
        assert server.requests[2].said[-1] == ("user", "@~/notes.txt\n" * 50)
        terminal.say("/undo")
        terminal.wait_for("one exchange back")
        clear(terminal)
        command(terminal, "/context", "[attached")
        command(terminal, "/context 3", "[~/shot.png, 800 × 600]")
        # It comes back with its message, and goes again with that.
        terminal.say("/undo")
        terminal.wait_for(f"> {line}", times=2)
        clear(terminal)
        command(terminal, "/file", "for the next message: ~/shot.png, 800 × 600, 7")
        command(terminal, "/redo", "forward again")
        command(terminal, "/file", "nothing is attached;")
        say_and_hear(terminal, "Thanks", "Heard 4.")
        assert server.requests[3].said[-1] == ("user", "Thanks")
        assert server.requests[3].body["messages"][2] == server.requests[1].body["messages"][-1]
    (home / "shot.png").unlink()
    with talk(home, server, "-c", model="gpt-4o") as terminal:
        command(terminal, "/export ~/talk.md", "written to")
        assert "Attached: `~/shot.png`, 800 × 600 pixels" in (home / "talk.md").read_text()
        terminal.say("/edit 3")
        terminal.wait_for(f"> {line}")
        terminal.key("enter")  # the file is gone, and the message has it all the same
        terminal.wait_for("Heard 5.")
        assert server.requests[4].body["messages"][-1]["content"][1] == image


def test_what_was_attached_to_a_message_that_failed_goes_again(
    home: Path, server: Loopback
) -> None:
    fill(home)
    with talk(home, server, columns=40) as terminal:
        refused(terminal, "See @~/shot.png", "gpt-4 takes no images: ~/shot.png can't")
        assert "/drop N takes a message out." in " ".join(terminal.screen.split())
        command(terminal, "/file ~/notes.txt", "for the next message: ~/notes.txt")
        server.then(says("", usage=None, finish=None))
        terminal.say("Hello")
        terminal.wait_for("The reply was empty")
        terminal.key("enter")
        terminal.wait_for("You said: Hello")
        assert [r.said for r in server.requests[:1]] == [r.said for r in server.requests[1:]]


def test_what_went_out_waits_no_more_and_what_comes_back_joins_what_waits(
    home: Path, server: Loopback
) -> None:
    fill(home)
    (home / "b.txt").write_text("bee\n")
    with talk(home, server) as terminal:
        # A reply that is cut off has been an answer: the files are in the talk.
        server.then(Reply([chunk({"content": "Half of"}), Cut()]))
        command(terminal, "/file ~/notes.txt", "for the next message: ~/notes.txt, ")
        terminal.say("One")
        terminal.wait_for("/continue goes on with it.")
        terminal.wait_for_prompt()
        command(terminal, "/file", "nothing is attached;")
        say_and_hear(terminal, "Two @~/b.txt")
        assert "bee" not in server.requests[1].said[0][1]
        assert "one\ntwo" not in server.requests[1].said[-1][1]
        # The files of a message that comes back are said, and take nothing from what waits.
        command(terminal, '/file "~/my notes.txt"', "for the next message: ~/my notes.txt, ")
        terminal.say("/undo")
        terminal.wait_for("for the next message: ~/b.txt, ~/my notes.txt; /file lists it")
        clear(terminal)
        # They are that message's own: with another, or none, they wait no more.
        terminal.say("/edit 1")
        terminal.wait_for("for the next message: ~/notes.txt, ~/my notes.txt; /file lists it")
        clear(terminal)
        command(terminal, "/redo", "forward again")
        command(terminal, '/file ""', "nothing is attached to the next message")
        terminal.type("\x1b\x1b")
        terminal.wait_for("for the next message: ~/notes.txt; /file lists it")
        clear(terminal)
        terminal.wait_for("forward again: nothing was changed")
        say_and_hear(terminal, "Three")
        assert server.requests[-1].said[-1] == ("user", "Three")
