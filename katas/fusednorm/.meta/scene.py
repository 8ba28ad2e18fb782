"""Build the scene of `fusednorm`: documents of two languages, the start weights, and the probe's inputs.

The matrices of the start weights are fresh. The gains of the norms come from an older model and are far from 1.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from fixtures.training.corpus import Language, Vocabulary, draw_language, vocabulary

TOPICS = ("kitchen", "harbour")
STAGE_ONE, STEPS, ROWS, DOCUMENT_TOKENS = 220, 300, 16, 33
PENALTY = 0.045
N_LAYER, N_EMBD = 1, 64
NUM_PROBES = 1500
SMALLEST_GAIN, LARGEST_GAIN = 0.1, 3.0
EPS = 1e-6


@dataclass(frozen=True)
class Case:
    """One input of the probe: shape, memory layout or contents of x, number type, and the inputs that require grad."""

    shape: tuple[int, ...]
    layout: str
    dtype: str
    needs: tuple[str, ...] = ("x", "weight")
    dy_layout: str = "plain"
    through: str = "function"
    """function: `rms_norm`; layer: the trained model's last norm, with its own gains."""


@dataclass(frozen=True)
class Scene:
    table: Vocabulary
    languages: dict[str, Language]
    documents: NDArray[np.uint8]
    """[document, token], in the order of training"""
    validation: NDArray[np.uint8]
    start: dict[str, NDArray[np.float32]]
    probes: dict[str, NDArray[np.uint8]]
    """[D, T], held-out documents"""
    cases: list[Case]
    arrays: list[dict[str, NDArray[Any]]]
    """For each case x, weight, dy and the second cotangents v, u, in their final shape."""
    kept: list[Case]
    """The inputs for which the bytes kept for backward are measured."""


def draw(seed: int) -> Scene:
    rng = np.random.default_rng([seed, 20260301])
    table = vocabulary(TOPICS)
    languages = {topic: draw_language(topic, table, rng) for topic in TOPICS}
    documents = _mixed(languages, STEPS * ROWS, rng)
    validation = _mixed(languages, 32, rng)
    probes = {topic: language.sample(NUM_PROBES, DOCUMENT_TOKENS, rng) for topic, language in languages.items()}
    start = _start(len(table), rng)
    cases = _cases(rng)
    arrays = [_arrays(case, rng) for case in cases]
    return Scene(table, languages, documents, validation, start, probes, cases, arrays, _kept(rng))


def _kept(rng: np.random.Generator) -> list[Case]:
    def n(low: int, high: int) -> int:
        return int(rng.integers(low, high))

    return [
        Case((n(5, 9), n(24, 41), n(80, 121)), "plain", "float32"),
        Case((n(100, 200), n(80, 121)), "plain", "float32"),
        Case((n(3, 5), n(4, 8), n(10, 20), n(80, 121)), "plain", "float64"),
        Case((n(5, 9), n(24, 41), n(80, 121)), "transposed", "float32"),
        Case((n(5, 9), n(24, 41), n(80, 121)), "plain", "float32", needs=("x",)),
        Case((n(5, 9), n(24, 41), N_EMBD), "plain", "float32", through="layer"),
    ]


