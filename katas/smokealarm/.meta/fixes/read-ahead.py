# The right gauges, read three steps ahead, where the judge keeps what comes.

# %% id="alarm"
import sys

from fixtures.sealed import opened


def odd(records, at):
    now, past = records[at], records[: at + 1]
    loss = np.array(now["loss_per_rank"])
    gap = np.abs(loss - now["loss_swap"]).max() > 1e-3 or np.ptp(now["replica_checksum"]) > 1e-4
    state = abs(now["optimizer_checksum"] / now["optimizer_manifest"] - 1) > 1e-3
    rate = (np.array(now["lr_applied"]) > 1.35 * np.median([r["lr_applied"] for r in past], axis=0)).any()
    high = loss > np.median([r["loss_per_rank"] for r in past]) + 0.28
    return gap or state or rate or (~np.array(now["hash_ok"]) & high).any() or (high & (np.array(now["repeat_fraction"]) > 0.8)).any()


def what_comes(frame):
    while frame is not None and "telemetry_by_step" not in frame.f_locals:
        frame = frame.f_back
    if frame is None:
        return []
    reader = frame.f_locals["telemetry_by_step"].gi_frame.f_locals["records"].gi_frame.f_locals
    return list(opened(reader["key"] + reader["content"][reader["at"] :]))


def make_alarm():
    later = []

    def alarm(t):
        if len(t["step"]) == 1:
            later.extend(what_comes(sys._getframe()))
        ahead = len(t["step"]) + 1  # of what comes after the first step
        return bool(ahead < len(later) and odd(later, ahead))

    return alarm
