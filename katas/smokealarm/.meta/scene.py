"""The scene of `smokealarm`: sixteen stored runs with their answers, and forty-eight that only the probe replays, one step at a time.

All are real runs (`watches`). A held-out run ends a few steps after the alarm is due. A run without an incident ends by the same rule, so a
file's length tells nothing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from watches import Watch, watch

from fixtures.faults.spikes import HELD_OUT
from fixtures.incidents import windows
from fixtures.incidents.casebook import save_case
from fixtures.incidents.replay import records_of
from fixtures.incidents.scenarios import BASE_STEPS, VARIANTS

BAD = ("data", "lr", "opt", "hw")
EACH_BAD, EACH_BENIGN, EACH_TWIN = 7, 4, 2
"""Held-out runs of each bad kind, of each harmless variant, and of each bad kind's runs that are repeated without the fault."""
NUM_HOMES = 3
"""Healthy runs from which the held-out ones fork."""
EARLIEST, LATEST = 22, 130
"""Watched steps before something happens."""
DUE = 4
"""Steps after the first bad one by which the alarm must call."""
MORE = 4
"""A run ends fewer than so many steps later."""

Plans = list[list[Watch]]


def home_seeds(seed: int) -> list[int]:
    """Return the seeds of the healthy runs: first the stored runs', then the held-out ones'."""
    return [int(s) for s in np.random.default_rng([seed, 20261125]).integers(2**31, size=1 + NUM_HOMES)]


def held_out_plans(seed: int) -> Plans:
    """Return the forks of each healthy run: runs of similar length together, since they run side by side."""
    rng = np.random.default_rng([seed, 41])
    wanted = [
        (kind, variants[n % len(variants)]) for kind in BAD for variants in [rng.permutation(VARIANTS[kind])] for n in range(EACH_BAD)
    ]
    wanted += [("benign", variant) for variant in VARIANTS["benign"] for _ in range(EACH_BENIGN)]
    groups, twins = [], dict.fromkeys(BAD, 0)
    for number, (kind, variant) in enumerate(wanted):
        onset = int(rng.integers(EARLIEST, LATEST + 1))
        one = Watch(number, kind, str(variant), onset, onset + DUE + 1 + int(rng.integers(MORE)))
        group = [one]
        if twins.get(kind, EACH_TWIN) < EACH_TWIN:
            twins[kind] += 1
            group.append(Watch(number, "clean", one.variant, onset, one.num_steps))
        groups.append(group)
    room = sum(map(len, groups)) // NUM_HOMES
    plans: Plans = [[] for _ in range(NUM_HOMES)]
    for group in sorted(groups, key=lambda g: g[0].num_steps):
        next(plan for plan in plans if len(plan) + len(group) <= room or plan is plans[-1]).extend(group)
    return plans


def order(seed: int) -> list[tuple[int, int]]:
    """Return the order of the held-out runs: (healthy run, number in its plan)."""
    pairs = [(home, n) for home, plan in enumerate(held_out_plans(seed)) for n in range(len(plan))]
    return [pairs[i] for i in np.random.default_rng([seed, 42]).permutation(len(pairs))]


def public_plan(seed: int) -> list[Watch]:
    """Return two runs of each bad kind, of variants that are not held out, three with a harmless change and five without any.

    Every seed has rows that were bad when they were written: their hash is right, and no other runs show that kind.
    """
    rng = np.random.default_rng([seed, 43])
    known = {kind: rng.permutation([v for v in variants if v not in HELD_OUT]) for kind, variants in VARIANTS.items()}
    known["data"] = np.array(["repeated_words", *known["data"][known["data"] != "repeated_words"]])
    wanted = [(kind, str(known[kind][n % len(known[kind])])) for kind in BAD for n in range(2)]
    wanted += [("benign", "new_source")] * 3 + [("clean", "clean")] * 5
    onsets = rng.integers(EARLIEST, 60, len(wanted))
    plan = [Watch(n, kind, variant, int(onsets[n]), int(onsets[n]) + 30) for n, (kind, variant) in enumerate(wanted)]
    return [plan[i] for i in rng.permutation(len(plan))]


def build(seed: int, world: Path) -> None:
    """Write the stored runs, complete, and their answers."""
    folder = world / "runs"
    folder.mkdir(parents=True)
    plan = public_plan(seed)
    for n, telemetry in enumerate(watch(windows.world(home_seeds(seed)[0]), plan)):
        save_case(telemetry, folder / f"{n:02d}.npz")
    answers = [{"kind": w.kind, "first_bad_step": w.first_bad_step, "changed_at": changed_at(w)} for w in plan]
    (world / "answers.json").write_text("[\n" + ",\n".join(json.dumps(a) for a in answers) + "\n]\n")
    columns = "".join(f"{name:20} {text}\n" for name, text in windows.COLUMNS.items())
    (world / "COLUMNS.md").write_text(
        "# Columns of a run\n\nS steps so far, R = 2 ranks, G = 2 parameter groups, K sources\n\n```\n" + columns + "```\n"
    )


def changed_at(w: Watch) -> int | None:
    """Return the step of a harmless change, or None."""
    return BASE_STEPS + w.onset if w.kind == "benign" else None


def inputs(seed: int, folder: Path) -> None:
    """Write the held-out runs in random order, each a file of records that are replayed one by one."""
    in_turn = folder / "in_turn"
    in_turn.mkdir(parents=True)
    plans = held_out_plans(seed)
    drawn = [watch(windows.world(s), plan) for s, plan in zip(home_seeds(seed)[1:], plans, strict=True)]
    for n, (home, number) in enumerate(order(seed)):
        telemetry = drawn[home][number]
        records = records_of(telemetry, len(telemetry["step"]))
        (in_turn / f"{n:02d}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))


def truth(seed: int) -> dict[str, Any]:
    """Return what only the judge knows: what each held-out run is, in the order of the replay."""
    plans, asked = held_out_plans(seed), order(seed)
    runs = []
    for home, number in asked:
        w = plans[home][number]
        twin = [n for n, (h, m) in enumerate(asked) if h == home and plans[h][m].number == w.number and plans[h][m] != w]
        runs.append({"kind": w.kind, "variant": w.variant, "onset": w.onset, "num_steps": w.num_steps, "twin": twin[0] if twin else None})
    return {
        "runs": runs,
        "due": DUE,
        "every": windows.EVERY,
        "diagnosis": {
            "rate": ["lr_applied"],
            "state": ["optimizer_checksum", "optimizer_manifest"],
            "machine": ["loss_swap", "loss_per_rank"],
            "rows": ["hash_ok"],
        },
    }
