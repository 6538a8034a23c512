"""kombu's filesystem transport, with messages that appear whole and a worker that stops quickly.

kombu opens the message file under its final name and writes it afterwards, so a worker that polls in between reads
half a message and dies. Writing under another name first and renaming closes that gap.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from typing import Any

from kombu.exceptions import ChannelError
from kombu.transport import filesystem

LOOK_UP_S = 0.5


class Channel(filesystem.Channel):
    def _put(self, queue: str, payload: Any, **kwargs: Any) -> None:  # type: ignore[override]
        name = f"{time.monotonic_ns() // 1_000_000}_{uuid.uuid4()}"
        hidden = os.path.join(self.data_folder_out, f".{name}")
        try:
            os.makedirs(self.data_folder_out, exist_ok=True)
            with open(hidden, "wb") as file:
                file.write(json.dumps(payload).encode())
            os.rename(hidden, os.path.join(self.data_folder_out, f"{name}.{queue}.msg"))
        except OSError as error:
            raise ChannelError(f"Cannot add a message to {self.data_folder_out}: {error.strerror}") from error


class Transport(filesystem.Transport):
    Channel = Channel

    def drain_events(self, connection: Any, timeout: float | None = None, **kwargs: Any) -> Any:
        """The worker looks for signals between two calls of this, and it asks for two seconds each."""
        return super().drain_events(connection, timeout=min(timeout or LOOK_UP_S, LOOK_UP_S))  # type: ignore[no-untyped-call]
