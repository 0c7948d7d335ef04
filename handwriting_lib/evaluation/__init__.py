"""How good a model is: measures, the report over all of them, legibility."""
