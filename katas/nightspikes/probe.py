"""Call `train` with eight short jobs that the notebook has not seen, each on devices of its own; what these are asked for is noted."""

import importlib.util
import json
import math
import shutil

import jobs
import numpy as np

from fixtures.training import cluster


def probe(notebook, inputs):
    arrays, handed, errors = {}, {}, {}
    # All devices are delivered before the first job is trained, and what they are made of is taken away.
    delivered = {folder: delivery(folder, inputs / "vendor.py") for folder in sorted(inputs.glob("job-*"))}
    for folder, (pool, asked) in delivered.items():
        job = jobs.open_job(folder, lambda *row, **columns: None, pool)
        arrays[f"{folder.name}.start"] = cluster.flat_weights(job.replicas[0].parameters()).numpy()
        try:
            hold_back = notebook["train"](job)
            handed[folder.name] = {kind: sorted(str(name) for name in hold_back[kind]) for kind in ("devices", "shards")}
        except Exception as e:  # whatever it is, it is the answer to this job alone
            errors[folder.name] = f"{type(e).__name__}: {e}"[:200]
        for rank, replica in enumerate(job.replicas):
            arrays[f"{folder.name}.{rank}"] = cluster.flat_weights(replica.parameters()).numpy()
        for name, products in asked.items():
            arrays[f"{folder.name}.{name}"] = np.array(products, dtype=float).reshape(-1, 5)
    return arrays | {"handed": handed, "errors": errors}


def delivery(folder, vendors):
    """Return a job's devices by name, as the vendor delivers them, whatever the notebook has made of its own; and the products that each is asked for.

    Devices are delivered once: nobody makes another one of the kind.
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
    """Return a device whose products are noted as (layout, M, K, N, sum of squares in the second operand's first `width` rows and columns).

    The sum tells which weight it was, also when it is transposed, or has another row or column to check the product by.
    """
    operand = [math.nan]
    device = make(silicon, name, lambda *product: products.append((*product, operand[0])))
    multiply = device._multiply

    def noting(layout, a_MK, b_KN):
        operand[0] = float(b_KN[:width, :width].double().square().sum())
        return multiply(layout, a_MK, b_KN)

    device._multiply = noting
    return device


def not_here(device, *parts, **named):
    raise TypeError("a job's devices are delivered with it; none is made here")
