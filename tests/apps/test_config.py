"""Options from a TOML file: the command line's own parser reads them, and each complaint has its line."""

from __future__ import annotations

import argparse
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from knote.cli import config, main, pages
from knote.cli.arguments import Parser, seconds, size
from knote.cli.serve import _parser
from tests.apps.programs import exactly, serving
from tests.apps.proxy_headers import V4, line
from tests.apps.test_tls import FIRST, SECOND
from tests.support.waiting import wait_until

NO_PEM = Path(__file__).with_name("__init__.py")


def small() -> Parser:
    """A parser with an option of each kind."""
    parser = Parser("try", "Tries.", "  none")
    add = parser.add_argument
    add("address", nargs="*")
    add("--host")
    add("--count", type=int, default=3)
    add("--ratio", type=float, default=0.5)
    add("--wait", type=seconds, default=1.0)
    add("--size", type=size, default=1024.0)
    add("--form", choices=("human", "json"), default="human")
    add("--deep", action="store_true")
    add("--each", action="append", default=[])
    add("--inner", help=argparse.SUPPRESS)
    config.add_options(parser)
    return parser


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where it is."""
    return tmp_path / "options.toml"


def asked(file: Path, text: str, *words: str) -> Any:
    """What comes of it."""
    file.write_text(text)
    return config.parse(small(), ["--config", str(file), *words], [("address", "host")])


def complaint(file: Path, text: str | bytes, capfd: pytest.CaptureFixture[str], *words: str) -> str:
    """What is said instead, behind the file's name."""
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(SystemExit) as exit_:
        config.parse(small(), ["--config", str(file), *words])
    assert exit_.value.code == 2
    said = capfd.readouterr().err
    assert said.startswith(f"knote try: {file}:")
    assert said.endswith("\nTry 'knote try --help'.\n")
    return said.removeprefix(f"knote try: {file}:").partition("\nTry")[0]


def test_each_kind(file: Path) -> None:
    text = """
        # a comment
        address = ["a:1", "b:2"]
        count = 7
        ratio = 2
        wait = "300ms"
        size = "4K"
        form = "json"
        deep = true
        each = ["x", "-y"]
    """
    found = asked(file, text)
    assert found.address == ["a:1", "b:2"]
    assert (found.count, found.ratio, found.wait, found.size) == (7, 2.0, 0.3, 4096)
    assert (found.form, found.deep, found.each, found.host) == ("json", True, ["x", "-y"], None)
    assert found.sources["count"] == f"{file}:4"
    assert found.sources["each"] == f"{file}:10"
    assert "host" not in found.sources


def test_one_where_there_may_be_many_and_numbers_with_units(file: Path) -> None:
    found = asked(file, 'address = "a:1"\neach = "x"\nwait = 5\nsize = 100\ndeep = false\n')
    assert (found.address, found.each, found.wait, found.size, found.deep) == (["a:1"], ["x"], 5.0, 100.0, False)


def test_the_command_line_beats_it(file: Path) -> None:
    text = 'address = ["a:1"]\ncount = 7\neach = ["x"]\nform = "json"\n'
    found = asked(file, text, "--count", "9", "--each", "y", "b:2")
    assert (found.address, found.count, found.each, found.form) == (["b:2"], 9, ["y"], "json")
    assert set(found.sources) == {"form"}
    assert asked(file, text, "--count", "3").count == 3  # what happens to be the default is said all the same
    assert asked(file, text, "--host", "h").address == []  # the one is instead of the other
    assert asked(file, "").count == 3


def test_lines_of_statements_that_take_several(file: Path) -> None:
    text = 'host = """\na = 1\n# no comment\n"""\n\neach = [\n  "]",\n  # ]\n  "x",\n]\n"count" = 4\nratio=1.0'
    found = asked(file, text)
    assert (found.host, found.each) == ("a = 1\n# no comment\n", ["]", "x"])
    assert [found.sources[name].rpartition(":")[2] for name in ("host", "each", "count", "ratio")] == [
        "1", "6", "11", "12",
    ]  # fmt: skip


