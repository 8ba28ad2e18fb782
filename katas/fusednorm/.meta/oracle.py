"""Measure a run of `fusednorm`: both models on held-out documents, and the norm's derivatives against autograd."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from fixtures.recording.artifacts import load_weights, number, read_arrays, read_json
from fixtures.training.models import GPT, GPTConfig, document_nll_nats

torch.set_num_threads(1)
EPS = 1e-6
ORDERS, DTYPES = ("first", "second"), ("float64", "float32")
NUM_PENALISED = 300
"""Documents of each language for the measurement of the input gradient."""
SMALLEST_SCALE = 0.1
"""An error is relative to the largest expected element, or to this if that is smaller."""


class ReferenceGPT(GPT):
    """The notebook's model with PyTorch's own norm."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__(config)
        self.ln_f = nn.RMSNorm(config.n_embd, eps=EPS)
        for block in self.blocks:
            block.ln_1, block.ln_2 = nn.RMSNorm(config.n_embd, eps=EPS), nn.RMSNorm(config.n_embd, eps=EPS)

    def squared_input_gradient(self, tokens_BT: Tensor) -> float:
        """Return the quantity that stage two penalises, averaged over all tokens."""
        idx_BT, targets_BT = tokens_BT[:, :-1], tokens_BT[:, 1:]
        x_BTC = (self.wte(idx_BT) + self.wpe(torch.arange(idx_BT.shape[1]))).detach().requires_grad_()
        y_BTC = x_BTC
        with sdpa_kernel(SDPBackend.MATH):
            for block in self.blocks:
                y_BTC = block(y_BTC)
        logits_BTV = F.linear(self.ln_f(y_BTC), self.wte.weight)
        loss = F.cross_entropy(logits_BTV.flatten(0, 1), targets_BT.flatten(), reduction="sum")
        (gradient_BTC,) = torch.autograd.grad(loss, x_BTC)
        return float(gradient_BTC.square().sum(-1).mean())


def recompute(evidence: Path, truth: dict[str, Any]) -> dict[str, Any]:
    """Return measurements by name; raise BadArtifact when the weights cannot be read."""
    base, final = _model(evidence, "base", truth), _model(evidence, "final-rank0", truth)
    some = torch.from_numpy(np.concatenate([probe[:NUM_PENALISED] for probe in truth["probes"].values()])).long()
    return (
        {
            "base_excess_nats": _excess_nats(base, truth),
            "final_excess_nats": _excess_nats(final, truth),
            "input_gradient": final.squared_input_gradient(some),
        }
        | _least_moved((truth["start"], base.state_dict()), (base.state_dict(), final.state_dict()))
        | _derivatives(evidence, truth, final)
        | _kept(evidence, truth)
    )


def _model(evidence: Path, name: str, truth: dict[str, Any]) -> ReferenceGPT:
    model = ReferenceGPT(GPTConfig(vocab_size=truth["vocab_size"], block_size=32, n_layer=1))
    load_weights(model, evidence, name)
    return model


def _excess_nats(model: GPT, truth: dict[str, Any]) -> float:
    losses = {topic: float(document_nll_nats(model, torch.from_numpy(probe).long()).mean()) for topic, probe in truth["probes"].items()}
    return sum(losses[topic] - floor for topic, floor in truth["floor_nats"].items()) / len(losses)


def _least_moved(*stages: tuple[dict[str, Any], dict[str, Any]]) -> dict[str, Any]:
    """Return the smallest, over tensors and stages, of the largest change of an element, and the tensor's name."""
    changes = [
        (float((torch.as_tensor(after[name]) - torch.as_tensor(before[name])).abs().max()), name)
        for before, after in stages
        for name in after
    ]
    value, name = min(changes)
    return {"least_moved": value, "least_moved_tensor": name}


def _derivatives(evidence: Path, truth: dict[str, Any], final: ReferenceGPT) -> dict[str, Any]:
    """Return for each order and number type the largest relative error of each case, and a description of the worst case."""
    given, raised = read_arrays(evidence, "probe"), _mapping(_answers(evidence).get("errors"))
    found: dict[str, list[tuple[float, str]]] = {f"{order}_error_{dtype}": [] for order in ORDERS for dtype in DTYPES}
    for index, (case, arrays) in enumerate(zip(truth["cases"], truth["arrays"], strict=True)):
        weight = final.ln_f.weight.detach().numpy() if case.through == "layer" else arrays["weight"]
        expected = _expected(case, arrays | {"weight": weight})
        for order in ORDERS:
            results = [(*_error(given.get(f"{index}.{order}.{name}"), array, case.dtype), name) for name, array in expected[order].items()]
            error, how, name = max(results)
            said_so = raised.get(f"{index}.{order}")
            how = f"{_meaning(order, name)} {how}" if said_so is None else f"no answer: {str(said_so)[:200]}"
            found[f"{order}_error_{case.dtype}"].append((error, f"{_described(case)}: {how}"))
    return {measure: [error for error, _ in cases] for measure, cases in found.items()} | {
        f"{measure}_worst": max(cases)[1] for measure, cases in found.items()
    }


