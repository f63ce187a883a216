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
        "import sys; from evertick.lean import without_rich; without_rich(); "
        "import evertick.process, evertick.app, evertick.web.app, evertick.web.serve; "
        "print(*sorted({name.split('.')[0] for name in sys.modules} | set(sys.modules)))"
    )
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    late = {"typer", "click", "rich", "alembic", "mako", "redis", "psycopg", "croniter", "prometheus_client", "babel",
            "numpy", "pandas", "sqlalchemy.orm", "evertick.simulator", "evertick.cli", "tracemalloc", "nh3",
            "evertick.reports.writer", "saq", "psycopg_pool", "evertick.distributed", "evertick.jobs.engine",
            "evertick.supervisor", "obstore", "evertick.archive.objects"}  # fmt: skip
    assert loaded & late == set()
    assert {"evertick.app", "sqlalchemy", "fastapi"} <= loaded


def test_rich_can_be_imported_after_all():
    code = "from evertick.lean import without_rich; without_rich(); import rich.table; print(rich.table.Table.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "Table"
