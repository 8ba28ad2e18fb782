"""Call `train` with nine short jobs that the notebook has not seen, each on devices of its own; what these are asked for is noted."""

import importlib.util
import shutil

import numpy as np

from fixtures import cluster, devices, jobs


def probe(notebook, inputs):
    arrays, handed, errors = {}, {}, {}
    # All devices are delivered before the first job is trained, and what they are made of is taken away.
    delivered = {folder: delivery(folder / "devices") for folder in sorted(inputs.iterdir())}
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
            arrays[f"{folder.name}.{name}"] = np.array(products, dtype=np.int32).reshape(-1, 4)
    return arrays | {"handed": handed, "errors": errors}


def delivery(folder):
    """Return a job's devices by name, as the vendor delivers them, whatever the notebook has made of its own; and the products that each is asked for.

    A product is (layout, M, K, N). Devices are delivered once: nobody makes another one of the kind.
    """
    spec = importlib.util.spec_from_file_location("delivered_devices", devices.__file__)
    vendor = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(vendor)
    asked = {path.stem: [] for path in sorted(folder.glob("*.bin"))}
    pool = {name: vendor.Device((folder / f"{name}.bin").read_bytes(), name, noted(products)) for name, products in asked.items()}
    vendor.Device.__init__ = not_here
    shutil.rmtree(folder)
    return pool, asked


def noted(products):
    return lambda *product: products.append(product)


def not_here(device, *parts, **named):
    raise TypeError("a job's devices are delivered with it; none is made here")
