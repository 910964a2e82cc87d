"""How much code acdref may have, and how much it has.

    python tests/budget.py

A code line is one with something of a statement on it: no blank lines, comments or docstrings.  The core is
what takes a recording to a probability, a label to a gradient and a score to a corrected label; a file that
holds a NumPy form counts whole.  The cases for other implementations (conform/) are mostly data, and count
apart.  Who raises a budget adds a line to CHANGELOG.md that says for what.
"""

import ast
import io
import tokenize
from pathlib import Path

BUDGETS = {"package": 23_000, "core": 5_490, "conform": 3_520}

PACKAGE = Path(__file__).resolve().parents[1] / "acdref"
CORE = ("audio", "features", "ops", "nets", "labels", "metrics", "losses.py", "optim.py")
NUMBA_ONLY = [
    "kernel.py",
    "kernel_cache.py",
    "threads.py",
    "memory.py",
    "vectors.py",
    "vector_loops.py",
    "microkernel.py",
    "layout.py",
]
"""Files of ops/ without a NumPy form of anything: machinery of the compiled form."""

_NOTHING = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER
}  # fmt: skip


def code_lines(source):
    """Number of code lines in Python source."""
    docstrings, lines = set(), set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            docstrings.update(range(node.lineno, node.end_lineno + 1))
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _NOTHING:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines - docstrings)


def files(part):
    """The files of a part: "core", "conform", or "package", which is all but the latter."""
    every = sorted(PACKAGE.rglob("*.py"))
    if part == "core":
        return [path for path in every if _in_core(path.relative_to(PACKAGE))]
    return [
        path for path in every if (path.relative_to(PACKAGE).parts[0] == "conform") == (part == "conform")
    ]


def _in_core(path):
    return path.parts[0] in CORE and not (path.parts[0] == "ops" and path.name in NUMBA_ONLY)


def count(part):
    """Code lines of a part of the package."""
    return sum(code_lines(path.read_text(encoding="utf-8")) for path in files(part))


if __name__ == "__main__":
    for folder in sorted({path.parent for path in PACKAGE.rglob("*.py")}):
        lines = {path.name: code_lines(path.read_text(encoding="utf-8")) for path in folder.glob("*.py")}
        name = folder.relative_to(PACKAGE.parent)
        print(f"{sum(lines.values()):6} {name}  {' '.join(f'{k}:{v}' for k, v in sorted(lines.items()))}")
    for part, budget in BUDGETS.items():
        print(f"{part}: {count(part)} of {budget}")
