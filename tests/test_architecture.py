"""The floors, the rooms and their laws, read from the source: who imports whom, who may touch what.

Each rule is a function from the parsed tree to complaints. Every rule is asked twice: of this
project, and of a tiny tree that breaks it (a checker that cannot fail proves nothing).
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parent.parent
TOP_LEVEL: Final = {"pyproject.toml", "README.md", "campaign", "tests", "sample_lists", "scripts"}

# Imports point strictly down: never up, never to another room on the same floor.
FLOORS: Final = {
    "cli": 7,
    "service": 6,
    "engine": 5,
    "load": 5,
    "dashboard": 5,
    "reports": 4,
    "receiver": 4,
    "simulator": 4,
    "lists": 3,
    "store": 3,
    "gateway": 3,
    "planner": 2,
    "protocol": 1,
    "errors": 0,
    "env": 0,
}

# Rooms whose law names everything they may know, which is less than the floors would allow.
KNOWS_ONLY: Final = {
    "simulator": {"protocol", "errors", "env"},  # proves things about the engine from outside
    "lists": {"errors"},
    "protocol": {"errors"},
}

# A library not named here is in nobody's room. sqlite3 is listed although it comes with Python.
LIBRARIES: Final[Mapping[str, set[str]]] = {
    "click": {"cli"},
    "rich": {"cli"},
    "hypercorn": {"service"},
    "prometheus_client": {"service"},
    "platformdirs": {"service"},
    "httptools": {"load"},
    "starlette": {"dashboard", "receiver", "simulator"},
    "jinja2": {"reports", "dashboard"},
    "markupsafe": {"reports", "dashboard"},
    "xlsxwriter": {"reports"},
    "h11": {"gateway"},
    # The service hands the simulator's pushes their client; devices are spoken to in the gateway.
    "httpx": {"gateway", "simulator", "service"},
    "phonenumbers": {"lists"},
    "charset_normalizer": {"lists"},
    "openpyxl": {"lists"},
    "sqlite_utils": {"store"},
    # Elsewhere than in the store: the type of the connection inside a transaction, and its errors.
    "sqlite3": {"store", "engine", "reports", "service", "cli"},
    # Structs travel: whoever passes one on may copy it with a change.
    "msgspec": {"protocol", "planner", "store", "engine", "simulator", "service"},
    "Crypto": {"protocol"},
    "trio": {"env"} | {room for room, floor in FLOORS.items() if floor >= 3},
}

# Imports inside functions, and why: what is imported there must be named here.
LAZY: Final = {
    ("lists", "phonenumbers.timezone"): "half a megabyte that most lists never ask for",
    ("lists", "openpyxl"): "an extra: without it, only spreadsheets are refused",
    ("protocol", "Crypto.Cipher"): "slow to load, and few commands encrypt anything",
    ("reports", "xlsxwriter"): "an extra: without it, only this one export is refused",
    ("reports", "campaign.reports.html_export"): "jinja2 is slow to load; all else does without",
    ("reports", "campaign.reports.load_html"): "jinja2 is slow to load; all else does without",
}

# Names (after imports are resolved) nobody may use but the rooms given, and why.
# Functions of `random` come from one hidden global generator; a `random.Random` is passed in.
_CLOCK: Final = "time is passed in: only env reads a clock"
_CHANCE: Final = "a random draw is passed in: only env makes one"
RESTRICTED: Final[tuple[tuple[str, set[str], str], ...]] = (
    (r"time\.sleep", {"service"}, "it blocks the whole event loop, and virtual time with it"),
    (
        r"time\.(time|monotonic|perf_counter|process_time|thread_time|clock_gettime)(_ns)?",
        {"env"},
        _CLOCK,
    ),
    (r"time\.(localtime|gmtime|ctime|asctime|strftime)", {"env"}, _CLOCK),
    (r"datetime\.(datetime\.(now|utcnow|today)|date\.today)", {"env"}, _CLOCK),
    (r"random\.([a-z]\w*|SystemRandom)", {"env"}, _CHANCE),
    (r"secrets\.(token_\w+|randbelow|randbits|choice|SystemRandom)", {"env"}, _CHANCE),
    (r"os\.(urandom|getrandom)|uuid\.uuid[14]", {"env"}, _CHANCE),
    (r"sqlite3\.(dbapi2\.)?connect", {"store"}, "only the store opens a ledger"),
    (r"phonenumbers\.geocoder(\..*)?", set(), "phonenumbers.geocoder costs 100 MB of memory"),
)
# Named freely as types; called only here. Seeds belong where a world is simulated.
CALLS_RESTRICTED: Final[tuple[tuple[str, set[str], str], ...]] = (
    (r"random\.Random", {"env", "simulator"}, "the generator is passed in as env.rng"),
    (r"sqlite3\.Connection", {"store"}, "only the store opens a ledger"),
)

SHAPELESS: Final = {"util", "utils", "helper", "helpers", "common", "misc", "base", "manager"}
MOST_LINES: Final = 500


@dataclass(frozen=True)
class Import:
    """One imported module: `target` is dotted, `lazy` says it stands inside a function."""

    target: str
    line: int
    level: int
    lazy: bool

    @property
    def library(self) -> str:
        return self.target.partition(".")[0]


@dataclass(frozen=True)
class Module:
    """One file: its path inside the project and what can be read from its syntax tree."""

    path: str
    source: str
    package: frozenset[str]  # the dotted names of all modules beside it

    @property
    def name(self) -> str:
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @property
    def room(self) -> str:
        """The room it belongs to; the package itself and `__main__` are the front door: ''."""
        parts = self.name.split(".")
        return parts[1] if len(parts) > 1 and parts[1] != "__main__" else ""

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source, self.path)

    @cached_property
    def imports(self) -> tuple[Import, ...]:
        return tuple(self._imports(self.tree, lazy=False))

    def _imports(self, node: ast.AST, *, lazy: bool) -> Iterator[Import]:
        inside = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            match child:
                case ast.Import():
                    for alias in child.names:
                        yield Import(alias.name, child.lineno, 0, inside)
                case ast.ImportFrom():
                    for alias in child.names:
                        dotted = f"{child.module or ''}.{alias.name}"
                        # `from package import module` imports the module, not the package's name.
                        target = dotted if dotted in self.package else child.module or ""
                        yield Import(target, child.lineno, child.level, inside)
                case _:
                    yield from self._imports(child, lazy=inside)

    @cached_property
    def _aliases(self) -> dict[str, str]:
        names: dict[str, str] = {}
        for node in ast.walk(self.tree):
            match node:
                case ast.Import():
                    for alias in node.names:
                        whole = alias.name if alias.asname else alias.name.partition(".")[0]
                        names[alias.asname or whole] = whole
                case ast.ImportFrom(module=str(module)):
                    for alias in node.names:
                        names[alias.asname or alias.name] = f"{module}.{alias.name}"
        return names

    def resolve(self, node: ast.AST) -> str | None:
        """The dotted name an expression means once imports are followed, if it means one."""
        match node:
            case ast.Name(id=name):
                return self._aliases.get(name)
            case ast.Attribute(value=value, attr=attr) if (
                owner := self.resolve(value)
            ) is not None:
                return f"{owner}.{attr}"
        return None

    def uses(self) -> Iterator[tuple[str, int, bool]]:
        """(dotted name, line, whether it is called) of everything imported and used here."""
        called = {id(node.func) for node in ast.walk(self.tree) if isinstance(node, ast.Call)}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Name | ast.Attribute) and (name := self.resolve(node)):
                yield name, node.lineno, id(node) in called
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    yield f"{node.module}.{alias.name}", node.lineno, False
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    yield alias.name, node.lineno, False


@dataclass(frozen=True)
class Tree:
    """A whole project: its Python files (path to source) and the names at its top."""

    files: Mapping[str, str]
    top: frozenset[str]

    @cached_property
    def modules(self) -> tuple[Module, ...]:
        paths = [path for path in self.files if path.startswith("campaign/")]
        names = frozenset(Module(path, "", frozenset()).name for path in paths)
        return tuple(Module(path, self.files[path], names) for path in paths)


Rule = Callable[[Tree], Iterator[str]]


def imports_point_strictly_down(tree: Tree) -> Iterator[str]:
    for module in tree.modules:
        if module.room and module.room not in FLOORS:
            yield f"{module.path}: the room {module.room!r} stands on no floor; add it to FLOORS"
            continue
        floor = FLOORS.get(module.room, max(FLOORS.values()) + 1)
        for item in module.imports:
            parts = item.target.split(".")
            if parts[0] != "campaign" or len(parts) == 1 or parts[1] == module.room:
                continue
            other = FLOORS.get(parts[1])
            where = f"{module.path}:{item.line}"
            if other is None:
                yield f"{where}: {item.target} is in no room"
            elif other >= floor:
                way = "sideways" if other == floor else "up"
                yield (
                    f"{where}: {module.room} (floor {floor}) imports {way}:"
                    f" {item.target} (floor {other})"
                )


def rooms_know_only_what_their_law_allows(tree: Tree) -> Iterator[str]:
    for module in tree.modules:
        if module.room not in KNOWS_ONLY:
            continue
        known = {module.room, *KNOWS_ONLY[module.room]}
        for item in module.imports:
            package, _, rest = item.target.partition(".")
            if package == "campaign" and rest and rest.partition(".")[0] not in known:
                yield f"{module.path}:{item.line}: {module.room} may not know {item.target}"


def libraries_stay_in_their_rooms(tree: Tree) -> Iterator[str]:
    for module in tree.modules:
        for item in module.imports:
            library = item.library
            if library == "campaign" or item.level:
                continue
            rooms = LIBRARIES.get(library)
            if rooms is None:
                if library not in sys.stdlib_module_names:
                    yield f"{module.path}:{item.line}: {library} is in nobody's room (LIBRARIES)"
            elif module.room not in rooms:
                allowed = ", ".join(sorted(rooms))
                yield f"{module.path}:{item.line}: {library} belongs to {allowed}"


def time_chance_and_ledgers_come_from_one_place(tree: Tree) -> Iterator[str]:
    for module in tree.modules:
        for name, line, called in module.uses():
            for pattern, rooms, why in RESTRICTED + (CALLS_RESTRICTED if called else ()):
                if module.room not in rooms and re.fullmatch(pattern, name):
                    yield f"{module.path}:{line}: {name}: {why}"


def imports_are_absolute(tree: Tree) -> Iterator[str]:
    for module in tree.modules:
        for item in module.imports:
            if item.level:
                yield f"{module.path}:{item.line}: a relative import; write campaign.… in full"


def imports_inside_functions_have_a_reason(tree: Tree) -> Iterator[str]:
    for module in tree.modules:
        for item in module.imports:
            named = {(module.room, item.library), (module.room, item.target)}
            if item.lazy and named.isdisjoint(LAZY):
                yield (
                    f"{module.path}:{item.line}: {item.target} is imported inside a function;"
                    " move it to the top, or give the reason in LAZY"
                )


def modules_form_no_cycle(tree: Tree) -> Iterator[str]:
    edges = {
        module.name: sorted({item.target for item in module.imports} & module.package)
        for module in tree.modules
    }
    finished: set[str] = set()

    def visit(name: str, trail: list[str]) -> Iterator[str]:
        if name in trail:
            yield " -> ".join([*trail[trail.index(name) :], name])
        elif name not in finished:
            for target in edges[name]:
                yield from visit(target, [*trail, name])
            finished.add(name)

    for name in sorted(edges):
        yield from visit(name, [])


def packages_state_their_law(tree: Tree) -> Iterator[str]:
    packages = {path.rpartition("/")[0] for path in tree.files if path.startswith("campaign/")}
    for package in sorted(packages):
        source = tree.files.get(f"{package}/__init__.py")
        if source is None:
            yield f"{package}: no __init__.py"
        elif "Law:" not in (ast.get_docstring(ast.parse(source)) or ""):
            yield f'{package}/__init__.py: its docstring has no "Law:"'


def files_are_short(tree: Tree) -> Iterator[str]:
    for path, source in tree.files.items():
        if (lines := source.count("\n")) > MOST_LINES:
            yield f"{path}: {lines} lines; split it by responsibility (at most {MOST_LINES})"


def names_say_what_a_module_does(tree: Tree) -> Iterator[str]:
    for path in tree.files:
        for part in path.removesuffix(".py").split("/"):
            if part in SHAPELESS:
                yield f"{path}: {part!r} says nothing about what it does"


def the_top_level_is_tidy(tree: Tree) -> Iterator[str]:
    for name in sorted(tree.top - TOP_LEVEL):
        yield f"{name}: does not belong at the top of the project"
    for name in sorted(TOP_LEVEL - tree.top):
        yield f"{name}: is missing at the top of the project"


RULES: Final[tuple[Rule, ...]] = (
    imports_point_strictly_down,
    rooms_know_only_what_their_law_allows,
    libraries_stay_in_their_rooms,
    time_chance_and_ledgers_come_from_one_place,
    imports_are_absolute,
    imports_inside_functions_have_a_reason,
    modules_form_no_cycle,
    packages_state_their_law,
    files_are_short,
    names_say_what_a_module_does,
    the_top_level_is_tidy,
)


def _listed() -> list[str]:
    """The project's files as git sees them; without git (an unpacked archive), all there are."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        places = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file())
        made = (".", "build/", "dist/", "demo-output/")
        names = (place.as_posix() for place in places if "__pycache__" not in place.parts)
        return [name for name in names if not name.startswith(made) and ".egg-info/" not in name]
    return [name for name in done.stdout.split("\0") if name and (ROOT / name).exists()]


