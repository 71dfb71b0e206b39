"""The subcommands of `nnunet_cardiac`, one a file: `add_arguments(parser)` and `run(args) -> int`."""
