"""Call `train` with eight short jobs that the notebook has not seen, each on its own devices, and note which products these compute."""

import importlib.util
import json
import math
import shutil

import jobs
import numpy as np
import torch
from torch.linalg import vector_norm

from fixtures.training import cluster


def probe(notebook, inputs):
    arrays, handed, errors = {}, {}, {}
    # All devices are made before the first job is trained; then their files are removed.
    delivered = {folder: delivery(folder, inputs / "vendor.py") for folder in sorted(inputs.glob("job-*"))}
    for folder, (pool, asked) in delivered.items():
        job = jobs.open_job(folder, lambda *row, **columns: None, pool)
        arrays[f"{folder.name}.start"] = cluster.flat_weights(job.replicas[0].parameters()).numpy()
        try:
            hold_back = notebook["train"](job)
            handed[folder.name] = {kind: sorted(str(name) for name in hold_back[kind]) for kind in ("devices", "shards")}
        except Exception as e:  # any exception is the answer to this job only
            errors[folder.name] = f"{type(e).__name__}: {e}"[:200]
        for rank, replica in enumerate(job.replicas):
            arrays[f"{folder.name}.{rank}"] = cluster.flat_weights(replica.parameters()).numpy()
        for name, products in asked.items():
            arrays[f"{folder.name}.{name}"] = np.array(products, dtype=float).reshape(-1, 5)
    return arrays | {"handed": handed, "errors": errors}


def delivery(folder, vendors):
    """Return a job's devices by name, made from the vendor's own file, and the list of each one's products.

    Devices are made once: afterwards the constructor refuses.
    """
    spec = importlib.util.spec_from_file_location("delivered_devices", vendors)
    vendor = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(vendor)
    width = json.loads((folder / "plan.json").read_text())["model"]["n_embd"]
    asked = {path.stem: [] for path in sorted(folder.glob("devices/*.bin"))}
    pool = {
        name: noted(vendor.Device, (folder / "devices" / f"{name}.bin").read_bytes(), name, products, width)
        for name, products in asked.items()
    }
    vendor.Device.__init__ = not_here
    shutil.rmtree(folder / "devices")
    return pool, asked


def noted(make, silicon, name, products, width):
    """Return a device that notes each product as (layout, M, K, N, sum of squares in the second operand's first `width` rows and columns).

    The sum identifies a weight, also when it is transposed or has one more row or column.
    """
    operand = [math.nan]
    device = make(silicon, name, lambda *product: products.append((*product, operand[0])))
    multiply = device._multiply

    def noting(layout, a_MK, b_KN):
        operand[0] = float(vector_norm(b_KN[:width, :width], dtype=torch.float64)) ** 2
        return multiply(layout, a_MK, b_KN)

    device._multiply = noting
    return device


def not_here(device, *parts, **named):
    raise TypeError("a job comes with its devices; no others can be made")
