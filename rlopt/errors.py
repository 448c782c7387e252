"""The one exception that speaks to the user."""


class UserError(Exception):
    """Something the user can put right: the message is one sentence that says what is wrong and what to do.

    The scripts print it without a traceback and exit with code 2.
    """
