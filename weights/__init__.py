"""Shipped weights and their model card."""
