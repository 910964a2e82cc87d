"""`acdref conform`: check another implementation, in any language, against this one."""

import click

from acdref.commands._options import PATH, option
from acdref.commands._output import check_folder
from acdref.commands._progress import Progress, end, tell
from acdref.files import json_number


@click.group(short_help="Check another implementation against this one.")
def command():
    """Check another implementation, in any language, against this one: write cases as plain .npy files, let
    it answer, and compare. docs/conformance.md says all that an implementer must know.

    \b
    Examples:
      acdref conform export cases/
      acdref conform check cases/ answers/

    \b
    Exit codes: 0 success; 1 the job could not be done (one line on stderr says why); 2 wrong usage; 3 some
    answers are wrong.
    """


@command.command("export", short_help="Write inputs and expected outputs.")
@click.argument("folder", type=PATH)
def export_command(folder):
    """Write all cases into the new folder FOLDER: an index, and for each its inputs and expected outputs.

    \b
    Files:
      index.json                             cases: name, section, formula, paper, inputs, outputs, rtol, atol
      SECTION/FUNCTION/VARIANT/in/NAME.npy   inputs and parameters
      SECTION/FUNCTION/VARIANT/out/NAME.npy  expected outputs

    \b
    Examples:
      acdref conform export cases/

    \b
    Exit codes: 0 success; 1 nothing, or not all, was written (one line on stderr says why); 2 wrong usage.
    """
    from acdref.conform import export

    check_folder(folder)
    cases = export(folder)
    sections = dict.fromkeys(case.section for case in cases)
    click.echo(f"{folder}: {len(cases)} cases of {', '.join(sections)}")


@command.command("check", short_help="Compare a folder of answers.")
@click.argument("cases", type=PATH)
@click.argument("answers", type=PATH)
@option("--json as_json", bool, "Print JSON, schema acdref.conform/1.")
def check_command(cases, answers, as_json):
    """Compare the folder ANSWERS with the exported folder CASES. The answer to CASES/a/b/c/out/NAME.npy is
    ANSWERS/a/b/c/NAME.npy; what is not answered is passed over.

    Printed is a row for each section, with its largest error as a share of what is allowed (right up to 1),
    and below what is wrong: where, what was found and expected, the formula, and the mistake that gives the
    same numbers, if it is a known one.

    \b
    Examples:
      acdref conform check cases/ answers/
      acdref conform check cases/ answers/ --json | jq '.cases[] | select(.status == "failed")'

    \b
    JSON: schema, passed, failed, missing (numbers of cases), sections, cases (name, section, status, error,
    where, cause, formula), strangers (files that answer nothing). Infinite errors are null.

    \b
    Exit codes: 0 all that was answered is right; 1 nothing could be compared (one line on stderr says why);
    2 wrong usage; 3 some answers are wrong.
    """
    from acdref.conform import check

    verdicts, strangers = check(cases, answers)
    with Progress() as progress:
        for file in strangers:
            progress.log(f"{file} answers no case")
    wrong = [verdict for verdict in verdicts if verdict.status == "failed"]
    tell(_facts(verdicts, strangers), lambda: "\n".join(_lines(verdicts, wrong)), as_json)
    end(wrong)


def _facts(verdicts, strangers):
    from acdref.conform.comparing import by_section

    statuses = [verdict.status for verdict in verdicts]
    counts = {status: statuses.count(status) for status in ("passed", "failed", "missing")}
    cases = [vars(verdict) | {"error": json_number(verdict.error)} for verdict in verdicts]
    sections = [row | {"worst": json_number(row["worst"])} for row in by_section(verdicts)]
    return {"schema": "acdref.conform/1"} | counts | {
        "sections": sections, "cases": cases, "strangers": strangers
    }  # fmt: skip


def _lines(verdicts, wrong):
    from acdref.conform.comparing import by_section

    form = "{:<12} {:>6} {:>9} {:>7} {:>10}  {}".format
    yield form("section", "cases", "answered", "passed", "worst", "where")
    for row in by_section(verdicts):
        worst = "-" if row["worst"] != row["worst"] else f"{row['worst']:.2g}"
        yield form(row["section"], row["cases"], row["answered"], row["passed"], worst, row["where"]).rstrip()
    for verdict in wrong:
        yield ""
        yield f"WRONG {verdict.case}: {verdict.where}"
        yield f"      {verdict.formula}"
        if verdict.cause:
            yield f"      The numbers are as if {verdict.cause}."
    answered = [verdict for verdict in verdicts if verdict.status != "missing"]
    yield ""
    yield f"{len(answered) - len(wrong)} of {len(answered)} answered cases are right"
