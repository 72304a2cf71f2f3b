"""What can go wrong between this side and a BMS, as a caller has to tell apart."""


class JkBmsError(Exception):
    """Base of everything this package raises on purpose."""


class InvalidValueError(JkBmsError):
    """The value is outside what the field allows; nothing was sent."""


class NotWritableError(JkBmsError):
    """The field is not one that may be written; nothing was sent."""
