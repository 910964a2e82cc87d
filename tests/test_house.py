"""The house: what may import what, one class of a name, short functions, and a budget of lines."""

import ast
import re
from collections import defaultdict
from pathlib import Path

import budget
import mutations
import pytest

TEXTS = {
    path.relative_to(budget.PACKAGE): path.read_text(encoding="utf-8")
    for path in sorted(budget.PACKAGE.rglob("*.py"))
}
LINES = {path: text.splitlines() for path, text in TEXTS.items()}
SOURCES = {path: ast.parse(text) for path, text in TEXTS.items()}

# Who stands below may import who stands above, or beside; recipes and commands may import all.
FLOORS = (
    ("__init__", "__version__", "errors", "files", "matmul", "remote"),
    ("audio",),
    ("features",),
    ("ops",),
    ("fast", "nets", "losses", "optim", "checkpoint"),
    ("tables", "labels", "metrics"),
    ("augment", "options", "synth"),
    ("data", "cluster"),
    ("clap", "teacher"),
    (
        *("ranks", "fit", "train", "evaluate", "calibrate", "check", "predict", "relabel", "recipes"),
        *("report", "info", "demo", "listen", "compare"),
    ),
    ("conform", "testing"),
    ("commands", "cli", "__main__"),
)
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}
CORE = {name.removesuffix(".py") for name in budget.CORE}
GROUND = {*FLOORS[0], "tables"}
ON_COMPILED_FLOORS = ("ops", "fast", "features")
LONGEST_FUNCTION = 52


def room(path):
    """The first name below the package: a folder or a module."""
    return path.parts[0].removesuffix(".py")


def imports(tree):
    """(module, line, within a function) of every import, but for those that only annotations need."""
    unseen = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    inner = {id(node) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) for node in ast.walk(f)}
    for node in ast.walk(tree):
        if id(node) in unseen:
            continue
        if isinstance(node, ast.ImportFrom) and node.module == "acdref":
            for alias in node.names:
                yield f"acdref.{alias.name}", node.lineno, id(node) in inner
        elif isinstance(node, ast.ImportFrom):
            yield node.module, node.lineno, id(node) in inner
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno, id(node) in inner


def inside():
    """(path, room that it imports, line, within a function) of every import of acdref's own."""
    for path, tree in SOURCES.items():
        for module, line, within in imports(tree):
            if module.split(".")[0] == "acdref":
                yield path, module.split(".")[1], line, within


def places(found):
    return "\n".join(f"acdref/{path}:{line} {what}" for path, line, what in found)


def test_every_room_has_a_floor():
    assert {room(path) for path in SOURCES} <= FLOOR.keys()


def test_nobody_imports_from_a_lower_floor():
    wrong = [
        (path, line, f"imports {other}")
        for path, other, line, _ in inside()
        if FLOOR.get(other, 0) > FLOOR[room(path)]
    ]
    assert not wrong, places(wrong)


def test_the_core_stands_on_itself_and_the_ground():
    allowed = CORE | GROUND | {"fast", "checkpoint"}
    wrong = [
        (path, line, f"imports {other}")
        for path, other, line, _ in inside()
        if room(path) in CORE and (other not in allowed or (other == "tables" and room(path) != "labels"))
    ]
    assert not wrong, places(wrong)


@pytest.mark.parametrize("pure", ["labels", "metrics"])
def test_pure_floors_know_neither_audio_nor_networks(pure):
    allowed = {"labels", "metrics", "errors", "files", "tables"}  # of the last two, the readers
    wrong = [(p, line, f"imports {o}") for p, o, line, _ in inside() if room(p) == pure and o not in allowed]
    assert not wrong, places(wrong)


def test_the_compiled_wing_is_named_by_networks_only_and_within_functions():
    wrong = [
        (path, line, "imports fast")
        for path, other, line, within in inside()
        if other == "fast" and room(path) != "fast" and not (room(path) in ("nets", "info") and within)
    ]
    assert not wrong, places(wrong)


def test_only_compiled_floors_import_numba():
    wrong = [
        (path, line, module)
        for path, tree in SOURCES.items()
        for module, line, _ in imports(tree)
        if module.split(".")[0] == "numba" and room(path) not in ON_COMPILED_FLOORS
    ]
    assert not wrong, places(wrong)


def test_heavy_packages_are_imported_where_they_are_needed():
    heavy = {"scipy", "onnxruntime", "onnx", "matplotlib", "pyarrow", "fsspec"}
    wrong = [
        (path, line, module)
        for path, tree in SOURCES.items()
        for module, line, within in imports(tree)
        if module.split(".")[0] in heavy and not within
    ]
    assert not wrong, places(wrong)


