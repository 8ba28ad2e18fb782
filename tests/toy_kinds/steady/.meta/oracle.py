from fixtures.recording.artifacts import number, read_json


def recompute(evidence, truth):
    return {"off": abs(number(read_json(evidence, "total")) - truth["total"])}
