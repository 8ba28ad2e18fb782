from fixtures.recording.artifacts import BadArtifact, read_arrays, read_json


def recompute(evidence, truth):
    doubles = read_arrays(evidence, "probe").get("doubles")
    if read_json(evidence, "probe") != {"asked": 8} or doubles is None or doubles.shape != (8,) or doubles.dtype.kind not in "iuf":
        raise BadArtifact("probe.npz holds no `doubles` of 8 numbers")
    return {"wrong_answers": sum(d != 2 * n for d, n in zip(doubles, truth["numbers"], strict=True))}