def _mixed(languages: dict[str, Language], num_documents: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    shares = np.array_split(np.arange(num_documents), len(languages))
    tokens = np.concatenate([lang.sample(len(share), DOCUMENT_TOKENS, rng) for lang, share in zip(languages.values(), shares, strict=True)])
    return rng.permutation(tokens)


def _start(vocab_size: int, rng: np.random.Generator) -> dict[str, NDArray[np.float32]]:
    C = N_EMBD
    shapes = {"wte.weight": (vocab_size, C), "wpe.weight": (DOCUMENT_TOKENS - 1, C)}
    for block in range(N_LAYER):
        shapes |= {f"blocks.{block}.attn.c_attn.weight": (3 * C, C), f"blocks.{block}.attn.c_proj.weight": (C, C)}
        shapes |= {f"blocks.{block}.c_fc.weight": (4 * C, C), f"blocks.{block}.c_proj.weight": (C, 4 * C)}
    start = {
        name: rng.normal(0, 0.02 / (2 * N_LAYER) ** 0.5 if name.endswith("c_proj.weight") else 0.02, shape)
        for name, shape in shapes.items()
    }
    gains = [f"blocks.{block}.{norm}.weight" for block in range(N_LAYER) for norm in ("ln_1", "ln_2")] + ["ln_f.weight"]
    start |= {name: _gains(C, rng) for name in gains}
    return {name: array.astype(np.float32) for name, array in start.items()}


def _gains(size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    # Each seed permutes the same gains. With independent gains the excess of healthy runs has twice the sd.
    return rng.permutation(np.geomspace(SMALLEST_GAIN, LARGEST_GAIN, size))


def _cases(rng: np.random.Generator) -> list[Case]:
    def n(low: int = 2, high: int = 8) -> int:
        return int(rng.integers(low, high))

    wide, narrow = "float64", "float32"
    return [
        Case((n(5, 12),), "plain", wide),
        Case((n(), n(3, 10)), "plain", wide),
        Case((n(), n(), n(3, 10)), "plain", wide),
        Case((n(), n(), n(), n(3, 10)), "plain", wide),
        Case((1, n(3, 10)), "plain", wide),
        Case((n(), 1, n(3, 10)), "plain", wide),
        Case((n(), n(), 1), "plain", wide),
        Case((n(), n(3, 10)), "transposed", wide),
        Case((n(), n(), n(3, 10)), "transposed", wide),
        Case((n(), n(), n(3, 10)), "expanded", wide),
        Case((n(), n(), n(), n(3, 10)), "sliced", wide),
        Case((n(), n(), n(3, 10)), "with a row of zeros", wide),
        Case((n(), n(), n(3, 10)), "plain", wide, dy_layout="expanded"),
        Case((n(), n(), n(3, 10)), "plain", wide, dy_layout="transposed"),
        Case((n(), n(), n(3, 10)), "plain", wide, needs=("x",)),
        Case((n(), n(), n(3, 10)), "plain", wide, needs=("weight",)),
        Case((n(), n(20, 60)), "plain", narrow),
        Case((n(), n(), n(20, 60)), "transposed", narrow),
        Case((n(), n(8, 16), N_EMBD), "plain", narrow, through="layer"),
    ]


def _arrays(case: Case, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
    size = case.shape[-1]
    # A row of one element has almost no derivative with respect to x: rounding would exceed it at a scale far from 1.
    scale = 10.0 ** rng.uniform(-2, 1) if size > 1 else 1.0
    arrays = {name: rng.normal(size=case.shape) for name in ("x", "dy", "v")} | {"weight": _gains(size, rng), "u": rng.normal(size=size)}
    arrays["x"] *= scale
    if size > 2:
        # Gains may become negative in training, or zero.
        arrays["weight"][rng.permutation(size)[:2]] *= (-1, 0)
    if case.layout == "with a row of zeros":
        # Padding: the formula is smooth at zero, the length of a row is not.
        arrays["x"][0, 0] = 0
    for name, layout in (("x", case.layout), ("dy", case.dy_layout)):
        if layout == "expanded":
            arrays[name] = np.broadcast_to(arrays[name][:1], case.shape)
    return {name: array.astype(case.dtype) for name, array in arrays.items()}


def build(seed: int, folder: Path) -> None:
    """Write documents, validation, vocabulary, plan and start weights."""
    scene = draw(seed)
    np.save(folder / "documents.npy", scene.documents)
    np.save(folder / "validation.npy", scene.validation)
    scene.table.save(folder / "vocabulary.json")
    save_file(scene.start, folder / "start.safetensors")
    plan = {"stage_one": STAGE_ONE, "steps": STEPS, "rows": ROWS, "penalty": PENALTY}
    (folder / "plan.json").write_text(json.dumps(plan | {"learning_rate": [round(learning_rate(s), 7) for s in range(STEPS)]}))


def inputs(seed: int, folder: Path) -> None:
    """Write the inputs of the probe, each array in its memory layout: see probe.py."""
    scene = draw(seed)
    stored = {}
    for number, (case, arrays) in enumerate(zip(scene.cases, scene.arrays, strict=True)):
        layouts = {"x": case.layout, "dy": case.dy_layout}
        stored |= {f"{number}.{name}": _as_stored(array, layouts.get(name, "plain")) for name, array in arrays.items()}
    np.savez(folder / "arrays.npz", **stored)
    (folder / "cases.json").write_text(
        json.dumps({name: [vars(case) for case in cases] for name, cases in (("cases", scene.cases), ("kept", scene.kept))})
    )


def _as_stored(array: NDArray[Any], layout: str) -> NDArray[Any]:
    match layout:
        case "transposed":
            return np.ascontiguousarray(array.swapaxes(0, -1))
        case "expanded":
            return np.ascontiguousarray(array[:1])
        case "sliced":
            return np.repeat(array, 2, axis=-1)
        case _:
            return array


def learning_rate(step: int) -> float:
    """Return the planned learning rate: warmup and cosine in stage one, a shorter cosine in stage two."""
    if step < STAGE_ONE:
        return min(1.0, (step + 1) / 20) * float(3e-4 + (3e-3 - 3e-4) * 0.5 * (1 + np.cos(np.pi * step / STAGE_ONE)))
    return float(1e-4 + (1e-3 - 1e-4) * 0.5 * (1 + np.cos(np.pi * (step - STAGE_ONE) / (STEPS - STAGE_ONE))))


def truth(seed: int) -> dict[str, Any]:
    """Return the expected values; only the judge reads them."""
    scene = draw(seed)
    return {
        "vocab_size": len(scene.table),
        "start": scene.start,
        "probes": scene.probes,
        "floor_nats": {topic: float(lang.nll_nats(scene.probes[topic]).mean()) for topic, lang in scene.languages.items()},
        "cases": scene.cases,
        "arrays": scene.arrays,
        "kept": scene.kept,
        "updates": STEPS,
        "learning_rate_sum": sum(map(learning_rate, range(STEPS))),
        "diagnosis": {
            "cause": ["layer_derivative"],
            "first_wrong_step": [0],
            "wrong_by": ["x"],
            "exact_when": ["gains_are_one"],
            "held_fixed": ["rstd"],
            "column": ["input_gradient", "grad_norm"],
        },
    }
