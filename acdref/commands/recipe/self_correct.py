"""`acdref recipe self-correct`: train, correct the labels by what was learned, train again."""

import click

from acdref.commands._options import PATH, telling_options
from acdref.commands._training import options_of, training_options
from acdref.commands.recipe._common import do, out_option, recipe_options, rules_of


@click.command(short_help="Train, correct the labels by what was learned, train again.")
@click.argument("manifest", type=PATH)
@out_option
@recipe_options
@training_options
@telling_options
def command(manifest, out, as_json, threads, **options):
    """Train on the labels of MANIFEST, correct them by the network's own scores, and train again.

    The stages, each a subfolder of --out, and what does the same by hand:

    \b
      1-given     the recordings to train and to validate on
      2-teacher   acdref train MANIFEST --out 2-teacher
      3-scores    acdref predict --weights 2-teacher/best.npz --scores 3-scores/scores.npz MANIFEST
      4-labels    acdref relabel MANIFEST --correct --scores 3-scores/scores.npz --out 4-labels/train.csv
      5-student   acdref train 4-labels/train.csv --out 5-student

    The recordings to validate on are not corrected. Both networks are trained with the same options, which
    are those of `acdref train`. Printed is what changed, class by class, and the weights of the student.

    It may be stopped at any moment, even by kill -9: the same command continues to the same result.

    \b
    Examples:
      acdref recipe self-correct manifest.csv --root recordings --val-fold 4 --out corrected
      acdref recipe self-correct manifest.csv --fp --threshold-t 0.1 --epochs 10 --epoch-size 1600 \\
          --lr 2e-3 --out corrected
      acdref recipe self-correct manifest.csv --correction percentile-mask --out masked

    \b
    Exit codes: 0 success; 1 a stage could not be done (one line on stderr says why); 2 wrong usage; 130
    interrupted (the same command continues).
    """
    rules = rules_of(options)
    from acdref.recipes.self_correct import RECIPE, self_correct

    training = options_of(manifest, **options)
    do(RECIPE, out, lambda observer: self_correct(training, out, rules, observer), as_json, threads)
