"""What an error of python-can, of a driver or of the system means for its bus."""

from collections.abc import Iterator
import errno
from typing import Final

from .can_port import CanPort, Channel
from .link import LinkError, LinkFault, fault_of

_BY_ERRNO: Final = {
    errno.ENODEV: LinkFault.NO_SUCH_INTERFACE,
    errno.ENXIO: LinkFault.NO_SUCH_INTERFACE,
    errno.ENETDOWN: LinkFault.INTERFACE_DOWN,
    errno.EAFNOSUPPORT: LinkFault.MISSING_DRIVER,
    errno.EPROTONOSUPPORT: LinkFault.MISSING_DRIVER,
}


def opening_error(error: Exception, port: CanPort) -> LinkError:
    """Name the fault behind an error of opening a bus, without its trace.

    A trace holds the half-open bus, and with it the port.
    """
    if isinstance(error, LinkError):
        return LinkError(error.fault, str(error))
    return LinkError(_opening_fault(error, port), _text(error))


def ending_error(error: Exception) -> LinkError:
    """Name what has ended a bus, without its trace."""
    if isinstance(error, LinkError):
        return LinkError(error.fault, str(error))
    down = errno.ENETDOWN in _numbers(error)
    return LinkError(LinkFault.INTERFACE_DOWN if down else LinkFault.LOST, _text(error))


def _opening_fault(error: Exception, port: CanPort) -> LinkFault:
    if port.traits.channel is Channel.INTERFACE:
        for number in _numbers(error):
            if number in _BY_ERRNO:
                return _BY_ERRNO[number]
        if "< error" in str(error):
            # socketcand's answer where it has no such interface, or may not use it.
            return LinkFault.NO_SUCH_INTERFACE
    for cause in _chain(error):
        match cause:
            # A vendor's library that is not there leaves names undefined.
            case ImportError() | NotImplementedError() | NameError():
                return LinkFault.MISSING_DRIVER
            case OSError() if "library not found" in str(cause):
                return LinkFault.MISSING_DRIVER
            case Exception() if (found := fault_of(cause)) is not LinkFault.FAILED:
                return found
    return LinkFault.FAILED


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _numbers(error: Exception) -> list[int]:
    """Return the errno of an error and of what is behind it."""
    found = [
        getattr(one, "errno", None) or getattr(one, "error_code", None)
        for one in _chain(error)
    ]
    return [number for number in found if isinstance(number, int)]


def _text(error: Exception) -> str:
    # python-can puts whole traces in its messages.
    lines = str(error).splitlines()
    return lines[0] if lines else repr(error)
