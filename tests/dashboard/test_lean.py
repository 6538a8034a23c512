"""Processes do not carry what they do not use."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
import dashboard.wsgi
assert "pandas" in sys.modules
assert "pyarrow" not in sys.modules, "pyarrow was loaded"
import pyarrow.parquet
import pandas as pd
assert pd.Series(["a", None]).isna().tolist() == [False, True]
print("lean")
"""


def test_the_web_server_loads_no_pyarrow_until_a_parquet_file_is_read() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "lean\n"), done.stderr
