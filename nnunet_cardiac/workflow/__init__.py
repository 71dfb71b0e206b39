"""nnU-Net's own commands: its environment and folders, and processes that run them."""
