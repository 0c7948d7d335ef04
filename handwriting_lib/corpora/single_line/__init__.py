"""Single-line fonts, and the pen strokes that draw their glyphs."""
