"""The parts that the chapters build: LSTM cell, soft window and mixture density."""
