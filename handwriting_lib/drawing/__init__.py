"""Ink as pictures: arrays in, SVG, PNG, GIF and plots out."""
