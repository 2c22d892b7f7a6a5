"""What there is to say of slash commands beyond their line of help: for /help NAME and the docs."""

FURTHER = {
    "persona": "show NAME shows one whole; new NAME and edit NAME open its file in $VISUAL or "
    "$EDITOR.",
    "set": 'NAME alone shows it, with what sets it; NAME=VALUE works too; "" or default takes it '
    "back. What is no setting goes into extra_body and is sent as it is.",
    "retry": "The one before stays as a branch.",
    "continue": "What comes is put behind it, in the same reply.",
    "edit": "It comes to the prompt to be changed; what followed it stays as a branch.",
    "undo": "Its message is at the prompt again.",
    "new": "It is a session of its own.",
    "fork": "It begins with what was said in this one.",
    "sessions": "With TEXT, those that have it in their title.",
    "resume": "By its id, or by words of its title or of a message.",
    "search": "Each that holds every word of TEXT, in any case.",
    "copy": "To the system clipboard, and through tmux or the terminal (OSC 52), which works over "
    "SSH too.",
    "raw": "That is the text as it came, not rendered.",
    "open": "That is $PAGER, else less -R.",
    "thoughts": "They are neither kept nor sent.",
    "theme": "It holds for this run; theme in the config file is for all.",
    "tokens": "Also by how much an estimate is off.",
    "context": "With a bar of the window. Of a long conversation the middle is folded, and "
    "/context all unfolds it.",
    "pin": "That is its exchange: a message and its reply go together.",
    "unpin": "With the rest of its exchange.",
    "drop": "Nor the rest of its exchange. Both stay in the session.",
    "overflow": "trim leaves the oldest exchanges out, ask asks you first, summarize has the model "
    "make a note of them.",
}
