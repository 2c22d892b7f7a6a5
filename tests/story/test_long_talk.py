"""A talk in every kind of text, in a window too small for it, with a model that counts its own way.

`python -m benchmarks.long_talk` is the same with 300 turns.
"""

import statistics
from contextlib import closing
from pathlib import Path

from benchmarks.long_talk import embedded_chat, messages, talk
from chatrepl.providers.embedded import EmbeddedModel, EmbeddedProvider


def test_a_real_server_is_never_sent_too_much_nor_much_too_little(
    model_file: Path, tmp_path: Path
) -> None:
    model = EmbeddedModel(model_file, tmp_path, tmp_path / "log", 768)
    with closing(EmbeddedProvider(model, timeout=120)) as provider:
        outcome = talk(embedded_chat(provider, 768, max_tokens=24), messages(11))
    assert outcome.errors == []
    assert len(outcome.uses) >= 3, "the talk has outgrown the window"
    assert max(outcome.uses) <= 1
    assert statistics.mean(outcome.uses) > 0.85
