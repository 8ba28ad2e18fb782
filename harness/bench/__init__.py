"""Measure what the lab adds to a training run, and write the benchmark page."""
