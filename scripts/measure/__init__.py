"""The rows of scripts/bench, one module each: `run(scale)` measures once and gives a `Sample`."""
