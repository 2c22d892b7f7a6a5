"""The tables of the session database, as numbered steps from one format to the next.

A step that has been released is never changed. `PRAGMA user_version` holds the number of steps
that a database has taken.
"""

import sqlite3

from chatrepl.errors import StorageError

APPLICATION_ID = 0x63687270
"""What marks a database as chatrepl's ("chrp"): PRAGMA application_id."""

MIGRATIONS = (
    """
    -- A saved conversation. `base_url` is where its model is, unless the config file says so,
    -- `head` the end of its current branch; `opening` and `marks` are JSON: system message and
    -- examples; pins, drops and the note. Times are UTC, ISO 8601.
    CREATE TABLE session (
        id TEXT PRIMARY KEY,
        title TEXT NOT NULL,
        created TEXT NOT NULL,
        updated TEXT NOT NULL,
        provider TEXT NOT NULL,
        model TEXT NOT NULL,
        base_url TEXT NOT NULL DEFAULT '',
        head INTEGER REFERENCES exchange (id) ON DELETE SET NULL,
        opening TEXT NOT NULL DEFAULT '{}',
        marks TEXT NOT NULL DEFAULT '{}'
    ) STRICT;
    CREATE INDEX session_by_time ON session (updated);

    -- A user message and its reply, after `parent` (NULL: at the beginning). `messages` counts
    -- those of users and assistants from the beginning up to here. `ended` is NULL while a reply
    -- streams, and for ever where the program was killed.
    CREATE TABLE exchange (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        session TEXT NOT NULL REFERENCES session (id) ON DELETE CASCADE,
        parent INTEGER REFERENCES exchange (id) ON DELETE SET NULL,
        begun TEXT NOT NULL,
        ended TEXT,
        provider TEXT NOT NULL,
        model TEXT NOT NULL,
        finish_reason TEXT,
        prompt_tokens INTEGER,
        completion_tokens INTEGER,
        cached_tokens INTEGER,
        reasoning_tokens INTEGER,
        messages INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX exchange_by_session ON exchange (session);
    CREATE INDEX exchange_by_parent ON exchange (parent);

    CREATE TABLE message (
        id INTEGER PRIMARY KEY,
        exchange INTEGER NOT NULL REFERENCES exchange (id) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        role TEXT NOT NULL,
        content TEXT NOT NULL,
        name TEXT,
        UNIQUE (exchange, position)
    ) STRICT;

    -- The journal of replies that are still coming: what a killed program leaves behind.
    CREATE TABLE piece (
        exchange INTEGER NOT NULL REFERENCES exchange (id) ON DELETE CASCADE,
        written TEXT NOT NULL,
        text TEXT NOT NULL
    ) STRICT;
    CREATE INDEX piece_by_exchange ON piece (exchange);

    -- Every call of a model and what it used: an exchange may take several.
    CREATE TABLE completion (
        id INTEGER PRIMARY KEY,
        exchange INTEGER REFERENCES exchange (id) ON DELETE CASCADE,
        ended TEXT NOT NULL,
        purpose TEXT NOT NULL,
        provider TEXT NOT NULL,
        model TEXT NOT NULL,
        prompt_tokens INTEGER NOT NULL,
        completion_tokens INTEGER NOT NULL,
        cached_tokens INTEGER NOT NULL,
        reasoning_tokens INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX completion_by_exchange ON completion (exchange);
    CREATE INDEX completion_by_time ON completion (ended);

    -- Trigrams, and not words: Chinese has no blanks, and part of a word finds it.
    CREATE VIRTUAL TABLE message_text USING fts5 (
        content, content = 'message', content_rowid = 'id', tokenize = 'trigram'
    );
    CREATE TRIGGER message_added AFTER INSERT ON message BEGIN
        INSERT INTO message_text (rowid, content) VALUES (new.id, new.content);
    END;
    CREATE TRIGGER message_removed AFTER DELETE ON message BEGIN
        INSERT INTO message_text (message_text, rowid, content)
        VALUES ('delete', old.id, old.content);
    END;
    CREATE TRIGGER message_changed AFTER UPDATE OF content ON message BEGIN
        INSERT INTO message_text (message_text, rowid, content)
        VALUES ('delete', old.id, old.content);
        INSERT INTO message_text (rowid, content) VALUES (new.id, new.content);
    END;
    """,
    """
    -- What is attached to a message: a text, or an image with its size in pixels.
    CREATE TABLE attachment (
        message INTEGER NOT NULL REFERENCES message (id) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        name TEXT NOT NULL,
        text TEXT,
        media_type TEXT,
        data BLOB,
        width INTEGER,
        height INTEGER,
        detail TEXT,
        UNIQUE (message, position)
    ) STRICT;
    """,
    """
    -- What completions cost, which stays when a session is deleted: a bill does too. `cost` is in
    -- units of 1/10^12 US dollar, in which a price per million tokens of up to six decimals is
    -- exact, and NULL where the price is not known; `priced_by` says who told it. `estimated` is 1
    -- where the server told no tokens and they are our own count. `exchange` is NULL of a deleted
    -- session, and of one that was not saved.
    CREATE TABLE priced (
        id INTEGER PRIMARY KEY,
        exchange INTEGER REFERENCES exchange (id) ON DELETE SET NULL,
        ended TEXT NOT NULL,
        purpose TEXT NOT NULL,
        provider TEXT NOT NULL,
        model TEXT NOT NULL,
        persona TEXT NOT NULL DEFAULT '',
        prompt_tokens INTEGER NOT NULL,
        completion_tokens INTEGER NOT NULL,
        cached_tokens INTEGER NOT NULL,
        reasoning_tokens INTEGER NOT NULL,
        estimated INTEGER NOT NULL DEFAULT 0,
        cost INTEGER,
        priced_by TEXT NOT NULL DEFAULT ''
    ) STRICT;
    INSERT INTO priced (id, exchange, ended, purpose, provider, model, prompt_tokens,
                        completion_tokens, cached_tokens, reasoning_tokens, cost, priced_by)
        SELECT id, exchange, ended, purpose, provider, model,
               min(prompt_tokens, 1000000000000), min(completion_tokens, 1000000000000),
               min(cached_tokens, 1000000000000), min(reasoning_tokens, 1000000000000),
               CASE provider WHEN 'embedded' THEN 0 END,
               CASE provider WHEN 'embedded' THEN provider ELSE '' END
        FROM completion;
    DROP TABLE completion;
    ALTER TABLE priced RENAME TO completion;
    CREATE INDEX completion_by_exchange ON completion (exchange);
    CREATE INDEX completion_by_time ON completion (ended);

    -- What requests that are under way may cost at most, so that programs that run at the same
    -- time share a budget: `cost` as above. Each is removed when its completion is written.
    CREATE TABLE reservation (
        id INTEGER PRIMARY KEY,
        made TEXT NOT NULL,
        session TEXT NOT NULL DEFAULT '',
        tokens INTEGER NOT NULL,
        cost INTEGER
    ) STRICT;
    """,
)


