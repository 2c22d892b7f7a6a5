"""chatrepl: an interactive chat REPL for the terminal.

Importing this package does nothing but tell its version; `chatrepl.cli` is the command.
"""

__version__ = "0.1.0"
