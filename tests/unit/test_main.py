import subprocess
import sys

import pytest

from evertick.__main__ import plain_serve


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (["serve"], {}),
        (["serve", "--port", "8001", "--data", "d"], {"port": "8001", "data": "d"}),
        (["serve", "--port", "x"], None),
        (["serve", "--port"], None),
        (["serve", "--help"], None),
        (["serve", "--host", "--port"], None),
        (["serve", "extra", "8001"], None),
        (["demo"], None),
        ([], None),
    ],
)
def test_only_plain_options_pass_typer_by(arguments, options):
    assert plain_serve(arguments) == options


def test_a_server_carries_neither_the_command_line_nor_what_other_modes_need():
    """Each is megabytes that it would hold for good; see the docstrings where they are imported late."""
    code = (
        "import sys; from evertick.__main__ import _without_rich; _without_rich(); "
        "import evertick.process, evertick.app, evertick.web.app, evertick.web.serve; "
        "print(*sorted({name.split('.')[0] for name in sys.modules} | set(sys.modules)))"
    )
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    late = {"typer", "click", "rich", "alembic", "mako", "redis", "psycopg", "croniter", "prometheus_client", "babel",
            "numpy", "pandas", "sqlalchemy.orm", "evertick.simulator", "evertick.cli", "tracemalloc", "nh3",
            "evertick.reports.writer"}  # fmt: skip
    assert loaded & late == set()
    assert {"evertick.app", "sqlalchemy", "fastapi"} <= loaded


def test_rich_can_be_imported_after_all():
    code = "from evertick.__main__ import _without_rich; _without_rich(); import rich.table; print(rich.table.Table.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "Table"