def _expected(case: Any, arrays: dict[str, NDArray[Any]]) -> dict[str, dict[str, NDArray[np.float64]]]:
    """Return autograd's float64 results for the formula: arrays by name, for each order."""
    x, weight, dy, v, u = (torch.from_numpy(np.array(arrays[name], dtype=np.float64)) for name in ("x", "weight", "dy", "v", "u"))
    inputs, cotangents = {"x": x.requires_grad_(), "weight": weight.requires_grad_()}, {"x": v, "weight": u}
    dy.requires_grad_()
    by = {name: inputs[name] for name in case.needs if case.through == "function" or name == "x"}
    y = F.rms_norm(x, x.shape[-1:], weight, EPS)
    gradients = dict(zip(by, torch.autograd.grad(y, list(by.values()), dy, create_graph=True), strict=True))
    slope = torch.stack([(gradient * cotangents[name]).sum() for name, gradient in gradients.items()]).sum()
    by["dy"] = dy
    second = dict(zip(by, torch.autograd.grad(slope, list(by.values()), materialize_grads=True), strict=True))
    results = {"first": {"y": y} | gradients, "second": second}
    return {order: {name: tensor.detach().numpy() for name, tensor in tensors.items()} for order, tensors in results.items()}


def _error(array: NDArray[Any] | None, expected: NDArray[np.float64], dtype: str) -> tuple[float, str]:
    """Return the largest deviation relative to the largest expected element, and a description; inf for a wrong array."""
    if array is None:
        return math.inf, "is not in the answers"
    if array.shape != expected.shape or str(array.dtype) != dtype:
        return math.inf, f"is {array.dtype} {list(array.shape)}, expected {dtype} {list(expected.shape)}"
    if not np.isfinite(array).all():
        return math.inf, "has non-finite values"
    deviation, largest = float(np.abs(array - expected).max()), float(np.abs(expected).max())
    return deviation / max(largest, SMALLEST_SCALE), f"is wrong by up to {deviation:.1e}; the largest element is {largest:.1e}"


def _described(case: Any) -> str:
    needs = "" if len(case.needs) == 2 else f", only {case.needs[0]} requires grad"
    layouts = [f"{name} {layout}" for name, layout in (("x", case.layout), ("dy", case.dy_layout)) if layout != "plain"]
    return f"{'the layer' if case.through == 'layer' else 'rms_norm'}, x {list(case.shape)} {case.dtype}{''.join(f', {layout}' for layout in layouts)}{needs}"


def _meaning(order: str, name: str) -> str:
    if order == "second":
        return f"the second derivative with respect to {name}"
    return "y" if name == "y" else f"the derivative with respect to {name}"


def _kept(evidence: Path, truth: dict[str, Any]) -> dict[str, Any]:
    """Return the largest and the smallest ratio of bytes kept to the bytes of x, weight and one number per row.

    A layer's own weight is not counted.
    """
    said = _answers(evidence)
    kept, raised = said.get("kept_bytes"), _mapping(said.get("errors"))
    kept = kept if isinstance(kept, list) and len(kept) == len(truth["kept"]) else [None] * len(truth["kept"])
    shares = [number(nbytes) / _allowed(case) for nbytes, case in zip(kept, truth["kept"], strict=True)]
    most, least = max(range(len(shares)), key=lambda i: _or_infinite(shares[i])), min(range(len(shares)), key=lambda i: shares[i])
    why = raised.get(f"kept.{most}")
    return {
        "kept_share": shares[most],
        "kept_by": _described(truth["kept"][most]) + ("" if why is None else f" ({str(why)[:200]})"),
        "least_kept_share": shares[least],
        "least_kept_by": _described(truth["kept"][least]),
    }


def _allowed(case: Any) -> int:
    *rows, size = case.shape
    numbers = math.prod(rows) * (size + 1) + (size if case.through == "function" else 0)
    return numbers * (8 if case.dtype == "float64" else 4)


def _or_infinite(share: float) -> float:
    return math.inf if math.isnan(share) else share


def _answers(evidence: Path) -> dict[str, Any]:
    return _mapping(read_json(evidence, "probe"))


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
