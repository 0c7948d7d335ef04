"""Training: the loop, tasks, configurations, optimisers and CUDA graphs."""
