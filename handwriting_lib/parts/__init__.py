"""What the chapters build: the LSTM cell, the soft window, the mixture."""
