"""Bugs to plant in the package, but for labels and metrics (planted_rules.py): see mutations.py."""

# module in acdref: [(source that occurs once, replacement), ...]
PLANTED = {
    "errors": [],
}
