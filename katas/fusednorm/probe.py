"""Call `rms_norm` and the trained model's last norm on held-out inputs, and measure the bytes that they keep for backward."""

import json

import numpy as np
import torch
from autodiff import kept_bytes


def probe(notebook, inputs):
    functions = {"function": notebook["rms_norm"], "layer": through_layer(notebook["model"].ln_f)}
    asked, stored = json.loads((inputs / "cases.json").read_text()), np.load(inputs / "arrays.npz")
    answers, errors = {}, {}
    for number, case in enumerate(asked["cases"]):
        arrays = {name: torch.from_numpy(stored[f"{number}.{name}"]) for name in ("x", "weight", "dy", "v", "u")}
        for order, derivatives in (("first", first_derivatives), ("second", second_derivatives)):
            try:
                results = derivatives(functions[case["through"]], case, arrays)
            except Exception as e:  # any exception counts as the answer to this case
                errors[f"{number}.{order}"] = f"{type(e).__name__}: {e}"[:200]
            else:
                answers |= {f"{number}.{order}.{name}": tensor.detach().numpy() for name, tensor in results.items()}
    return answers | {"kept_bytes": kept(functions, asked["kept"], errors), "errors": errors}


def through_layer(layer):
    """Return the layer as a function of x and weight that uses its own weight."""
    return lambda x, weight: layer(x)


def laid_out(tensor, layout, shape):
    """Return the tensor in the shape and memory layout of the case."""
    match layout:
        case "transposed":
            return tensor.transpose(0, -1)
        case "expanded":
            return tensor.expand(shape)
        case "sliced":
            return tensor[..., ::2]
        case _:
            return tensor


def first_derivatives(function, case, arrays):
    """Return y, and the derivatives of <y, dy> with respect to the inputs that require grad."""
    x, weight, dy = prepared(case, arrays)
    y = function(x, weight)
    names = differentiable(case)
    gradients = torch.autograd.grad(y, [{"x": x, "weight": weight}[name] for name in names], dy)
    return {"y": y} | dict(zip(names, gradients, strict=True))


def second_derivatives(function, case, arrays):
    """Return the derivatives of <dx, v> + <dweight, u> with respect to dy and the inputs that require grad."""
    x, weight, dy = prepared(case, arrays)
    dy = dy.requires_grad_()
    by = {name: {"x": x, "weight": weight}[name] for name in differentiable(case)}
    gradients = torch.autograd.grad(function(x, weight), list(by.values()), dy, create_graph=True)
    cotangents = {"x": arrays["v"], "weight": arrays["u"]}
    slope = sum((gradient * cotangents[name]).sum() for name, gradient in zip(by, gradients, strict=True))
    by["dy"] = dy
    results = torch.autograd.grad(slope, list(by.values()), allow_unused=True)
    return {name: torch.zeros_like(t) if r is None else r for (name, t), r in zip(by.items(), results, strict=True)}


def prepared(case, arrays):
    x = laid_out(arrays["x"], case["layout"], case["shape"]).detach().requires_grad_("x" in case["needs"])
    weight = arrays["weight"].detach().requires_grad_("weight" in case["needs"])
    return x, weight, laid_out(arrays["dy"], case["dy_layout"], case["shape"]).detach()


def differentiable(case):
    """Return the inputs whose derivatives the case needs; a layer's own weight is not one of them."""
    return [name for name in case["needs"] if case["through"] == "function" or name == "x"]


def kept(functions, cases, errors):
    """Return the bytes that each case keeps for backward; None where the call fails."""
    found = []
    for number, case in enumerate(cases):
        dtype, shape = getattr(torch, case["dtype"]), case["shape"]
        x = torch.randn(*reversed(shape) if case["layout"] == "transposed" else shape, dtype=dtype)
        x = (x.permute(*reversed(range(x.ndim))) if case["layout"] == "transposed" else x).requires_grad_()
        weight = torch.ones(shape[-1], dtype=dtype, requires_grad="weight" in case["needs"])
        try:
            found.append(kept_bytes(functions[case["through"]], x, weight))
        except Exception as e:
            found.append(None)
            errors[f"kept.{number}"] = f"{type(e).__name__}: {e}"[:200]
    return found
