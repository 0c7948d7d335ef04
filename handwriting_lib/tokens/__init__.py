"""Discrete alphabets: what a network over tokens reads and writes."""
