"""What a check costs, measured against what people would install instead. Run ``benchmarks/run.py``."""
