"""Evaluation of a model: single measures, legibility, and a report over all of them."""
