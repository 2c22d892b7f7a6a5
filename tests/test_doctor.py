"""`chatrepl doctor`: each thing that can be wrong is found, and its fix named."""

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

import chatrepl
from chatrepl.checks import Doctor
from chatrepl.findings import Finding
from chatrepl.paths import Paths
from chatrepl.providers import smollm2
from chatrepl.settings import Flags
from chatrepl.terminal.screen import Screen
from tests.support.asking import dead_url, self_signed, wire
from tests.support.loopback import Loopback, Reply, fails, says
from tests.support.program import COMMAND, Terminal, environment, run
from tests.support.store import desk

KEY = "sk-of-the-doctor-0123456789"
LISTING = {"object": "list", "data": [{"id": "gpt-4"}, {"id": "gpt-4-turbo"}, {"id": "o3-mini"}]}
AZURE = {"AZURE_OPENAI_API_KEY": KEY, "OPENAI_API_VERSION": "2024-02-01"}


@pytest.fixture
def offering(server: Loopback) -> Loopback:
    server.tells["/v1/models"] = LISTING
    return server


@dataclass
class Patient:
    """A home, and what a doctor in this very process finds there."""

    home: Path
    flags: Flags = field(default_factory=Flags)
    config: Path | None = None

    @property
    def paths(self) -> Paths:
        return Paths.from_environment(environment(self.home))

    def findings(self, out: Any = None, **env: str) -> dict[str, Finding]:
        with pytest.MonkeyPatch.context() as patch:
            variables = {"PATH": "/nowhere", **environment(self.home), **env}
            for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
                for each in (name, name.lower()):
                    patch.delenv(each, raising=False)
                    if each not in env:
                        variables.pop(each, None)
            for name, value in variables.items():
                patch.setenv(name, value)
            doctor = Doctor(
                self.flags, self.config, variables, self.paths, Screen(), out or StringIO()
            )
            with closing(doctor):
                found = list(doctor.findings())
        assert KEY not in repr(found)
        assert all("\n" not in one.line for one in found)
        return {one.name: one for one in found}


def assert_wrong(found: Mapping[str, Finding], name: str, status: int, *words: str) -> None:
    """Assert that this and nothing else is wrong, and what is said of it."""
    assert [one.name for one in found.values() if one.state == "wrong"] == [name], found
    assert found[name].status == status
    assert [word for word in words if word not in found[name].line] == [], found[name].line


def at(home: Path, server: Loopback, model: str = "gpt-4", **more: Any) -> Patient:
    flags = Flags(base_url=server.base_url, model=model, **more)
    return Patient(home, flags)


def azure(home: Path, **more: Any) -> Patient:
    return Patient(home, Flags(provider="azure", model="gpt-4o"), **more)


# All is well.


