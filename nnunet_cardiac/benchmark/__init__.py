"""How large and how fast the networks are, beside nnU-Net's own."""
