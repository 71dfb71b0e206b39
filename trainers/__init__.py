"""nnU-Net trainers, one system a file. nnU-Net itself finds them through `nnunet_ext/`."""
