"""Call `model` on held-out documents, after the notebook has run."""

import numpy as np
import torch

ROWS = 12  # as in training


def probe(notebook, inputs):
    model = notebook["model"]
    documents_DT, validation_DT = load(inputs / "documents.npy")[:, :-1], load(inputs / "validation.npy")[:, :-1]
    perturbed_PBT = load(inputs / "perturbed.npy")[..., :-1]  # entry p has other tokens after position p
    first_BT = documents_DT[:ROWS]
    return {
        "logits": ask(model, documents_DT),
        "validation_logits": ask(model, validation_DT),
        "perturbed_eval": ask(model, perturbed_PBT.flatten(0, 1)),
        "own_train": ask(model, first_BT, training=True),
        "perturbed_train": ask(model, perturbed_PBT.flatten(0, 1), training=True),
        # the same documents shortened to 1, 2, … tokens, side by side
        "shorter": np.concatenate([ask(model, first_BT[:, :length]) for length in range(1, first_BT.shape[1])], axis=1),
    }


def load(path):
    return torch.from_numpy(np.load(path)).long()


def ask(model, idx_BT, training=False):
    """Return the model's logits, [B, T, V] in float32; each batch starts from the same random state."""
    model.train(training)
    parts = []
    for part_BT in idx_BT.split(ROWS):
        torch.manual_seed(0)
        with torch.set_grad_enabled(training):
            parts.append(model(part_BT).detach().float())
    model.eval()
    return torch.cat(parts).numpy()
