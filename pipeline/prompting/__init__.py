"""How prompts that test a model's memory are drawn from a finished run."""
