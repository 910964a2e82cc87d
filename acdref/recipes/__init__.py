"""Recipes: jobs of several stages, from recordings to a network, each stage what one command does.

:mod:`acdref.recipes.stages` runs any recipe, so that it may be stopped anywhere and continues to the same
result; each recipe has a file of its own, which is a list of stages.
"""