def test_all_is_well_and_each_value_has_its_origin(home: Path, offering: Loopback) -> None:
    config = home / "c.toml"
    config.write_text(f'[providers.mine]\nbase_url = "{offering.base_url}"\napi_key_env = "MINE"\n')
    env = {"MINE": KEY, "CHATREPL_MODEL": "gpt-4"}
    done = run("doctor", "--config", str(config), home=home, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    lines = {line[7:20].strip(): line for line in done.stdout.splitlines()}
    assert list(lines) == [
        *("config", "provider", "key", "proxy", "tls", "endpoint", "model", "clock"),
        *("vocabulary", "database", "embedded", "terminal", "help"),
    ]
    assert [name for name, line in lines.items() if line.startswith("wrong")] == []
    origins = {"key": "(MINE)", "model": "(CHATREPL_MODEL)", "endpoint": f"({config})"}
    origins |= {"config": "(--config)", "provider": f"(the first in {config})"}
    assert {name: origin for name, origin in origins.items() if origin not in lines[name]} == {}
    assert KEY not in done.stdout
    assert [asked.path for asked in offering.asked] == ["/v1/models"]
    assert offering.requests == [], "the list has told: no completion is asked for"
    assert not (home / "chatrepl").exists(), "the doctor leaves nothing behind"


def test_as_json_each_finding_is_an_object(home: Path, offering: Loopback) -> None:
    arguments = ("doctor", "--json", "--base-url", offering.base_url, "-m", "nope")
    offering.then(fails(404, "The model `nope` does not exist", code="model_not_found"))
    done = run(*arguments, home=home)
    assert done.returncode == 8
    found = {one["name"]: one for one in json.loads(done.stdout)}
    assert found["model"]["state"] == "wrong"
    assert found["model"]["status"] == 8
    assert found["endpoint"]["origin"] == "--base-url"
    assert {one["state"] for one in found.values()} == {"ok", "skipped", "wrong"}
    assert all(set(one) == set(found["model"]) for one in found.values())


def test_the_last_line_says_where_to_read_more(home: Path, offering: Loopback) -> None:
    found = at(home, offering).findings()
    page, more = found["help"].text.split(" says ")
    assert Path(page).is_file()
    assert more == "more", "nothing is wrong"
    offering.tells["/v1/models"] = fails(401, "Incorrect key")
    (home / "chatrepl" / "data").mkdir(parents=True)
    (home / "chatrepl" / "data" / "sessions.db").write_bytes(b"no database" * 100)
    found = at(home, offering).findings(OPENAI_API_KEY=KEY)
    assert found["help"].text == f"{page} says more, under key and database"
    assert list(found)[-1] == "help"


@pytest.mark.parametrize("columns", [80, 40])
def test_on_a_terminal_it_is_shown_in_columns(home: Path, offering: Loopback, columns: int) -> None:
    offering.tells["/v1/models"] = fails(401, "Incorrect \x1b]0;key\x07 provided.")
    arguments = ("doctor", "--base-url", offering.base_url, "-m", "gpt-4")
    env = {"OPENAI_API_KEY": KEY}
    with Terminal(*arguments, home=home, columns=columns, lines=60, env=env) as terminal:
        assert terminal.wait_for_end() == 3
        shown = " ".join(terminal.scrollback.split())
        assert b"\x1b]0;" not in terminal.raw
    assert "wrong key" in shown
    assert "Check the variable OPENAI_API_KEY." in shown
    assert f"{columns} columns" in shown


# What may be wrong with who answers.


def test_no_key(home: Path) -> None:
    found = Patient(home, Flags(provider="openai")).findings(HTTPS_PROXY=dead_url())
    assert found["key"].status == 2
    assert "Set the variable OPENAI_API_KEY" in found["key"].line
    found = azure(home).findings(AZURE_OPENAI_ENDPOINT=dead_url())
    assert "Set the variable AZURE_OPENAI_API_KEY" in found["key"].line


def test_no_key_where_the_server_wants_one(home: Path, server: Loopback) -> None:
    server.tells["/v1/models"] = fails(401, "You didn't provide an API key.")
    found = at(home, server).findings()
    assert_wrong(found, "key", 3, "there is none", "OPENAI_API_KEY")


def test_without_any_settings_it_is_said_how_to_have_another_model(home: Path) -> None:
    found = Patient(home).findings()
    assert found["provider"].text == "embedded"
    assert "OPENAI_API_KEY" in found["key"].line
    assert "chatrepl init" in found["key"].line


def test_a_wrong_key(home: Path, server: Loopback) -> None:
    server.tells["/v1/models"] = fails(401, f"Incorrect API key provided: {KEY}.")
    found = at(home, server).findings(OPENAI_API_KEY=KEY)
    assert_wrong(found, "key", 3, "did not accept the key", "Check the variable OPENAI_API_KEY.")
    assert found["endpoint"].state == "ok", "somebody has answered there"
    assert found["model"].state == "skipped"


def test_a_key_that_can_be_none(home: Path, server: Loopback) -> None:
    found = at(home, server).findings(OPENAI_API_KEY="sk-cut…")
    assert_wrong(found, "key", 2, "odd characters", "OPENAI_API_KEY")


def test_a_key_command_that_fails(home: Path, offering: Loopback) -> None:
    config = home / "c.toml"
    config.write_text(
        f'[providers.mine]\nbase_url = "{offering.base_url}"\napi_key_cmd = "false"\n'
    )
    found = Patient(home, Flags(model="gpt-4"), config).findings()
    assert_wrong(found, "key", 2, "api_key_cmd", "gave no key")


def test_a_model_that_is_missing_from_the_server(home: Path, offering: Loopback) -> None:
    words = "The model `gpt-4-tubro` does not exist"
    offering.then(fails(404, words, code="model_not_found"))
    found = at(home, offering, "gpt-4-tubro").findings()
    assert_wrong(found, "model", 8, "'gpt-4-tubro'", "Did you mean 'gpt-4-turbo'?")
    assert found["model"].origin == "--model"
    (received,) = offering.requests
    assert received.body["max_tokens"] == 1


def test_a_model_that_is_not_listed_and_answers_is_well(home: Path, offering: Loopback) -> None:
    found = at(home, offering, "gpt-4:nitro").findings()
    assert found["model"].state == "ok"
    assert "a reply of one token" in found["model"].text


def test_a_server_that_lists_nothing_is_asked_for_one_token(home: Path, server: Loopback) -> None:
    assert at(home, server).findings()["model"].state == "ok"
    server.then(fails(400, "max_tokens or model output limit was reached"))
    assert at(home, server).findings()["model"].state == "ok"
    assert [received.body["max_tokens"] for received in server.requests] == [1, 1]


def test_a_server_that_lists_nothing_and_answers_anywhere_is_doubted(
    home: Path, server: Loopback
) -> None:
    doubt = "it lists no models; does the address end in /v1?"
    server.then(fails(404, "no list"))
    found = Patient(home, Flags(base_url=server.root, model="x")).findings()
    assert found["endpoint"].text == f"{server.root}: {doubt}"
    assert {one.state for one in found.values()} == {"ok", "skipped"}
    assert doubt not in at(home, server).findings()["endpoint"].text
    server.then(Reply(body=dict(LISTING)))
    found = Patient(home, Flags(base_url=server.root, model="not-listed")).findings()
    assert found["endpoint"].text == server.root


def test_an_address_with_no_api(home: Path, server: Loopback) -> None:
    server.usual = lambda _: fails(404, "Not Found")
    found = at(home, server).findings()
    assert_wrong(found, "endpoint", 8, "base_url", "--base-url")


def test_nobody_at_the_address(home: Path) -> None:
    url = dead_url() + "/v1"
    found = Patient(home, Flags(model="x")).findings(OPENAI_BASE_URL=url)
    assert_wrong(found, "endpoint", 8, "refused", "Check the address in OPENAI_BASE_URL.")
    assert found["clock"].state == "skipped"


def test_a_key_that_is_a_part_of_the_address_is_not_shown(home: Path, server: Loopback) -> None:
    config = home / "c.toml"
    url = f"{server.root}/{KEY}/v1"
    config.write_text(f'[providers.mine]\nbase_url = "{url}"\napi_key_env = "MINE"\n')
    server.then(fails(404, "no list"), says("Yes."))
    found = Patient(home, Flags(model="x"), config).findings(MINE=KEY)
    assert found["endpoint"].text == f"{server.root}/[hidden]/v1"


def test_a_quota_that_is_used_up(home: Path, server: Loopback) -> None:
    server.tells["/v1/models"] = fails(429, "No more.", code="insufficient_quota")
    assert_wrong(at(home, server).findings(), "endpoint", 4, "Check plan and billing.")


# Azure.


def test_azure_is_asked_for_one_token_of_the_deployment(home: Path, server: Loopback) -> None:
    config = home / "c.toml"
    config.write_text('[providers.azure]\ndeployments = { "gpt-4o" = "ours" }\n')
    found = azure(home, config=config).findings(AZURE_OPENAI_ENDPOINT=server.root, **AZURE)
    assert {one.state for one in found.values()} == {"ok", "skipped"}
    assert found["deployment"].text.startswith("ours: it was asked for a reply of one token")
    assert found["api-version"].line == "2024-02-01 (OPENAI_API_VERSION)"
    assert found["endpoint"].origin == "AZURE_OPENAI_ENDPOINT"
    (received,) = server.requests
    assert received.path == "/openai/deployments/ours/chat/completions?api-version=2024-02-01"
    assert received.body["max_tokens"] == 1


def test_azures_wrong_deployment(home: Path, server: Loopback) -> None:
    words = "The API deployment for this resource does not exist."
    server.then(fails(404, words, code="DeploymentNotFound"))
    found = azure(home).findings(AZURE_OPENAI_ENDPOINT=server.root, **AZURE)
    assert_wrong(found, "deployment", 8, "'gpt-4o' is to be the name of a deployment", "-m NAME")
    assert found["api-version"].state == "ok"


def test_azures_wrong_deployment_by_its_words_alone(home: Path, server: Loopback) -> None:
    server.then(fails(404, "The API deployment for this resource does not exist."))
    found = azure(home).findings(AZURE_OPENAI_ENDPOINT=server.root, **AZURE)
    assert_wrong(found, "deployment", 8, "'gpt-4o' is to be the name of a deployment")


def test_a_404_of_azure_that_does_not_tell_may_be_either(home: Path, server: Loopback) -> None:
    server.then(fails(404, "Resource not found"), fails(400, "API version not supported"))
    either = "Or is there no deployment 'gpt-4o'?"
    found = azure(home).findings(AZURE_OPENAI_ENDPOINT=server.root, **AZURE)
    assert_wrong(found, "api-version", 8, "Set OPENAI_API_VERSION", either)
    found = azure(home).findings(AZURE_OPENAI_ENDPOINT=server.root, **AZURE)
    assert either not in found["api-version"].line


@pytest.mark.parametrize(
    "answer",
    [
        fails(404, "Resource not found", code="404"),
        fails(400, "API version not supported", code="BadRequest"),
        fails(400, "Model o1 is enabled only for api versions 2024-12-01-preview and later"),
    ],
    ids=["404", "400", "for the model"],
)
def test_azures_wrong_api_version(home: Path, server: Loopback, answer: Reply) -> None:
    server.then(answer)
    found = azure(home).findings(AZURE_OPENAI_ENDPOINT=server.root, **AZURE)
    assert_wrong(found, "api-version", 8, "2024-02-01", "Set OPENAI_API_VERSION", "2024-10-21")
    assert found["deployment"].state == "skipped"


def test_azures_wrong_key(home: Path, server: Loopback) -> None:
    words = "Access denied due to invalid subscription key or wrong API endpoint."
    server.then(fails(401, words, code="401"))
    found = azure(home).findings(AZURE_OPENAI_ENDPOINT=server.root, **AZURE)
    assert_wrong(found, "key", 3, "Check the variable AZURE_OPENAI_API_KEY.")


def test_azures_endpoint_with_a_path_in_it(home: Path, server: Loopback) -> None:
    server.then(fails(404, "Resource not found", code="404"))
    url = f"{server.root}/openai/deployments/gpt-4o"
    found = azure(home).findings(AZURE_OPENAI_ENDPOINT=url, **AZURE)
    assert_wrong(found, "endpoint", 8, f"the resource's address alone: {server.root}")


def test_azure_without_an_endpoint(home: Path) -> None:
    assert_wrong(azure(home).findings(**AZURE), "endpoint", 2, "AZURE_OPENAI_ENDPOINT")


# The way there.


def test_a_dead_proxy(home: Path) -> None:
    proxy = dead_url().replace("//", "//me:hush@")
    patient = Patient(home, Flags(model="x", base_url="http://models.invalid/v1"))
    found = patient.findings(HTTP_PROXY=proxy)
    host = proxy.partition("@")[2]
    assert_wrong(found, "proxy", 8, host, "refused", "Set HTTP_PROXY", "NO_PROXY=models.invalid")
    assert "hush" not in repr(found)
    found = patient.findings(HTTP_PROXY=proxy, NO_PROXY="models.invalid")
    assert found["proxy"].state == "ok"


def test_a_proxy_that_wants_a_password(home: Path) -> None:
    answer = b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n"
    patient = Patient(home, Flags(model="x", base_url="https://models.invalid/v1"))
    with wire(answer) as (port, _):
        found = patient.findings(https_proxy=f"127.0.0.1:{port}")
    assert_wrong(found, "proxy", 8, "407", "NAME:PASSWORD", "https_proxy")


def test_a_certificate_that_nobody_vouches_for(home: Path) -> None:
    with wire(b"", tls=self_signed(home)) as (port, _):
        patient = Patient(home, Flags(model="x", base_url=f"https://127.0.0.1:{port}/v1"))
        found = patient.findings(OPENAI_API_KEY=KEY)
    assert_wrong(found, "tls", 8, "certificate", "SSL_CERT_FILE")
    assert {found[name].state for name in ("key", "endpoint", "model")} == {"skipped"}


def test_certificates_that_cannot_be_read(home: Path) -> None:
    patient = Patient(home, Flags(model="x", base_url="https://127.0.0.1:9/v1"))
    found = patient.findings(SSL_CERT_FILE=str(home / "none.pem"))
    assert_wrong(found, "tls", 2, "SSL_CERT_FILE")


def test_https_where_http_is_spoken(home: Path, server: Loopback) -> None:
    url = server.base_url.replace("http:", "https:")
    found = Patient(home, Flags(model="x", base_url=url)).findings()
    assert_wrong(found, "tls", 8, "begins with http:")


@pytest.mark.parametrize(("hours", "words"), [(3, "3 hours behind"), (-72, "3 days ahead of")])
def test_a_clock_that_is_far_off(home: Path, server: Loopback, hours: float, words: str) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(hours=hours, minutes=1), usegmt=True)
    server.tells["/v1/models"] = Reply(body=dict(LISTING), headers={"date": date})
    found = at(home, server).findings()
    assert_wrong(found, "clock", 1, words, "Set date and time")


