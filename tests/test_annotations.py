"""Public functions say what they take and return: all parameters and the result have annotations.

Public is what has no underscore in front, in a module, or in a class of one.  Left out are click's commands
and options, whose types click knows, functions for the compiler, which finds types itself, and methods that
a base class in the same module has too, since they take and return what that says.  mypy (setup.cfg) says
whether the annotations are true.
"""

import ast
from pathlib import Path

import pytest

import acdref

ROOT = Path(acdref.__file__).parent
COMPILED = {"kernel", "vector_code", "compile_function", "intrinsic"}
LLVM = ROOT / "ops" / "vectors.py"  # whose functions take and return pieces of LLVM's code


def public(nodes):
    """Functions of a module's or a class's body, each with its class or None."""
    classes = {node.name: node for node in nodes if isinstance(node, ast.ClassDef)}
    for node in nodes:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            known = set().union(*(members(classes, base.id) for base in node.bases if hasattr(base, "id")))
            own = (function for function, _ in public(node.body))
            yield from ((function, node) for function in own if function.name not in known - {"__init__"})
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            hidden = node.name.startswith("_") and node.name != "__init__"
            if not hidden and not any(other_types(decorator) for decorator in node.decorator_list):
                yield node, None


def members(classes, name):
    """Names that a class of the module, or a base of it that is one too, gives to methods and attributes."""
    if name not in classes:
        return set()
    found = set().union(*(members(classes, base.id) for base in classes[name].bases if hasattr(base, "id")))
    for node in classes[name].body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", node)]
        found |= {getattr(target, "id", getattr(target, "name", None)) for target in targets}
    return found


def other_types(decorator):
    """Whether a decorator's function is click's or the compiler's."""
    names = {node.id for node in ast.walk(decorator) if isinstance(node, ast.Name)}
    return bool(names & (COMPILED | {"click"})) or any(name.endswith("_options") for name in names)


def gaps(source):
    """Names of the public functions, and of their parameters, that have no annotation."""
    for function, owner in public(ast.parse(source).body):
        a = function.args
        parameters = [*a.posonlyargs, *a.args]
        static = any(isinstance(d, ast.Name) and d.id == "staticmethod" for d in function.decorator_list)
        if owner is not None and not static:
            del parameters[0]  # self or cls
        parameters += [*a.kwonlyargs, *filter(None, (a.vararg, a.kwarg))]
        missing = [p.arg for p in parameters if p.annotation is None]
        if function.returns is None and function.name != "__init__":
            missing.append("return")
        if missing:
            name = function.name if owner is None else f"{owner.name}.{function.name}"
            yield f"{name}: {', '.join(missing)}"


def gaps_below(path):
    """The gaps of a file, or of all files of a folder that are not private, with their lines' files."""
    files = [path] if path.suffix else sorted({*path.rglob("*.py")} - {LLVM})
    return [
        f"{file.relative_to(ROOT)}: {gap}"
        for file in files
        if not any(part.startswith("_") and part != "__init__.py" for part in file.relative_to(ROOT).parts)
        for gap in gaps(file.read_text(encoding="utf-8"))
    ]


PLACES = sorted(p.name for p in ROOT.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists())


@pytest.mark.parametrize("place", PLACES)
def test_public_functions_are_annotated(place):
    assert not gaps_below(ROOT / place)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("def f(x: int) -> int: ...", []),
        ("def f(x, *, y: int = 1, **z): ...", ["f: x, z, return"]),
        ("def _f(x): ...", []),
        ("class A:\n def __init__(self, x): ...\n def g(self) -> int: ...", ["A.__init__: x"]),
        ("class A:\n @staticmethod\n def g(x) -> int: ...\n def _h(self): ...", ["A.g: x"]),
        ("class A:\n @property\n def g(self): ...", ["A.g: return"]),
        ("class _A:\n def g(self, x): ...", []),
        (
            "class A:\n def g(self) -> int: ...\nclass B(A):\n def g(self): ...\n def h(self): ...",
            ["B.h: return"],
        ),
        ("class A:\n a: int = 1\nclass B(A): ...\nclass C(B):\n @property\n def a(self): ...", []),
        ("class A:\n def __init__(self): ...\nclass B(A):\n def __init__(self, x): ...", ["B.__init__: x"]),
        ("def f() -> int:\n def inner(x): ...", []),
        ("@kernel(cache=True)\ndef f(x): ...", []),
        ("@click.command()\n@click.option('--x')\ndef command(x): ...", []),
    ],
)
def test_gaps(source, found):
    assert list(gaps(source)) == found