def migrate(connection: sqlite3.Connection, file: object) -> None:
    """Bring a database to the newest format, all or nothing.

    Raises StorageError for one of a newer format, or of another program.
    """
    version = format_of(connection, file)
    if version == len(MIGRATIONS):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for number in range(format_of(connection, file), len(MIGRATIONS)):  # another may have begun
            for statement in _statements(MIGRATIONS[number]):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number + 1}")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint (TRUNCATE)")  # the file itself has tables now
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def format_of(connection: sqlite3.Connection, file: object) -> int:
    """Give the number of steps that a database has taken; 0 for a new one.

    Raises StorageError for one of a newer format, or of another program.
    """
    version, application, tables = connection.execute(
        "SELECT user_version, application_id, (SELECT count(*) FROM sqlite_schema) "
        "FROM pragma_user_version, pragma_application_id"
    ).fetchone()
    if not tables:
        return 0
    if application != APPLICATION_ID or version < 0:
        text = f"{file} is a database, but not one of chatrepl's."
        raise StorageError(text, "Move it away, or set CHATREPL_HOME to another folder.")
    if version > len(MIGRATIONS):
        raise StorageError(
            f"{file} was written by a newer chatrepl (format {version}; this one knows "
            f"{len(MIGRATIONS)}).",
            "Upgrade chatrepl, or set CHATREPL_HOME to another folder.",
        )
    return int(version)


def _statements(script: str) -> list[str]:
    """Split a script into its statements; executescript would end the transaction."""
    statements, lines = [], ""
    for line in script.splitlines(keepends=True):
        lines += line
        if sqlite3.complete_statement(lines):
            statements.append(lines)
            lines = ""
    return statements