def test_a_long_list_is_not_read_once_for_each_of_its_lines(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A balancer's nets: 2000 lines took 5 s."""
    import tomllib

    loads, asked_for = tomllib.loads, []
    monkeypatch.setattr(tomllib, "loads", lambda text: asked_for.append(text) or loads(text))
    text = "count = 1\neach = [\n" + '  "x",\n' * 2000 + "]\nratio = 1"
    found = asked(file, text)
    assert (len(found.each), found.sources["ratio"]) == (2000, f"{file}:2004")
    assert len(asked_for) < 10


def test_lines_end_as_they_do_elsewhere(file: Path) -> None:
    assert asked(file, "\r\n\r\ncount = 4\r\nratio = 1\r\n").sources["count"] == f"{file}:3"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("\ncont = 7", "2: there is no option 'cont'; 'count' is meant?"),
        ("count = 1\nma_x = 7", "2: there is no option 'ma_x'; there are engine, address, host, count"),
        ('inner = "x"', "1: there is no option 'inner'; there are"),
        ('config = "x"', "1: there is no option 'config'"),
        ("[limits]\ncount = 1", "1: 'limits' is a table; options stand at the top of the file"),
        ("a.b = 1", "1: 'a' is a table"),
        ("[counts]\ncount = 1", "1: 'counts' is a table"),
        ("[[each]]", "1: each is a string, as in each = \"...\", not a table"),
        ('count = "7"', "1: count is a number, not the string '7'"),
        ("count = true", "1: count is a number, not true"),
        ("count = [1]", "1: count is one value, not the list [1]"),
        ("ratio = 1979-05-27", "1: ratio is a number, not a date or time (1979-05-27)"),
        ("host = 7", "1: host is a string, as in host = \"...\", not the number 7"),
        ("host = {a = 1}", "1: host is a string, as in host = \"...\", not a table"),
        ("deep = 1", "1: deep is true or false, not the number 1"),
        ("wait = true", "1: wait is a string"),
        ("each = [1]", "1: each is a string"),
        ("count = 1.5", "1: argument --count: invalid int value: '1.5'"),
        ('form = "xml"', "1: argument --form: invalid choice: 'xml'"),
        ('\n\nwait = "soon"', "3: argument --wait: 'soon' is no time: write seconds, or 300ms"),
        ("count = 1\ncount = 2", "2: Cannot overwrite a value"),
        ("count =\nratio = 1", "1: Invalid value (column 8)"),
        ("count = 1\neach = [1,\n\n", "2: "),
        ('host = "x\n', "1: "),
        (b"count = 1\nhost = \"\xff\"", "2: TOML is UTF-8, and byte 0xff here is not"),
    ],
)
def test_complaints_have_the_line(
    text: str | bytes, words: str, file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert complaint(file, text, capfd).startswith(words)


def test_what_is_refused_is_refused_in_the_same_words(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for key, value, word in (("count", "1.5", "1.5"), ("form", '"xml"', "xml"), ("size", '"-4"', "-4")):
        said = complaint(file, f"{key} = {value}", capfd)
        with pytest.raises(SystemExit):
            small().parse_args([f"--{key}={word}"])
        assert capfd.readouterr().err.startswith(f"knote try: {said.removeprefix('1: ')}\n")


def test_files_that_cannot_be_read(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "big").write_bytes(b"#" * (config.MOST + 1))
    for name, words in (("none", "No such file"), (".", "Is a directory"), ("big", "are no file of options")):
        with pytest.raises(SystemExit):
            config.parse(small(), ["--config", str(tmp_path / name)])
        said = capfd.readouterr().err
        assert said.startswith(f"knote try: --config {tmp_path / name}: ")
        assert words in said


def test_where_a_later_complaint_belongs(file: Path) -> None:
    found = asked(file, "count = 1\n\nratio = 2\n")
    assert config.placed(found, "--deep needs --ratio") == f"{file}:3: --deep needs --ratio"
    assert config.placed(found, "no such thing", "host", "count") == f"{file}:1: no such thing"
    assert config.placed(found, "no such thing", "host") == "no such thing"


def test_every_option_of_serve_can_stand_in_a_file() -> None:
    """The list of options is one: what the help shows is a key, but for what only a command line can say."""
    options = {
        action.option_strings[-1].removeprefix("--") or action.dest
        for action in pages.parser_of("serve")._actions
        if action.option_strings and action.help != "==SUPPRESS=="
    }
    assert options - config._actions(_parser()).keys() == {"help", "config", "check-config"}


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """`knote serve` in this process: it puts the current directory on the path."""
    monkeypatch.setattr(sys, "path", [*sys.path])


def served(text: str, file: Path, capfd: pytest.CaptureFixture[str], *words: str, status: int = 2) -> str:
    """What `knote serve` says instead of serving, after its name and the file's."""
    file.write_text(text)
    assert main(["serve", "--config", str(file), *words]) == status
    out, said = capfd.readouterr()
    assert not out
    assert said.startswith(f"knote serve: {file}:")
    return said.removeprefix(f"knote serve: {file}:").partition("\nTry")[0]


def test_a_server_from_a_file(file: Path) -> None:
    file.write_text('port = 0\nservice = "echo"\nlog = "json"\nproxy-from = ["127.0.0.1"]\nmax-connections = 10\n')
    with serving("--config", str(file), "--service", "upper") as server, server.client() as sock:
        sock.sendall(line(*V4) + b"abc")
        assert exactly(sock, 3) == b"ABC"
        assert server.process.stderr is not None
        assert json.loads(server.process.stderr.readline())["peer"] == "192.0.2.1:5000"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("\nmax-conections = 7", "2: there is no option 'max-conections'; 'max-connections' is meant?"),
        ("max-connections = -1", "1: argument --max-connections: -1: must be 0 or more"),
        ("max-buffer = 0", "1: argument --max-buffer: 0: must be 1 or more"),
        ("port = 65536", "1: argument --port: port '65536': must be a number from 0"),
        ('address = ["::1:7000"]', "1: '::1:7000': an IPv6 address stands in brackets"),
        ('\naddress = ["127.0.0.1:0"]\nport = 7000', "3: ADDRESS and --host or --port say the same twice"),
        ('\nservice = "lower"', "2: unknown service 'lower': choose upper"),
        ('tls-key = "key.pem"', "1: --tls-key and --tls-clients need --tls-cert"),
        ('\ntls-cert = "/none.pem"', "2: TLS: "),
        ('\nengine = "none"', "2: unknown engine 'none'"),
        ('proxy-from = ["10.0.0.1/8"]', "1: argument --proxy-from: '10.0.0.1/8' is an address in a net"),
        ("\nworker-lifetime = 5", "2: --worker-lifetime needs --workers"),
        ("\nworkers = 5000", "2: workers=5000: must be from 1 to 1024"),
        ('\nadmin = "0.0.0.0:0"', "2: --admin 0.0.0.0:0: anybody who reaches"),
        ('\nadmin = "9100"', "2: --admin 9100: '9100' has no port"),
        ('\nadmin = "127.0.0.1:99999"', "2: --admin 127.0.0.1:99999: port '99999'"),
        ('\naddress = "unix:a\\u0000b"', "2: 'unix:a\\x00b': no path has a NUL"),
        ('\nuser = "no\\u0000body"', r"2: --user no\000body: there is no such user"),
        (f'tls-cert = "{FIRST}"\ntls-key = "/none.pem"', "2: TLS: /none.pem: No such file or directory"),
        (f'tls-cert = "{FIRST}"\ntls-key = "{NO_PEM}"', f"2: TLS: {NO_PEM}: there is no '-----BEGIN ... PRIV"),
        (f'tls-cert = "{FIRST}"\ntls-key = "{SECOND}"', f"1: TLS: {FIRST} and {SECOND}: the key is not the"),
        (f'tls-cert = "{FIRST}"\ntls-clients = "/none.pem"', "2: TLS: /none.pem: No such file or directory"),
        (f'tls-cert = "{FIRST}"\ntls-clients = "{NO_PEM}"', f"2: TLS: {NO_PEM}: there is no '-----BEGIN ... C"),
        (f'tls-cert = "{NO_PEM}"', f"1: TLS: {NO_PEM}: there is no '-----BEGIN ... CERTIFICATE-----'"),
        ('\ntls-cert = "a\\u0000b"', r"2: TLS: a\000b: embedded null byte"),
    ],
)
@pytest.mark.usefixtures("here")
def test_what_serve_refuses_has_its_line(
    text: str, words: str, file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert served(text, file, capfd).startswith(words)
    assert served(text, file, capfd, "--check-config").startswith(words)


@pytest.mark.usefixtures("here")
def test_an_address_that_cannot_be_had_has_its_line(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        taken = f"127.0.0.1:{port}"
        for text, words in (
            (f'\naddress = ["127.0.0.1:0", "{taken}"]', f"2: cannot listen on {taken}: Address already in use"),
            (f"\n\nport = {port}", f"3: cannot listen on {taken}: "),
            (f'\nadmin = "{taken}"', f"2: cannot listen on --admin {taken}: Address already in use\n"),
        ):
            for more in ((), ("--workers", "1")):
                assert served(text, file, capfd, *more, status=1).startswith(words)



@pytest.mark.usefixtures("here")
def test_a_check_of_the_file(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    second = 'service = "tests.apps.services:twice"\nadmin = "127.0.0.1:0"'
    for text, words in (("", ()), (second, ("--workers", "2"))):
        file.write_text(text)
        assert main(["serve", "--check-config", "--config", str(file), *words]) == 0
        assert capfd.readouterr() == (f"{file}: nothing is wrong with it\n", "")
    assert main(["serve", "--check-config"]) == 0
    assert capfd.readouterr().out == "the command line: nothing is wrong with it\n"
    assert served('\n\nservice = "lower"', file, capfd, "--check-config").startswith("3: unknown service 'lower'")
    assert served('\nengine = "none"', file, capfd, "--check-config").startswith("2: unknown engine 'none'")
    assert served('user = "-"', file, capfd, "--check-config").startswith("1: --user -: there is no such user")


def test_a_reload_reads_the_file_again(file: Path) -> None:
    """By new workers; from a file that is wrong none comes, and the old ones serve on."""
    file.write_text('service = "upper"\nport = 0\nworkers = 1\n')

    def answer() -> bytes:
        with server.client() as sock:
            sock.sendall(b"x")
            return exactly(sock, 1)

    with serving("--config", str(file), stderr=subprocess.PIPE) as server:
        stderr = server.process.stderr
        assert stderr is not None
        assert answer() == b"X"
        file.write_text('service = "echo"\nport = 0\nworkers = 1\n')
        server.process.send_signal(signal.SIGHUP)
        assert b"reloaded" in stderr.readline()
        wait_until(lambda: answer() == b"x")  # the old one may have been accepting at that moment
        file.write_text('\nservise = "upper"\n')
        server.process.send_signal(signal.SIGHUP)
        said = stderr.readline().decode()  # once, and by the master
        assert said.startswith(
            f"knote serve: not reloaded, the old workers serve on: {file}:2: there is no option 'servise'"
        )
        file.write_text('service = "echo"\nport = 1\nworkers = 2\ndrain = "1s"\n')
        server.process.send_signal(signal.SIGHUP)
        assert stderr.readline() == (
            b"knote serve: worker 0: --port, --workers, --drain: changed, which is taken when the server "
            b"is started anew\n"
        )
        assert b"reloaded: 1 worker" in stderr.readline()
        assert answer() == b"x"
        assert server.stop() == 0
