"""Call `apply_update` after the notebook has run, with new gradients; some of them are not finite."""

import copy
import json

import numpy as np
import torch

from fixtures.training.cluster import flat_weights, replicate
from fixtures.training.models import GPT, GPTConfig, next_token_loss

RATE = 1e-3


def probe(notebook, inputs):
    apply_update, halt = notebook["apply_update"], notebook["Halt"]
    plan, questions = (json.loads((inputs / f"{name}.json").read_text()) for name in ("plan", "changes"))
    state = torch.load(inputs / "state.pt", weights_only=True)
    rows_RBT = torch.from_numpy(np.load(inputs / "rows.npy")).long()
    gradients = own_gradients(plan, state, rows_RBT)
    weights, answers = [], []
    for changes in questions:
        replicas, optimizers = ranks(plan, state, gradients)
        change(replicas, changes)
        before = [everything(*rank) for rank in zip(replicas, optimizers, strict=True)]
        answer = {"halted": False, "named": [], "raised": ""}
        try:
            apply_update(replicas, optimizers, RATE)
        except Exception as e:  # any exception is the answer to this case only
            answer["halted"] = isinstance(e, halt)
            answer["raised"] = f"{type(e).__name__}: {e}"[:160]
            answer["named"] = whole_numbers(getattr(e, "ranks", []))
        after = [everything(*rank) for rank in zip(replicas, optimizers, strict=True)]
        answer["touched"] = [rank for rank, (was, now) in enumerate(zip(before, after, strict=True)) if not torch.equal(was, now)]
        answer["agree"] = all(torch.equal(one, after[0]) for one in after)
        answers.append(answer)
        weights.append(weights_of(replicas).numpy())
    return {"answers": answers, "weights": np.stack(weights).astype(np.float32)}


def weights_of(replicas):
    return flat_weights(replicas[0].parameters())


def own_gradients(plan, state, rows_RBT):
    """Return each rank's gradients on its own rows, [rank][parameter]."""
    model = GPT(GPTConfig(**plan["model"]))
    model.load_state_dict(state["model"])
    gradients = []
    for rows_BT in rows_RBT:
        model.zero_grad()
        next_token_loss(model, rows_BT).backward()
        gradients.append([p.grad.clone() for p in model.parameters()])
    return gradients


def ranks(plan, state, gradients):
    """Return replicas with their gradients, and their optimizers, with the weights and moments of a checkpoint."""
    model = GPT(GPTConfig(**plan["model"]))
    model.load_state_dict(state["model"])
    replicas = replicate(model, len(gradients))
    optimizers = []
    for replica, own in zip(replicas, gradients, strict=True):
        for p, gradient in zip(replica.parameters(), own, strict=True):
            p.grad = gradient.clone()
        optimizer = torch.optim.AdamW(replica.parameters(), betas=tuple(plan["betas"]), weight_decay=plan["weight_decay"], fused=True)
        optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))
        optimizers.append(optimizer)
    return replicas, optimizers


def change(replicas, changes):
    for rank, name, how_many, how, value, place in changes:
        for key, p in replicas[rank].named_parameters():
            if how == "times":
                p.grad *= value
            elif key == name:
                p.grad.view(-1)[slice(None) if how_many == "all" else place] = float(value)


def everything(replica, optimizer):
    """Return all weights and moments of a rank as one vector."""
    moments = [value.flatten() for state in optimizer.state.values() for value in state.values() if torch.is_tensor(value)]
    return torch.cat([flat_weights(replica.parameters()), *moments])


def whole_numbers(values):
    try:
        return sorted({int(value) for value in ([values] if isinstance(values, int) else values)})
    except (TypeError, ValueError):
        return []
