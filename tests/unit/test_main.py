import os
import subprocess
import sys

import pytest

from evertick.__main__ import plain_server


@pytest.mark.parametrize(
    ("arguments", "plain"),
    [
        (["serve"], ("serve", {})),
        (["serve", "--port", "8001", "--data", "d"], ("serve", {"port": "8001", "data": "d"})),
        (["serve", "--roles", "web,schedule"], ("serve", {"roles": "web,schedule"})),
        (["worker", "--processes", "4"], ("worker", {"processes": "4"})),
        (["worker"], ("worker", {})),
        (["worker", "--port", "8001"], None),
        (["worker", "--processes", "0"], None),
        (["worker", "--processes", "x"], None),
        (["serve", "--port", "x"], None),
        (["serve", "--port"], None),
        (["serve", "--help"], None),
        (["serve", "--host", "--port"], None),
        (["serve", "extra", "8001"], None),
        (["demo"], None),
        ([], None),
    ],
)
def test_only_plain_options_pass_typer_by(arguments, plain):
    assert plain_server(arguments) == plain


def test_a_server_carries_neither_the_command_line_nor_what_other_modes_need():
    """Each is megabytes that it would hold for good; see the docstrings where they are imported late."""
    code = (
        "import sys; from evertick.lean import start_lean; start_lean(); "
        "import evertick.process, evertick.app, evertick.web.app, evertick.web.serve, evertick.web.connection, uvicorn.server; "
        "print(*sorted({name.split('.')[0] for name in sys.modules} | set(sys.modules)))"
    )
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    late = {"typer", "click", "rich", "alembic", "mako", "redis", "psycopg", "croniter", "prometheus_client", "babel",
            "numpy", "pandas", "sqlalchemy.orm", "evertick.simulator", "evertick.cli", "tracemalloc", "nh3",
            "evertick.reports.writer", "saq", "psycopg_pool", "evertick.distributed", "evertick.jobs.engine",
            "evertick.supervisor", "obstore", "evertick.archive.objects", "uvicorn.main", "multiprocessing",
            "sqlalchemy.dialects.postgresql"}  # fmt: skip
    assert loaded & late == set()
    assert {"evertick.app", "sqlalchemy", "fastapi"} <= loaded


def shown_by(*arguments: str) -> str:
    """What a stand-in for the server says of the Python that runs it."""
    code = (
        "import sys, evertick.lean as lean; lean.bytecode_is_kept = eval(sys.argv[1]); lean.without_docstrings(); "
        "print(sys.flags.optimize, sys.argv[1:])"
    )
    command = [sys.executable, *arguments[:-1], "-c", code, arguments[-1], "--port", "8001"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_a_server_goes_on_without_docstrings_with_the_same_arguments():
    assert shown_by("lambda: True") == "2 ['lambda: True', '--port', '8001']"


def test_it_stays_as_it_is_where_bytecode_cannot_be_kept():
    assert shown_by("lambda: False") == "0 ['lambda: False', '--port', '8001']"


def test_it_looks_whether_bytecode_can_be_kept(tmp_path):
    code = "from evertick.lean import bytecode_is_kept; print(bytecode_is_kept())"

    def kept(*options: str, **environment: str) -> str:
        given = {**os.environ, "PYTHONPYCACHEPREFIX": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "", **environment}
        command = [sys.executable, *options, "-c", code]
        return subprocess.run(command, capture_output=True, text=True, check=True, env=given).stdout.strip()

    assert kept(PYTHONDONTWRITEBYTECODE="1") == "False"
    subprocess.run(
        [sys.executable, "-OO", "-c", "import json, sqlalchemy, evertick.process"], check=True,
        env={**os.environ, "PYTHONPYCACHEPREFIX": str(tmp_path), "PYTHONDONTWRITEBYTECODE": ""},
    )  # fmt: skip
    assert kept(PYTHONDONTWRITEBYTECODE="1") == "True"


def test_uvicorns_command_can_be_imported_after_all():
    code = (
        "from evertick.lean import start_lean; start_lean(); import uvicorn, sys; assert 'click' not in sys.modules; "
        "from uvicorn.main import run; print(run.__name__, uvicorn.Config.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "run Config"


def test_rich_can_be_imported_after_all():
    code = "from evertick.lean import without_rich; without_rich(); import rich.table; print(rich.table.Table.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "Table"
