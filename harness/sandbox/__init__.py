"""Run one notebook in a sandbox: bubblewrap and limits, the fork server, papermill's engine, the watchdog."""
