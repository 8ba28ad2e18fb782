"""The lab's judge: runs a kata's notebook, looks at what the run left behind, and says whether it is repaired."""

import sys

# nbformat imports jsonschema, which imports rfc3987_syntax when jupyter has installed it, which compiles a grammar:
# 2.4 of the 3.2 s that `import nbformat` took. It serves only the validation of international URLs, and jsonschema
# does without it when the import fails.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]


def load_ipython_extension(shell: object) -> None:
    """Make `%load_ext harness` work."""
    from harness import magic

    magic.load_ipython_extension(shell)