def test_no_oracle_is_imported():
    oracles = {"torch", "sklearn", "librosa", "networkx", "pandas", "transformers", "tokenizers"}
    oracles |= {"sed_eval", "dcase_util", "sed_scores_eval", "parselmouth"}
    wrong = [
        (path, line, module)
        for path, tree in SOURCES.items()
        for module, line, _ in imports(tree)
        if module.split(".")[0] in oracles
    ]
    assert not wrong, places(wrong)


def test_no_two_classes_have_one_name():
    homes = defaultdict(list)
    for path, tree in SOURCES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                homes[node.name].append(f"acdref/{path}:{node.lineno}")
    assert not {name: where for name, where in homes.items() if len(where) > 1}


def test_functions_are_short():
    long = [
        (path, node.lineno, f"{node.name} has {lines} lines")
        for path, tree in SOURCES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and (lines := body_lines(node)) > LONGEST_FUNCTION
    ]
    assert not long, places(long)


def body_lines(function):
    """Lines of a function without its docstring."""
    first = function.body[0]
    has = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return function.end_lineno - function.lineno + 1 - has * (first.end_lineno - first.lineno + 1)


@pytest.mark.parametrize("part", budget.BUDGETS)
def test_the_budget_is_kept_and_not_loose(part):
    """Who deletes lowers the budget too: what is not spent would grow back unseen."""
    lines = budget.count(part)
    assert 0.98 * budget.BUDGETS[part] <= lines <= budget.BUDGETS[part]


TOUR = Path(__file__).resolve().parents[1] / "docs" / "tour.md"
LINKS = re.findall(r"\[`([\w.]+)`\]\(\.\./acdref/([\w/]+\.py)\)", TOUR.read_text(encoding="utf-8"))


def test_the_tour_has_links():
    assert len(LINKS) > 30
    assert TOUR.read_text(encoding="utf-8").count("](") == len(LINKS)


@pytest.mark.parametrize(("name", "file"), LINKS)
def test_every_stop_of_the_tour_exists(name, file):
    nodes = [SOURCES[Path(file)]]
    for part in name.split("."):
        nodes = [
            child
            for node in nodes
            for child in node.body
            if isinstance(child, (ast.FunctionDef, ast.ClassDef)) and child.name == part
        ]
    assert nodes, f"{file} has no {name}"


SHAPED = ("features", "ops", "nets")
RESHAPING = {"reshape", "swapaxes", "transpose", "stack", "broadcast_to"}


def test_shapes_stand_beside_what_changes_them():
    """In the NumPy forms of the core: ``# (N, T, F, C)`` or the like, on a line of the statement."""
    wrong = [
        (path, node.lineno, "changes a shape")
        for path, tree in SOURCES.items()
        if room(path) in SHAPED and path.name not in (*budget.NUMBA_ONLY, "onnx.py")
        for node in ast.walk(tree)
        if isinstance(node, (ast.Assign, ast.AugAssign, ast.Return)) and reshapes(node)
        if not re.search(r"#.*\(", "\n".join(LINES[path][node.lineno - 1 : node.end_lineno]))
    ]
    assert not wrong, places(wrong)


def reshapes(statement):
    """Whether an array gets another shape in it; flat views, which kernels take, do not count."""
    return any(
        isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in RESHAPING
        and [ast.unparse(argument) for argument in call.args] != ["-1"]
        for call in ast.walk(statement)
    )


def test_every_planted_bug_can_be_planted():
    """``python tests/mutations.py`` plants them; here only whether the source that they change is there."""
    assert not {str(bug): reason for bug in mutations.bugs() if (reason := mutations.stale(bug))}


def answers(function):
    """Whether a function gives True or False, and looks at nothing by itself."""
    *_, last = function.body
    comparing = {"array_equal", "allclose", "isclose", "all", "any"}
    return isinstance(last, ast.Return) and (
        isinstance(last.value, ast.Compare | ast.BoolOp)
        or (
            isinstance(last.value, ast.Call)
            and getattr(last.value.func, "attr", getattr(last.value.func, "id", None)) in comparing
        )
    )


def test_no_test_looks_without_asserting():
    """A comparison that stands alone as a statement lets a test pass whatever it finds."""
    trees = {path: ast.parse(path.read_text("utf-8")) for path in Path(__file__).parent.rglob("*.py")}
    helpers = {
        path.stem: {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and answers(node)}
        for path, tree in trees.items()
    }
    assert helpers["labels_support"] >= {"same"}
    silent = []
    for path, tree in trees.items():
        names = set(helpers[path.stem])
        for node in tree.body:
            if isinstance(node, ast.ImportFrom) and node.module in helpers:
                names |= {alias.name for alias in node.names} & helpers[node.module]
        silent += [
            f"{path.name}:{node.lineno}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Call)
            and getattr(node.value.func, "id", None) in names
        ]
    assert not silent
