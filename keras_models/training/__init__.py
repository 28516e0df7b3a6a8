"""Images, batches and the training loop, with checkpoints and distillation."""
