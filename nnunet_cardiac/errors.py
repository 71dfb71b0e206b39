"""The one exception a user is meant to read."""


class UserError(ValueError):
    """Wrong input or a wrong order of steps, explained so that it can be corrected.

    The message names the file or option, what was found, what was expected and what to do. The command line prints it
    without a traceback.
    """
