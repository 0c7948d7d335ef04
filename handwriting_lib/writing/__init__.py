"""From text to ink: writers, styles, and the checks of every line."""
