"""What the judge asks of `model` when the notebook has run, on documents that it has not met."""

import numpy as np
import torch


def probe(notebook, inputs):
    model = notebook["model"]
    documents_DT = torch.from_numpy(np.load(inputs / "documents.npy")).long()
    perturbed_DPT = torch.from_numpy(np.load(inputs / "perturbed.npy")).long()  # entry p: other tokens after position p
    validation_DT = notebook["validation"]
    answers = {"logits": ask(model, documents_DT[:, :-1]), "validation_logits": ask(model, validation_DT[:, :-1])}
    for mode in ("eval", "train"):
        answers[f"logits_{mode}"] = ask(model, documents_DT[: len(perturbed_DPT), :-1], mode)
        flat_BT = perturbed_DPT[..., :-1].flatten(0, 1)
        answers[f"perturbed_{mode}"] = ask(model, flat_BT, mode).reshape(*perturbed_DPT.shape[:2], *answers["logits"].shape[1:])
    answers |= {f"hidden_{name}": value for name, value in hidden(model, documents_DT[0, :-1], perturbed_DPT[0, :, :-1]).items()}
    return answers


@torch.no_grad()
def ask(model, idx_BT, mode="eval"):
    """Return the model's logits, [B, T, V] in float32; in training mode each document meets the same random numbers."""
    model.train(mode == "train")
    parts = []
    for part_BT in idx_BT.split(1 if mode == "train" else 128):
        torch.manual_seed(0)
        parts.append(model(part_BT).float())
    model.eval()
    return torch.cat(parts).numpy()


@torch.no_grad()
def hidden(model, idx_T, perturbed_PT):
    """Return, for each module that puts out [1, T, C], its output for a document and for its perturbed copies, [1+P, T, C]."""
    outputs, T = {}, len(idx_T)

    def keep(name):
        def hook(module, args, output):
            if isinstance(output, torch.Tensor) and output.ndim == 3 and output.shape[:2] == (1, T):
                outputs.setdefault(name, []).append(output[0].float())

        return hook

    handles = [module.register_forward_hook(keep(name)) for name, module in model.named_modules() if name]
    for row_T in (idx_T, *perturbed_PT):
        model(row_T[None])
    for handle in handles:
        handle.remove()
    return {name: torch.stack(rows).numpy() for name, rows in outputs.items() if len(rows) == 1 + len(perturbed_PT)}