@cache
def project() -> Tree:
    listed = _listed()
    tops = {name.partition("/")[0] for name in listed}
    return Tree(
        files={n: (ROOT / n).read_text(encoding="utf-8") for n in listed if n.endswith(".py")},
        top=frozenset(name for name in tops if not name.startswith(".")),
    )


def _named(rule: Rule) -> str:
    return rule.__name__


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES, ids=_named)
def test_in_this_project(rule: Rule) -> None:
    complaints = sorted(set(rule(project())))
    assert not complaints, "\n".join(["", *complaints])


SOUND: Final = {
    "campaign/__init__.py": '"""Doc.\n\nLaw: none."""\n',
    "campaign/errors.py": "import random\ndef draw(rng: random.Random) -> float: ...\n",
    "campaign/store/__init__.py": '"""Doc.\n\nLaw: SQL."""\n',
    "campaign/store/rows.py": "import trio\nfrom campaign import errors\n",
    "campaign/gateway/__init__.py": '"""Doc.\n\nLaw: HTTP."""\n',
    "campaign/simulator/__init__.py": '"""Doc.\n\nLaw: air."""\n',
}

# (the rule, the file put into the sound tree, what its complaint says)
BROKEN: Final[tuple[tuple[Rule, str, str, str], ...]] = (
    (imports_point_strictly_down, "campaign/errors.py", "import campaign.store.rows", "up"),
    (
        imports_point_strictly_down,
        "campaign/store/a.py",
        "from campaign import gateway",
        "sideways",
    ),
    (imports_point_strictly_down, "campaign/attic/a.py", "", "stands on no floor"),
    (imports_point_strictly_down, "campaign/store/a.py", "import campaign.attic", "in no room"),
    (
        rooms_know_only_what_their_law_allows,
        "campaign/simulator/a.py",
        "if True:\n    from campaign.store import rows",
        "may not know campaign.store.rows",
    ),
    (libraries_stay_in_their_rooms, "campaign/errors.py", "import trio", "trio belongs to"),
    (libraries_stay_in_their_rooms, "campaign/errors.py", "import requests", "nobody's room"),
    *(
        (time_chance_and_ledgers_come_from_one_place, "campaign/gateway/a.py", source, complaint)
        for source, complaint in (
            ("import time as t\nx = t.monotonic_ns()", "time.monotonic_ns"),
            ("from time import perf_counter", "time.perf_counter"),
            ("from time import sleep as nap\nnap(1)", "blocks"),
            ("import datetime\ndatetime.datetime.now()", "datetime.datetime.now"),
            ("from datetime import datetime\nclock = datetime.utcnow", "datetime.datetime.utcnow"),
            ("from datetime import date\ndate.today()", "datetime.date.today"),
            ("import random\nrandom.shuffle([])", "random.shuffle"),
            ("import random\nrandom.Random(1)", "env.rng"),
            ("from secrets import token_hex", "secrets.token_hex"),
            ("import uuid\nuuid.uuid4()", "uuid.uuid4"),
            ("import sqlite3\nsqlite3.connect('a')", "only the store"),
            ("from sqlite3 import Connection\nConnection('a')", "sqlite3.Connection: only"),
            ("from phonenumbers import geocoder", "100 MB"),
            ("import phonenumbers.geocoder", "100 MB"),
        )
    ),
    (imports_are_absolute, "campaign/store/a.py", "from . import rows", "relative"),
    (imports_are_absolute, "campaign/store/a.py", "from ..errors import Oops", "relative"),
    (
        imports_inside_functions_have_a_reason,
        "campaign/store/a.py",
        "class A:\n    async def f(self) -> None:\n        import json",
        "json is imported inside a function",
    ),
    (
        modules_form_no_cycle,
        "campaign/errors.py",
        "from campaign.store import rows",
        "campaign.errors -> campaign.store.rows -> campaign.errors",
    ),
    (packages_state_their_law, "campaign/store/__init__.py", '"""Doc."""', 'no "Law:"'),
    (packages_state_their_law, "campaign/store/sub/a.py", "", "no __init__.py"),
    (files_are_short, "tests/test_a.py", "\n" * 500, "501 lines"),
    (names_say_what_a_module_does, "campaign/store/utils.py", "", "'utils' says nothing"),
    (names_say_what_a_module_does, "campaign/common/a.py", "", "'common' says nothing"),
    (the_top_level_is_tidy, "setup.py", "", "setup.py: does not belong"),
)


def _tree(files: Mapping[str, str]) -> Tree:
    return Tree(files, frozenset(TOP_LEVEL) | frozenset(path.partition("/")[0] for path in files))


@pytest.mark.parametrize("rule", RULES, ids=_named)
def test_a_sound_tree_passes(rule: Rule) -> None:
    assert list(rule(_tree(SOUND))) == []


@pytest.mark.parametrize(
    ("rule", "path", "source", "complaint"),
    BROKEN,
    ids=[f"{rule.__name__}-{complaint}" for rule, _, _, complaint in BROKEN],
)
def test_a_broken_tree_is_caught(rule: Rule, path: str, source: str, complaint: str) -> None:
    complaints = list(rule(_tree({**SOUND, path: source + "\n"})))
    assert any(complaint in found for found in complaints), complaints


def test_every_rule_is_seen_to_fail() -> None:
    assert {rule for rule, _, _, _ in BROKEN} == set(RULES)
