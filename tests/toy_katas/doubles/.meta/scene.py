import json
import random


def draw(seed):
    return random.Random(seed).sample(range(1000), 8)


def build(seed, world):
    (world / "examples.json").write_text(json.dumps([[1, 2], [4, 8]]))


def inputs(seed, folder):
    (folder / "numbers.json").write_text(json.dumps(draw(seed)))


def truth(seed):
    return {"numbers": draw(seed), "diagnosis": {"cause": ["none"]}}
