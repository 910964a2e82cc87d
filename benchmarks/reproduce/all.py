"""All effects, one after the other, by as many processes as there are cores to spare.

python benchmarks/reproduce/all.py CORPUS [--jobs 2] [--quick] [--effects NAME ...]
"""

from effect import effect_of, parser, run, start, tell

NAMES = (
    "fig2",
    "table2",
    "fig3",
    "self_verify",
    "relabel_transfer",
    "strong",
    "pseudo_strong",
    "table2_own",
    "table2_corpus",
)


def main():
    made = parser(__doc__)
    made.add_argument("--effects", nargs="+", choices=NAMES, default=NAMES, metavar="NAME", help="[all]")
    given = made.parse_args()
    effects = [effect_of(name) for name in given.effects]
    tables = run(effects, given)
    for effect in effects:
        tell(effect, tables[effect.name].rows)
        print()


if __name__ == "__main__":
    start(main)
