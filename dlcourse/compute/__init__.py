"""Parameters, FLOPs, memory, time and money of a training run, each with its convention named."""
