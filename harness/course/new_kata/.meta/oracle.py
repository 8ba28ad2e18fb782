"""What the judge measures itself, in a process of its own, from what the run left: weights, outputs, deliverables.

`evidence` is a folder that untrusted code wrote: read it with fixtures.recording.artifacts only. At least one measure must be a consequence that
every masking fix moves. torch may be imported here.
"""

from fixtures.recording.artifacts import number, read_json


def recompute(evidence, truth):
    """Return measurements by name."""
    return {"off": abs(number(read_json(evidence, "total")) - truth["total"])}
