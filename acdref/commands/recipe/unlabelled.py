"""`acdref recipe unlabelled`: from unlabelled recordings to a network."""

import os

import click

from acdref.commands._options import PATH, click_options, telling_options
from acdref.commands._teacher import decision_of, decision_options, words_of
from acdref.commands._training import options_of, training_options
from acdref.commands.recipe._common import do, out_option, recipe_options, rules_of
from acdref.options.labels import PromptOptions


@click.command(short_help="Label recordings by words with CLAP, train, correct the labels, train again.")
@click.argument("bundle", type=PATH)
@click.argument("recordings", type=PATH)
@out_option
@click_options(PromptOptions)
@decision_options
@recipe_options
@training_options
@telling_options
def command(
    bundle, recordings, out, prompts, template, background, rule, threshold, by_class, scale, as_json,
    threads, **options,
):  # fmt: skip
    """Label RECORDINGS by words with the CLAP model in BUNDLE, and train a network on these labels.

    RECORDINGS is a folder, or a manifest, whose labels are not looked at. The stages, each a subfolder of
    --out, and what does the same by hand:

    \b
      1-given      the recordings, nothing known of them
      2-teach      acdref teach BUNDLE RECORDINGS --out 2-teach/scores.npz
      3-zero-shot  acdref relabel 1-given/train.csv --zero-shot --scores 2-teach/scores.npz
      4-teacher    acdref train 3-zero-shot/train.csv
      5-scores     acdref predict --weights 4-teacher/best.npz --scores 5-scores/scores.npz
      6-labels     acdref relabel 3-zero-shot/train.csv --correct --scores 5-scores/scores.npz
      7-student    acdref train 6-labels/train.csv

    The classes are those of --prompts, by default the 11 super-classes. --val may name a manifest with labels
    of these classes; without, the networks of the last epochs are taken.

    It may be stopped at any moment, even by kill -9: the same command continues to the same result.

    \b
    Examples:
      acdref recipe unlabelled clap-htsat-unfused/ field/ --out run
      acdref recipe unlabelled bundle/ field/ --prompts birds.txt --val birds.csv --out run

    \b
    Exit codes: 0 success; 1 a stage could not be done (one line on stderr says why); 2 wrong usage; 130
    interrupted (the same command continues).
    """
    for name in ("classes", "fold", "val_fold"):
        if options[name] is not None:
            raise click.UsageError(f"--{name.replace('_', '-')} goes with labelled recordings")
    decision = decision_of(rule, threshold, by_class, scale)
    rules = rules_of(options)
    from acdref.clap.teacher import ClapTeacher
    from acdref.recipes.unlabelled import RECIPE, unlabelled

    training = options_of(recordings, **options)
    words = words_of(prompts, template, background)
    cores = len(os.sched_getaffinity(0))

    def job(observer):
        note = decision.note(tuple(words.classes), words.background)
        if note is not None:
            observer.log(note)
        teacher = ClapTeacher.open(bundle, logit_scale=scale)
        return unlabelled(teacher, words, decision, training, out, rules, cores, observer)

    do(RECIPE, out, job, as_json, threads)
