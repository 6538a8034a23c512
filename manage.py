#!/usr/bin/env python3
"""Runs one command of Breakeven; `manage.py help` lists them."""

from __future__ import annotations

import contextlib
import os
import sys


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")
    from dashboard.embedded import NOTHING_NEEDS_IT, Cluster
    from dashboard.embedded_host import DatabaseError
    from dashboard.env import BadEnvironment

    try:
        from django.conf import settings
        from django.core.management import execute_from_command_line

        command = sys.argv[1] if len(sys.argv) > 1 else "help"
        asks_for_help = {"-h", "--help"} & set(sys.argv)
        with contextlib.ExitStack() as stack:
            if settings.EMBEDDED_DATABASE and command not in NOTHING_NEEDS_IT and not asks_for_help:
                # Beside a running `make up` this joins its database; otherwise the command brings its own up and down.
                stack.enter_context(Cluster(settings.BREAKEVEN_HOME).use())
            execute_from_command_line(sys.argv)
    except (BadEnvironment, DatabaseError) as problem:
        print(problem, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
