"""Katas' own modules lie in the katas' folders: tests import them as a notebook does."""

import sys
from pathlib import Path

KATAS = Path(__file__).parents[2] / "katas"
sys.path += [str(folder) for kata in sorted(KATAS.iterdir()) for folder in (kata, kata / ".meta") if folder.is_dir()]
