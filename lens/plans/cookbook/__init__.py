"""Recipes, one a file: each has a RECIPE."""
