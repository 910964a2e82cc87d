"""`acdref recipe what-if`: which rule would help if labels were so wrong."""

import math
import os

import click

from acdref.commands._options import click_options, option, telling_options
from acdref.commands.recipe._common import do, manifest_and_out, quick_options, run_options
from acdref.errors import OptionError
from acdref.options.recipes import WhatIfOptions

QUICK_CLASSES = ("voice", "dog", "music", "machinery", "alarm", "gunshot")
_MEASURES = ("mAP", "accuracy")
_FIRST = ("missing", "false", "seeds")  # in the help


@click.command(short_help="Put errors into good labels, and see which rule repairs them.")
@manifest_and_out
@option("--quick", bool, "Try it on made-up sounds, with few recordings and seeds.")
@click_options(WhatIfOptions, _FIRST)
@click_options(WhatIfOptions, without=_FIRST)
@run_options
@telling_options
def command(manifest, out, quick, threads, as_json, **options):
    """Put errors into the labels of MANIFEST, which are taken as the truth, and say which of the rules that
    correct or mask labels would help.

    Each recording becomes a vector, once, and perceptrons learn from the labels with errors ("raw"), from
    what each rule of `acdref relabel` makes of them, and from the labels without errors ("a perfect repair").
    The rules go by the scores of the first, of the recordings that it was trained on, as in Braun & Gamper's
    Table 2. All are measured on the recordings of --val-fold or --val (or those whose split is "val"), or
    else each seed on a fifth of the sources, with the labels as they are in MANIFEST.

    Printed are, for each, mAP and accuracy; the difference from raw with its 95 % interval over seeds, and in
    how many seeds it is up; precision P and recall R of what was repaired, and of what was repaired or
    masked. Then how many errors there were, how sure a teacher can be of a label that is missing (equation 4
    of the paper corrects above 1 - T), and in a sentence which rules help: beside those of which nothing can
    be told stands the gain in mAP that four of five such runs would show.
    Intervals are of errors, first weights and the part that is left out, not of other recordings; where no
    rule has an effect, one of the seven looks as if it had in up to three of ten runs.

    The weights must not have learned from these recordings: what they know of the labels would repair them.
    The shipped ones know those that weights/README.md names.

    It may be stopped at any moment, even by kill -9: the same command continues to the same result,
    and with more --seeds it does the new ones alone.

    \b
    Examples:
      acdref recipe what-if --quick --out tried
      acdref recipe what-if clips.csv --missing 0.3 --false 0.02 --val-fold 4 --out third-missing
      acdref recipe what-if clips.csv --missing 0.1,0.5 --false 0 --seeds 20 --json --out by-class

    \b
    Exit codes: 0 success; 1 a stage could not be done (one line on stderr says why); 2 wrong usage; 130
    interrupted (the same command continues).
    """
    options = quick_options(WhatIfOptions, manifest, quick, options)
    from acdref.recipes.made_up import single_sounds
    from acdref.recipes.what_if import RECIPE, what_if

    if quick:
        sounds = os.path.join(out, "sounds")
        manifest = single_sounds(sounds, QUICK_CLASSES, each=10, held_out=6, seconds=1.0, verified=1.0)
        out = os.path.join(out, "recipe")
    try:
        options = WhatIfOptions(str(manifest), **options)
    except OptionError as error:
        raise click.UsageError(str(error)) from None
    do(RECIPE, out, lambda observer: what_if(options, out, observer), as_json, threads, _told)


def _told(stages, out):
    """No weights; a table of the conditions, the ceiling of the teacher's scores, and the verdict."""
    from acdref.recipes.what_if import RAW

    found = stages["rules"]
    errors = {name: f"{number:.4g}" for name, number in found["errors"].items()}
    titles = "mAP    from raw", "accuracy  from raw", "repaired: P, R", "or masked: P, R"
    lines = ["{:27} {:42} {:27} {:15} {}".format("", *titles)]
    for name, row in found["conditions"].items():
        gains = {measure: "" if name == RAW else _gain(row[f"{measure}_gain"]) for measure in _MEASURES}
        cells = [f"{row[measure]:.3f}  {gains[measure]}" for measure in _MEASURES]
        cells[1] = cells[1].partition(" (")[0]
        ratios = ["" if name == RAW else _ratios(row[which]) for which in ("repair", "masks")]
        lines.append("{:27} {:42} {:27} {:15} {}".format(name, *cells, *ratios).rstrip())
    lines.append(
        "errors: {missing} of {labels} labels missing, {false} false ones, mean of the seeds".format(**errors)
    )
    lines += [_ceiling(found["ceilings"], 1 - found["T"]), found["verdict"]]
    return None, "\n".join(lines)


def _gain(found):
    from acdref.metrics import Paired

    return str(Paired(**found | {"half": math.nan if found["half"] is None else found["half"]}))


def _ratios(found):
    """Precision and recall."""
    return "  ".join("   –" if ratio is None else f"{ratio:.2f}" for ratio in found)


def _ceiling(found, confident):
    """What the teacher's scores can reach, beside what eq. (4) wants."""
    low, high = min(found, key=found.get), max(found, key=found.get)
    below = sum(value < confident for value in found.values())
    text = f"honest scores of a missing label end at {found[low]:.2f} ({low}) to "
    text += f"{found[high]:.2f} ({high}): below 1 - T = {confident:g} in {below} of {len(found)} classes"
    return text + (", where only scores that are too high correct FN" if below else "")
