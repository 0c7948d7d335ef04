"""Single-line fonts, and the strokes that a hand would draw them with."""
