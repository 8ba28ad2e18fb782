"""Show that a kata grades fairly: calibration, known fixes, forged reports, self-tests, receipts."""
