"""Turn the evidence that a run left into a verdict: measures, bands, the oracle, the checks under pytest."""
