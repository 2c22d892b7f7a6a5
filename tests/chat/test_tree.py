"""Tree: every exchange of a session, and the conversation as one path through it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatrepl.chat.conversation import Conversation, Note
from chatrepl.chat.exchanges import Exchange
from chatrepl.chat.messages import Message
from chatrepl.chat.tree import Tree

SYSTEM = Message("system", "Be kind.")
EXAMPLES = (Message("user", "1 + 1"), Message("assistant", "2"))


def exchange(number: int, reply: str = "") -> Exchange:
    said = (Message("user", f"q{number}"), Message("assistant", reply or f"a{number}"))
    return Exchange(said, "stop", id=number)


def grown(**parents: int) -> Tree:
    """A tree of exchanges by number, each with the one that it follows: e2=1 follows 1."""
    tree = Tree()
    for name, parent in parents.items():
        tree.put(parent, exchange(int(name[1:])))
    return tree


def fork() -> Tree:
    """Put 1, then 2 and 3 after it, 4 after 2, and 5 in the place of 1."""
    return grown(e1=0, e2=1, e3=1, e4=2, e5=0)


def ids(talk: Conversation) -> list[int]:
    return [each.id for each in talk.exchanges]


# As a value.


def test_siblings_are_what_stands_in_one_place_oldest_first() -> None:
    tree = fork()
    assert [tree.siblings(number) for number in (1, 2, 3, 4, 5)] == [
        [1, 5],
        [2, 3],
        [2, 3],
        [4],
        [1, 5],
    ]


def test_the_place_is_which_of_how_many() -> None:
    tree = fork()
    assert [tree.place(number) for number in (2, 3, 4)] == [(1, 2), (2, 2), (1, 1)]


def test_what_is_not_there_is_the_only_one_of_its_place() -> None:
    assert Tree().place(7) == (1, 1)


def test_a_path_goes_from_the_beginning_to_an_exchange() -> None:
    tree = fork()
    assert [each.id for each in tree.path(4)] == [1, 2, 4]
    assert [each.id for each in tree.path(5)] == [5]
    assert tree.path(0) == []


def test_the_leaves_are_the_ends_of_all_paths() -> None:
    assert fork().leaves() == [3, 4, 5]
    assert Tree().leaves() == []


def test_the_tip_is_the_end_of_what_was_gone_to_last() -> None:
    tree = fork()
    assert (tree.tip(0), tree.tip(1), tree.tip(2), tree.tip(4)) == (5, 3, 4, 4)
    tree.follow(Conversation(), 4)
    assert (tree.tip(0), tree.tip(1)) == (4, 4)


def test_onward_is_the_child_that_was_gone_to_last() -> None:
    tree = fork()
    assert [tree.onward(number) for number in (0, 1, 2, 3)] == [5, 3, 4, None]
    tree.follow(Conversation(), 2)
    assert [tree.onward(number) for number in (0, 1)] == [1, 2]


def test_stepping_back_and_forward_ends_where_it_began() -> None:
    tree = fork()
    talk = tree.follow(Conversation(), 4)
    for parent in (2, 1, 0):
        talk = tree.follow(talk, parent)
    assert ids(talk) == []
    while (onward := tree.onward(talk.head)) is not None:
        talk = tree.follow(talk, onward)
    assert ids(talk) == [1, 2, 4]


def test_an_exchange_that_is_put_again_is_its_new_state_and_no_sibling() -> None:
    tree = fork()
    tree.put(1, exchange(2, "longer"))
    assert tree.siblings(2) == [2, 3]
    assert tree.path(4)[1].messages[1].content == "longer"
    assert tree.leaves() == [3, 4, 5]


def test_a_new_id_is_one_that_nothing_has() -> None:
    tree = grown(e7=0)
    assert tree.new_id() not in tree.exchanges
    assert tree.new_id() != tree.new_id()


def test_a_conversation_without_ids_is_adopted_as_one_path() -> None:
    said = tuple(replace(exchange(number), id=0) for number in (1, 2, 3))
    tree = Tree()
    talk = tree.adopt(Conversation(SYSTEM, EXAMPLES, said, pins=frozenset({1}), drops=(0,)))
    assert len(set(ids(talk)) - {0}) == 3
    assert tree.leaves() == [talk.head]
    assert tree.path(talk.head) == list(said)
    assert (talk.system, talk.examples, talk.pins, talk.drops) == (
        SYSTEM,
        EXAMPLES,
        frozenset({1}),
        (0,),
    )


# Following a path.


def test_system_message_and_examples_stay_on_every_path() -> None:
    talk = fork().follow(Conversation(SYSTEM, EXAMPLES), 4)
    assert (talk.system, talk.examples, ids(talk)) == (SYSTEM, EXAMPLES, [1, 2, 4])


def test_reminders_are_those_of_the_path() -> None:
    tree = grown(e1=0)
    reminder = (Message("user", "q"), Message("system", "Be brief."), Message("assistant", "a"))
    tree.put(1, Exchange(reminder, "stop", id=2))
    tree.put(1, exchange(3))
    assert tree.follow(Conversation(), 2).reminders == {1}
    assert tree.follow(Conversation(), 3).reminders == frozenset()


def test_marks_of_a_path_that_is_left_come_back_with_it() -> None:
    tree = fork()
    talk = tree.follow(Conversation(), 4).pinned(2).dropped(1).pinned(0)
    away = tree.follow(talk, 3)
    assert (away.pins, away.drops) == (frozenset({0}), ())
    back = tree.follow(away.dropped(1), 4)
    assert (back.pins, back.drops) == (frozenset({0, 2}), (1,))
    assert tree.follow(back, 3).drops == (1,)


def test_a_mark_that_was_taken_back_does_not_come_back() -> None:
    tree = fork()
    talk = tree.follow(Conversation(), 4).pinned(0).pinned(2)
    away = tree.follow(talk, 3).unpinned(0)
    assert tree.follow(away, 4).pins == {2}


def test_marks_are_given_by_id_here_and_elsewhere() -> None:
    tree = fork()
    talk = tree.follow(Conversation(), 4).pinned(2).dropped(1)
    away = tree.follow(talk, 5).pinned(0)
    assert tree.marks(away) == ([4, 5], [2])


def test_drops_keep_their_order() -> None:
    tree = grown(e1=0, e2=1, e3=2)
    talk = tree.follow(Conversation(), 3).dropped(2).dropped(0)
    assert tree.follow(tree.follow(talk, 0), 3).drops == (2, 0)


@pytest.mark.parametrize(
    ("end", "goal", "stays"),
    [
        (1, 3, True),  # it tells of 1 only, which both have
        (2, 4, True),
        (2, 3, False),  # it tells of 2
        (1, 5, False),
        (1, 1, True),
        (2, 1, False),  # it tells of more than there is
        (1, 0, False),
    ],
)
def test_a_note_stays_where_what_it_tells_of_is_on_both_paths(
    end: int, goal: int, stays: bool
) -> None:
    tree = fork()
    talk = replace(tree.follow(Conversation(), 4), note=Note("They met.", 0, end))
    assert (tree.follow(talk, goal).note is not None) == stays


STEPS = st.lists(st.tuples(st.sampled_from(["say", "retry", "go", "continue"]), st.integers(0)))


@given(STEPS)
def test_nothing_that_was_put_is_ever_gone(steps: list[tuple[str, int]]) -> None:
    tree, talk = Tree(), Conversation()
    put: dict[int, tuple[int, str]] = {}  # what was said, and after what
    for step, number in steps:
        if step in {"say", "retry"}:
            parent = talk.head
            if step == "retry":
                parent = put[parent][0] if parent else 0
            made = exchange(tree.new_id(), f"reply {len(put)}")
            put[made.id] = parent, made.messages[1].content
            tree.put(parent, made)
            talk = tree.follow(talk, made.id)
        elif step == "continue" and talk.exchanges:
            parent, text = put[talk.head]
            put[talk.head] = parent, text + "…"
            tree.put(parent, exchange(talk.head, text + "…"))
            talk = tree.follow(talk, talk.head)
        elif step == "go":
            talk = tree.follow(talk, sorted({0, *put})[number % (len(put) + 1)])
    assert {i: (tree.parents[i], e.messages[1].content) for i, e in tree.exchanges.items()} == put
    reached = {each.id for leaf in tree.leaves() for each in tree.path(leaf)}
    assert reached == set(put)
    assert ids(talk) == [each.id for each in tree.path(talk.head)]
