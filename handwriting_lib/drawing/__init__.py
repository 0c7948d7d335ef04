"""Draw ink and what networks make of it: arrays in, SVG, PNG, GIF and plots out."""
