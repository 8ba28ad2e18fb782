"""Ask for the doubles of numbers that are not known before."""

import json

import numpy as np


def probe(notebook, inputs):
    numbers = json.loads((inputs / "numbers.json").read_text())
    return {"doubles": np.array([notebook["double"](n) for n in numbers]), "asked": len(numbers)}
