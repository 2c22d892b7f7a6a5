"""The child process that serves a GGUF model on loopback: `python -m` this, from embedded.py.

It reads one line of JSON from standard input (`name`, `model`, `context_window`, `api_key`,
`sampling`), writes one (`address`) to standard output, and serves until standard input ends,
which it does when the parent is gone, however it went.
"""

import json
import os
import sys
import threading


def main() -> None:
    """Serve until standard input ends."""
    order = json.loads(sys.stdin.readline())
    hello = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # llama.cpp writes its log to both; the parent's pipe gets one line only
    threading.Thread(target=_end_with_parent, daemon=True).start()

    # Its threads wait for each other by spinning: beside another busy program a reply took twenty
    # times as long. After so few turns they sleep, which costs nothing on an idle machine. Read
    # when the library is loaded.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    import xllamacpp  # noqa: PLC0415 - 100 MB, after the watch has begun

    params = xllamacpp.CommonParams()
    params.model.path = order["model"]
    params.n_ctx = order["context_window"]
    params.api_keys = [order["api_key"]]
    params.port = 0
    params.n_parallel = 1
    params.cache_ram_mib = 0  # it would keep every prompt of a long talk: gigabytes
    params.verbosity = 2
    params.model_alias = {order["name"]}
    params.ui = False
    params.endpoint_slots = False
    for name, value in order["sampling"].items():
        setattr(params.sampling, name, value)
    server = xllamacpp.Server(params)
    hello.write(json.dumps({"address": server.listening_address}) + "\n")
    hello.close()
    threading.Event().wait()


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)  # the server's destructor was seen to hang


if __name__ == "__main__":
    main()