# This machine.


def corrupt(file: Path, filler: bytes) -> None:
    """Overwrite the last pages of a file: its beginning is as it was."""
    file.write_bytes(file.read_bytes()[:-16_384] + filler * 16_384)


def test_the_database_is_read_and_left_as_it_is(home: Path, offering: Loopback) -> None:
    patient = at(home, offering)
    with desk(patient.paths.sessions) as opened:
        opened.say("Hello")
        beside = patient.findings()  # while a chat is open
    before = {path: path.read_bytes() for path in patient.paths.data.iterdir()}
    assert beside["database"].state == patient.findings()["database"].state == "ok"
    assert "1 session" in beside["database"].text
    assert {path: path.read_bytes() for path in patient.paths.data.iterdir()} == before


@pytest.mark.parametrize("filler", [b"", b"\xff", b"\0"], ids=["no database", "ones", "zeros"])
def test_a_corrupted_database(home: Path, offering: Loopback, filler: bytes) -> None:
    patient = at(home, offering)
    file = patient.paths.sessions
    with desk(file) as opened:
        for _ in range(20):
            opened.say("Hello " * 200)
    if filler:
        corrupt(file, filler)
    else:
        file.write_text("This is no database, and never was one. " * 200)
    before = file.read_bytes()
    found = patient.findings()
    assert_wrong(found, "database", 1, str(file), "is damaged", "sets it aside", ".recover")
    assert file.read_bytes() == before


