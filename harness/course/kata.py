"""A kata: one folder, read into frozen values; whatever is wrong with it is said in words its author can act on."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.course.errors import KataError, UsageError

SCHEMA = 2
OLD_KEYS = {
    "giveaways": "spoilers",
    "liar_satisfies": "forger_satisfies",
}
"""Keys of schema 1 that have another name now."""
DIAGNOSIS = "diagnosis"
"""Stands among the checks of a kata that a diagnosis decides: the diagnosis is wrong or missing."""
FailureClass = Literal[
    "data",
    "learning_rate",
    "optimizer_state",
    "numerics",
    "hardware",
    "distributed",
    "objective",
    "evaluation",
    "serving",
    "agent",
    "none",
]


class Table(BaseModel):
    """A toml table: frozen, and a key it does not know is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Budget(Table):
    """What one run of the notebook may use on two cores."""

    notebook_s: float = Field(gt=0)
    memory_gib: float = Field(gt=0)


class Cells(Table):
    editable: list[str] = Field(min_length=1)
    """Ids of the cells whose content is taken from the learner; all others are restored."""


Kind = Literal["repair", "leave", "read", "build"]


class KataToml(Table):
    schema_: int = Field(alias="schema")
    kind: Kind
    """repair: the shipped run goes wrong. leave: it is healthy, and the diagnosis decides. read: nothing is trained, stored telemetry
    is read. build: a component is written to a specification."""
    title: str
    track: str
    level: int = Field(ge=1, le=5)
    minutes: int = Field(gt=0)
    curve: str = ""
    """The telemetry column that is drawn over the steps; empty for a kata that has no curve."""
    budget: Budget
    cells: Cells


class Broken(Table):
    """What a run of the notebook as shipped must show."""

    fails: list[str] = []
    """Checks that must fail, at least; empty for a kata whose shipped run is healthy, or whose runs end in an error."""
    outcome: Literal["completed", "cell_error"] = "completed"

    @property
    def goes_wrong(self) -> bool:
        """Whether the run fails a check or ends in an error."""
        return bool(self.fails) or self.outcome != "completed"


class Edit(Table):
    """One replacement in one cell."""

    cell: str
    find: str = Field(min_length=1)
    """Occurs exactly once in the cell."""
    replace: str


class Fix(Table):
    """What a repair changes, in edits or as whole cells in `.meta/fixes/NAME.py`, and what a run with it must show."""

    name: str
    extends: str = ""
    """Another fix, applied first."""
    edit: list[Edit] = []
    expect: Literal["pass", "fail"]
    fails: list[str] = []
    """Checks that must fail, at least; empty for a right fix."""
    why: str = ""
    """What the masking fix hides and leaves; shown to a learner only after the fact."""
    honest_only: bool = False
    """Only reported evidence refuses it: whoever forges reports gets by."""
    reference: bool = False
    """Bands are calibrated on this one."""


class Proof(Table):
    failure_class: FailureClass
    goal: str
    out_of_scope: str
    source: list[str] = Field(min_length=1)
    spoilers: list[str] = Field(min_length=1)
    """Words that no learner-visible text may contain: title, checks, page, first hint."""
    reported: list[str] = ["telemetry*.jsonl"]
    """Patterns of the files that only say something about the run; the forged-report test replaces them."""
    forger_satisfies: list[str] = []
    """Checks that compare reports with what was recomputed: forged reports agree with it, so these checks do not count as a refusal."""
    not_bit_identical: str = ""
    """Why the same seed does not give the same bits twice; empty when it does."""
    broken: Broken = Broken()
    fix: list[Fix]

    @property
    def reference(self) -> Fix:
        return next(fix for fix in self.fix if fix.reference)


class Kata:
    """A kata's folder, its `kata.toml` and where everything else in it lies."""

    def __init__(self, folder: Path, toml: KataToml) -> None:
        self.folder = folder
        self.slug = folder.name
        self.toml = toml

    @property
    def kind(self) -> Kind:
        return self.toml.kind

    @property
    def diagnosis_decides(self) -> bool:
        """Whether the kata is solved by a right diagnosis: there is nothing to repair, or no function to hand over."""
        return self.kind == "leave" or (self.kind == "read" and self.probe is None)

    @property
    def meta(self) -> Path:
        return self.folder / ".meta"

    @property
    def notebook(self) -> Path:
        return self.folder / f"{self.slug}.ipynb"

    @property
    def checks(self) -> Path:
        return self.folder / "checks.py"

    @property
    def probe(self) -> Path | None:
        """Calls the learner's functions after the last cell; None for a kata that judges weights or files."""
        path = self.folder / "probe.py"
        return path if path.exists() else None

    @property
    def modules(self) -> list[Path]:
        """The run's own code, which the notebook imports."""
        return sorted(path for path in self.folder.glob("*.py") if path not in (self.checks, self.probe))

    @property
    def sources(self) -> list[Path]:
        """Everything that decides how a run of this kata is judged."""
        meta = [p for p in self.meta.rglob("*") if (p.is_file() and p.suffix in (".py", ".toml")) or p.name == "baseline.json"]
        return [self.folder / "kata.toml", self.checks, *([self.probe] if self.probe else []), *self.modules, *sorted(meta)]

    def fix_path(self, name: str) -> Path:
        return self.meta / "fixes" / f"{name}.py"


