"""Training: the loop, its tasks and configurations, optimisers, CUDA graphs."""
