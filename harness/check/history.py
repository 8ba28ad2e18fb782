"""What a learner did, in order: one append-only file of JSON lines, `.runs/attempts.jsonl`."""

from __future__ import annotations

import json
import time
from typing import Any

from fixtures.recording.journal import runs_folder
from harness.course.kata import Kata

Entry = dict[str, Any]


def remember(kata: Kata, event: str, **entry: Any) -> None:
    """Append an event: "opened", "hint" when one is shown, "attempt", "gave_up"."""
    runs_folder().mkdir(exist_ok=True)
    line = json.dumps({"time": round(time.time(), 3), "kata": kata.slug, "event": event} | entry)
    with (runs_folder() / "attempts.jsonl").open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def remembered(slug: str, event: str) -> list[Entry]:
    """Return the events of one kind for a kata, oldest first; a line that was cut off is skipped."""
    return [entry for entry in _entries() if entry.get("kata") == slug and entry.get("event") == event]


def _entries() -> list[Entry]:
    path = runs_folder() / "attempts.jsonl"
    if not path.exists():
        return []
    found = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            found.append(entry)
    return found