def load_kata(folder: Path) -> Kata:
    """Read a kata's folder; raises KataError that names file, key and the keys there are."""
    return Kata(folder, _read(KataToml, folder / "kata.toml"))


def load_proof(kata: Kata) -> Proof:
    """Read what the kata claims about itself; raises KataError, also for claims that contradict each other."""
    path = kata.meta / "proof.toml"
    proof = _read(Proof, path)
    names = [fix.name for fix in proof.fix]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise KataError(f"{shown(path)}: fix {listed(twice)} is declared twice; give each fix one [[fix]] table")
    if sum(fix.reference for fix in proof.fix if fix.expect == "pass") != 1:
        raise KataError(f"{shown(path)}: exactly one right fix needs `reference = true`; bands are calibrated on it")
    if wrong := _wrong_broken(kata, proof.broken):
        raise KataError(f"{shown(path)}: [broken] {wrong}")
    for fix in proof.fix:
        if (fix.expect == "fail") != bool(fix.fails):
            raise KataError(
                f"{shown(path)}: fix `{fix.name}` expects {fix.expect} and lists {len(fix.fails)} checks in `fails`; a masking fix lists at least one, a right fix none"
            )
        if not fix.edit and not kata.fix_path(fix.name).exists():
            raise KataError(
                f"{shown(path)}: fix `{fix.name}` changes nothing: it has no `edit`, and no {shown(kata.fix_path(fix.name))}; write one or drop the table"
            )
    if unknown := sorted(p.stem for p in (kata.meta / "fixes").glob("*.py") if p.stem not in names):
        raise KataError(
            f"{shown(kata.meta / 'fixes')}: {listed(unknown)} is not declared in proof.toml; add a [[fix]] table or delete the file"
        )
    return proof


def _wrong_broken(kata: Kata, broken: Broken) -> str:
    if kata.kind == "leave" and (broken.fails or broken.outcome != "completed"):
        return "declares a failure, and a kata of kind `leave` ships a healthy run: leave [broken] out"
    if kata.kind != "build" and broken.outcome != "completed":
        return f"has outcome `{broken.outcome}`, which only a kata of kind `build` may have"
    if not kata.diagnosis_decides and broken.outcome == "completed" and not broken.fails:
        return f"has no `fails`: list the checks that the notebook as shipped fails; kind is `{kata.kind}`"
    return ""


def find_kata(name: str, katas: Path) -> Kata:
    """Return the kata called `name`; raises UsageError that names the nearest one."""
    known = sorted(path.parent.name for path in katas.glob("*/kata.toml"))
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
        hint = f"did you mean `{near[0]}`?" if near else f"there are: {listed(known)}" if known else "the folder holds no katas"
        raise UsageError(f"no kata `{name}` in {shown(katas)}: {hint}  make list shows all")
    return load_kata(katas / name)


def all_katas(katas: Path) -> list[Kata]:
    """Return every kata of a folder, by track, level and name."""
    found = [load_kata(path.parent) for path in katas.glob("*/kata.toml")]
    return sorted(found, key=lambda kata: (kata.toml.track, kata.toml.level, kata.slug))


def listed(names: Iterable[str]) -> str:
    """Return names in backquotes, separated by commas."""
    return ", ".join(f"`{name}`" for name in names)


def shown(path: Path) -> str:
    """Return a path as a reader knows it: relative to the current folder where it lies below."""
    try:
        return str(path.resolve().relative_to(Path.cwd().resolve()))
    except ValueError:
        return str(path)


T = TypeVar("T", bound=Table)


def _read(model: type[T], path: Path) -> T:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise KataError(f"{shown(path)} is missing; make new KATA=… writes a commented one") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise KataError(f"{shown(path)} is not TOML: {e}") from None
    if model is KataToml and isinstance(found := content.get("schema"), int) and found != SCHEMA:
        raise KataError(f"{shown(path)}: schema {found}, and this lab reads schema {SCHEMA}; {_remedy(found)}")
    try:
        return model.model_validate(content)
    except ValidationError as e:
        raise KataError("\n".join(_explain(shown(path), model, error) for error in e.errors())) from None


def _remedy(schema: int) -> str:
    if schema > SCHEMA:
        return "update the lab"
    renamed = ", ".join(f"`{old}` is now `{new}`" for old, new in OLD_KEYS.items())
    return f"write `schema = {SCHEMA}` and `kind`; in proof.toml {renamed}; author notes move to notes.md (katas/README.md)"


def _explain(path: str, model: type[Table], error: Any) -> str:
    *parents, key = error["loc"] or ("",)
    table = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in parents).removeprefix(".")
    where = f"{path}: [{table}] " if table else f"{path}: "
    keys = f"keys: {listed(_keys(model, parents))}"
    match error["type"]:
        case "extra_forbidden":
            return f"{where}`{key}` is not a key; {keys}"
        case "missing":
            return f"{where}`{key}` is missing; {keys}"
        case _:
            return f"{where}`{key}` is {error['input']!r}: {error['msg'][0].lower()}{error['msg'][1:]}"


def _keys(model: type[Table], parents: list[Any]) -> list[str]:
    for name in (p for p in parents if isinstance(p, str)):
        annotation: Any = model.model_fields[name].annotation
        model = getattr(annotation, "__args__", (annotation,))[0]
    return [field.alias or name for name, field in model.model_fields.items()]
