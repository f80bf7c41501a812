"""Train and evaluate recommenders on conversations: data, candidates, methods, training loop, metrics."""
