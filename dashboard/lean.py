"""Loads pandas without pyarrow: pandas takes it along when it is installed, forty megabytes in every process.

Only the reader of Parquet files needs pyarrow, and loads it itself when there is one to read.
"""

from __future__ import annotations

import sys


def load_pandas() -> None:
    """To be called before anything else imports pandas; later it does nothing."""
    if "pandas" in sys.modules or "pyarrow" in sys.modules:
        return
    sys.modules["pyarrow"] = None  # type: ignore[assignment]  # makes `import pyarrow` fail, as if it were not installed
    try:
        import pandas  # noqa: F401
    finally:
        del sys.modules["pyarrow"]