def test_a_database_of_another_program(home: Path, offering: Loopback) -> None:
    patient = at(home, offering)
    patient.paths.data.mkdir(parents=True)
    with closing(sqlite3.connect(patient.paths.sessions)) as connection:
        connection.execute("CREATE TABLE session (x)")
    assert_wrong(patient.findings(), "database", 1, "not one of chatrepl's", "Move it away")


def test_a_data_directory_that_is_none(home: Path, offering: Loopback) -> None:
    patient = at(home, offering)
    patient.paths.data.parent.mkdir()
    patient.paths.data.write_text("a file, where a folder should be")
    assert_wrong(patient.findings(), "database", 1, str(patient.paths.data), "CHATREPL_HOME")


def test_a_damaged_vocabulary(home: Path, offering: Loopback) -> None:
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(chatrepl.__file__).parent, home / "here" / "chatrepl", ignore=ignored)
    file = home / "here" / "chatrepl" / "data" / "o200k_base.tiktoken"
    file.write_bytes(file.read_bytes()[:-2] + b"9\n")
    arguments = ("doctor", "--base-url", offering.base_url, "-m", "gpt-4")
    done = subprocess.run(
        [sys.executable, "-P", *COMMAND[1:], *arguments],
        env=environment(home, {"PYTHONPATH": str(home / "here")}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("wrong")]
    assert "vocabulary o200k_base is damaged" in line
    assert "Install chatrepl anew, from where it came." in line


def test_a_damaged_model(home: Path, offering: Loopback) -> None:
    pytest.importorskip("xllamacpp", reason="xllamacpp is not installed (the extra 'local')")
    patient = at(home, offering)
    file = smollm2.model_file(patient.paths.data)
    file.parent.mkdir(parents=True)
    with file.open("wb") as empty:
        empty.truncate(98_362_432)  # as long as it should be
    assert_wrong(patient.findings(), "embedded", 1, str(file), "Remove it")


def test_the_embedded_model_is_run(home_with_model: Path) -> None:
    found = Patient(home_with_model).findings()
    assert {one.state for one in found.values()} == {"ok", "skipped"}
    assert found["embedded"].text.startswith("SmolLM2-135M-Instruct runs")


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        ("\udcff", "config", ["can't be read", "remove it"]),
        ('modle = "m"', "config", ["line 1", "'modle'", "'model'"]),
        ("= 1", "config", ["not valid TOML"]),
        ('provider = "opnai"', "provider", ["'opnai'", "'openai'"]),
        ('model = "gpt-4"\nmax_tokens = 9000', "provider", ["max_tokens (9,000)"]),
        ('[providers.openai]\nbase_url = "x"', "provider", ["base_url"]),
    ],
)
def test_a_bad_config_file_is_told_and_the_rest_checked(
    home: Path, text: str, name: str, words: list[str]
) -> None:
    config = home / "c.toml"
    config.write_text(text, errors="surrogateescape")
    found = Patient(home, config=config).findings()
    assert_wrong(found, name, 2, *words)
    assert found["endpoint"].state == "skipped"
    assert found["vocabulary"].state == found["database"].state == "ok"


def test_a_config_file_with_a_secret_that_others_may_read(home: Path, offering: Loopback) -> None:
    config = home / "c.toml"
    config.write_text(f'[providers.mine]\nbase_url = "{offering.base_url}"\napi_key = "{KEY}"\n')
    config.chmod(0o644)
    found = Patient(home, Flags(model="gpt-4"), config).findings()
    assert_wrong(found, "config", 2, "others may read", f"Run: chmod 600 {config}")
    assert found["key"].origin == f"api_key in {config}"


class Latin(StringIO):
    """A terminal that can't show every letter."""

    encoding = "iso-8859-1"

    def isatty(self) -> bool:
        return True


def test_a_terminal_that_cannot_show_every_letter(home: Path, offering: Loopback) -> None:
    found = at(home, offering).findings(out=Latin())
    assert_wrong(found, "terminal", 2, "iso-8859-1", "Set LANG")
