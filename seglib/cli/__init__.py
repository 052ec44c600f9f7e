"""The commands of `python -m seglib`. Explained in 14_many_gpus."""
